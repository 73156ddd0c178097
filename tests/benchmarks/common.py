"""The feature set that every engine can compute: counts, sums and last ages of the log's event types."""

from typing import NamedTuple

from tests.benchmarks import log

DAYS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "all": None}
"""Windows ``[cutoff - days, cutoff)`` by their name; None is all of history."""


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
