"""The common feature set that all engines compute: counts, sums and ages by event type."""

from typing import NamedTuple

from tests.benchmarks import log

# Windows ``[cutoff - days, cutoff)`` by their name; None is all of history.
DAYS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "all": None}


class Common(NamedTuple):
    """One feature: what is taken of which event type in which window. Ages have no window."""

    kind: str
    aggregate: str
    window: str | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return "_".join(part for part in self if part)


FEATURES = [
    *(Common(kind, "count", window) for kind in log.TYPES for window in DAYS),
    *(Common(kind, "age") for kind in log.TYPES),
    *(Common(kind, "sum_value", window) for kind in log.VALUED for window in DAYS),
]
"""Counts are 0 where there is no event, sums 0 too, ages (days since the last) missing."""

NAMES = [feature.name for feature in FEATURES]
