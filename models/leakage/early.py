"""The rule for people whose rows were entered because of the outcome.

The later an outcome comes, the less a cutoff holds information on it. A contact that was entered
because of the outcome, with the date of an older row as known_at, is there from the first cutoff
on. So rows are compared whose outcome came only after the horizon, and rows without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

# Fewest entities of either kind that are compared.
MIN_ENTITIES = 30
# On simulated companies with committees honest counts differed by at most 0.04 and an odds ratio of
# 1.2, those of people entered at the win by 0.45 and more and an odds ratio of 7 and more.
MIN_GAP, MIN_ODDS_RATIO = 0.2, 4.0


def find_known_too_early(
    matrix: pa.Table, labels: pa.Table, counts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield column and evidence of counts of people that foresee outcomes beyond the horizon.

    ``matrix`` holds SPINE and features, ``labels`` LABELS of the same rows; ``counts`` is the
    source column by feature. Rows with a label of 0 are compared.
    """
    label = labels["label"].to_numpy(zero_copy_only=False)
    comes = labels["outcome_at"].is_valid().to_numpy()
    entity = np.unique(matrix["entity_id"].to_numpy().astype(str), return_inverse=True)[1]
    later, never = ((label == 0) & (comes == kind) for kind in (True, False))
    sizes = [len(np.unique(entity[rows])) for rows in (later, never)]
    if min(sizes) < MIN_ENTITIES:
        return
    for feature, column in sorted(counts.items()):
        known = matrix[feature].to_numpy() > 0
        shares = known[later].mean(), known[never].mean()
        # Half a row more of each kind, so that no share is 0 or 1.
        odds = [(known[rows].sum() + 0.5) / ((~known[rows]).sum() + 0.5) for rows in (later, never)]
        if shares[0] - shares[1] >= MIN_GAP and odds[0] >= MIN_ODDS_RATIO * odds[1]:
            yield (
                column,
                f"somebody was known in {shares[0]:.0%} of {later.sum():,} rows whose outcome came "
                f"after the horizon, and in {shares[1]:.0%} of {never.sum():,} rows without any: "
                "people were entered because of the outcome, and known_at does not say when",
            )
