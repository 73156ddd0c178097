"""Test of the order of grades: a better grade should have the outcome more often than the next.

The rate of each grade has a Wilson score interval (Wilson 1927, Probable inference, Journal of the
American Statistical Association 22) at its effective number of rows, which is smaller than the
number of rows where rows of one lead are alike (Rao & Scott 1992, A simple method for the analysis
of clustered binary data, Biometrics 48). The interval of the difference of two rates is composed of
both (Newcombe 1998, Interval estimation for the difference between independent proportions,
Statistics in Medicine 17, method 10). A lead with rows in both grades makes it too wide, never too
narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from models.calibration import compute_difference_interval
from models.evaluation.metrics import Estimate

# Normal quantiles of a 90 % interval, which is shown, and of a 99 % interval, which decides, as for
# the metrics of a version.
SHOWN_QUANTILE, DECIDING_QUANTILE = 1.6449, 2.5758
# With fewer leads in one of two grades nothing is said about their order.
MIN_GRADE_LEADS = 20


@dataclass(frozen=True)
class GradeRate:
    """Outcomes of the published rows of one grade.

    Attributes:
        grade: The grade.
        rows: Number of rows.
        leads: Number of distinct leads.
        outcomes: Number of rows with the outcome.
        published: Mean published probability.
        effective_rows: Number of independent rows that would be as informative.
    """

    grade: str
    rows: int
    leads: int
    outcomes: int
    published: float
    effective_rows: float

    @property
    def rate(self) -> float:
        """Share of rows with the outcome."""
        return self.outcomes / self.rows

    def __str__(self) -> str:
        return f"{self.outcomes:,} of {self.rows:,} ({self.rate:.1%})"


@dataclass(frozen=True)
class GradeOrder:
    """Realised outcomes of a grade and of the next one.

    Attributes:
        better: The better grade.
        worse: The next grade that was published.
    """

    better: GradeRate
    worse: GradeRate

    @property
    def is_reversed(self) -> bool:
        """Whether the better grade had the outcome less often."""
        return self.better.rate < self.worse.rate

    @property
    def difference(self) -> Estimate:
        """Rate of the better grade less that of the other, with its 90 % interval."""
        value, low, high = self._difference(SHOWN_QUANTILE)
        return Estimate(value, low, high, self.better.rows + self.worse.rows)

    @property
    def is_certain(self) -> bool:
        """Whether the order is reversed beyond chance: the 99 % interval lies below 0."""
        return self._difference(DECIDING_QUANTILE)[2] < 0

    @property
    def is_short(self) -> bool:
        """Whether the difference falls short of the published one beyond chance (99 %)."""
        published = self.better.published - self.worse.published
        return self._difference(DECIDING_QUANTILE)[2] < published

    @property
    def is_reason(self) -> bool:
        """Whether to train again: a reversed order that the published probabilities exclude."""
        return self.is_reversed and (self.is_certain or self.is_short)

    @property
    def chance(self) -> str:
        """What chance explains of the difference, in words."""
        if self.is_certain:
            return "more than chance explains"
        if self.is_short:
            return "chance does not explain how far it falls short of the published difference"
        return "chance may explain it"

    @property
    def sentence(self) -> str:
        """Both rates, their difference and what chance explains, in one line."""
        difference = self.difference
        points = f"{100 * difference.value:+.1f} points "
        points += f"({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
        return (
            f"grade {self.better.grade} does worse than {self.worse.grade}: {self.better} against "
            f"{self.worse}, published {self.better.published:.1%} and {self.worse.published:.1%}; "
            f"the difference is {points}: {self.chance}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            "better": self.better.grade,
            "worse": self.worse.grade,
            "rates": [self.better.rate, self.worse.rate],
            "published": [self.better.published, self.worse.published],
            "difference": self.difference.to_json(),
            "reversed": self.is_reversed,
            "certain": self.is_certain,
            "short": self.is_short,
        }

    def _difference(self, quantile: float) -> tuple[float, float, float]:
        grades = self.better, self.worse
        rate = np.array([grade.rate for grade in grades])
        size = np.array([grade.effective_rows for grade in grades])
        return float(rate[0] - rate[1]), *compute_difference_interval(rate, size, quantile)


def compare_grades(
    grade: Sequence[str], label: np.ndarray, probability: np.ndarray, lead: np.ndarray
) -> list[GradeOrder]:
    """Compare each grade of labelled rows with the next one that was published.

    All columns have one element per row; ``lead`` holds a key of the row's lead. Grades with fewer
    than MIN_GRADE_LEADS leads are left out.
    """
    names = np.asarray(grade, dtype=object)
    rates = [
        _measure_rate(name, label[names == name], probability[names == name], lead[names == name])
        for name in sorted(set(grade))
    ]
    enough = [rate for rate in rates if rate.leads >= MIN_GRADE_LEADS]
    return [GradeOrder(better, worse) for better, worse in pairwise(enough)]


def _measure_rate(
    grade: str, label: np.ndarray, probability: np.ndarray, lead: np.ndarray
) -> GradeRate:
    cluster = np.unique(lead, return_inverse=True)[1]
    sizes = np.bincount(cluster).astype(float)
    outcomes = np.bincount(cluster, label)
    rows, rate = len(label), float(label.mean())
    if 0 < rate < 1 and len(sizes) > 1:
        residual = ((outcomes - rate * sizes) ** 2).sum() * len(sizes) / (len(sizes) - 1)
        design_effect = residual / (rows * rate * (1 - rate))
    else:
        # Without variation nothing shows how alike the rows of a lead are: as if they were equal.
        design_effect = (sizes**2).sum() / rows
    return GradeRate(
        grade,
        rows,
        len(sizes),
        int(label.sum()),
        float(probability.mean()),
        # Few outcomes can make an estimated effect less than 1, which would add information.
        rows / max(1.0, float(design_effect)),
    )
