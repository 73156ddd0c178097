"""Age of leads from which the rate of outcomes has settled: a proposal for ``mature_after``.

Young leads have had less time for their outcome, so their rate is lower until they are mature.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from features.tools.instants import duration_to_microseconds
from models.calibration import compute_difference_interval

# Ages that are proposed: about the square root of two apart, in round numbers.
PROPOSED_AGES = (
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180)),
    *(timedelta(days=days) for days in (270, 365, 540, 730, 1095)),
)
# A cohort [a, 2a) is compared with the ages [2a, 8a) and not with all older leads: rates also drift
# over years, which is no lack of maturity.
COHORT_END, REFERENCE_END = 2, 8
# Where leads are few, the next older ones up to this number are the reference.
MIN_REFERENCE_ROWS = 500
# 99.5 % on one side to find a lack of maturity: some twenty ages are tested, and few of them may be
# found by chance. 84 % to say up to which age it reaches, once the leads below an age prove it.
Z_PROOF, Z_EXTENT = 2.576, 1.0
# A rate at most this share below the older one is settled, however many leads prove a difference:
# rates drift from year to year.
SMALLEST_SHORTFALL = 0.1


def find_settled_age(age: np.ndarray, is_positive: np.ndarray) -> timedelta:
    """Return the smallest of PROPOSED_AGES from which no cohort is lower than the next older leads.

    ``age`` is the age of each lead at the observation date (int64 microseconds), ``is_positive``
    whether it has the outcome by then. A cohort is lower if its rate is lower by SMALLEST_SHORTFALL
    beyond noise: by Newcombe's interval of the difference of two rates, made of their Wilson
    intervals (method 10 in Statistics in Medicine 17, 1998). The interval is that of Z_PROOF, or
    that of Z_EXTENT if the cohort together with all younger leads is lower by that of Z_PROOF.
    Return zero if no cohort is lower.
    """
    order = np.argsort(age, kind="stable")
    age, positives = age[order], np.concatenate([[0], np.cumsum(is_positive[order])])
    ages = [0, *map(duration_to_microseconds, PROPOSED_AGES)]
    # From the oldest: below the age at which outcomes begin to come, all rates are alike too.
    for start, settled in zip(reversed(ages[:-1]), reversed(PROPOSED_AGES), strict=True):
        # The first cohort is that from birth to the smallest age that can be proposed.
        end = COHORT_END * start or ages[1]
        low, middle, high = np.searchsorted(age, [start, end, REFERENCE_END * end // COHORT_END])
        high = min(max(high, middle + MIN_REFERENCE_ROWS), len(age))
        cohort, younger = [low, middle, high], [0, middle, high]
        if _is_lower(positives, cohort, Z_PROOF) or (
            _is_lower(positives, younger, Z_PROOF) and _is_lower(positives, cohort, Z_EXTENT)
        ):
            return settled
    return timedelta(0)


def _is_lower(positives: np.ndarray, edges: list[int], z: float) -> bool:
    """Return whether the first of two neighbouring groups has a lower rate than the second.

    ``positives`` are cumulative counts, ``edges`` the three row numbers at the groups' ends.
    """
    size = np.diff(edges)
    if not size.all():
        return False
    rate = np.diff(positives[edges]) / size
    _, high = compute_difference_interval(rate, size, z)
    return bool(high < -SMALLEST_SHORTFALL * rate[1])
