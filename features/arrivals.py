"""Arrival counts of a source's rows, by quarter of an hour in which they became known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Checks count the rows before an as-of to a quarter of an hour.
QUARTER_US = 900_000_000
# Counts are held in one array up to this many quarters, more than a hundred years (32 MB); rows
# spread farther are sorted instead.
MAX_DENSE_QUARTERS = 4_000_000


@dataclass(frozen=True)
class Arrivals:
    """Number of rows of a source by the quarter of an hour in which they became known.

    Attributes:
        quarters: Quarters since 1970 (UTC), int64, ascending and unique; quarter q holds the
            instants ``[q, q + 1)`` times 15 minutes.
        rows: Number of rows in each quarter.
    """

    quarters: np.ndarray
    rows: np.ndarray

    @classmethod
    def from_instants(cls, available: pa.ChunkedArray) -> Self:
        """Count instants, int64 microseconds since 1970 or timestamps, without nulls."""
        return cls.merge([cls._from_chunk(chunk) for chunk in available.chunks])

    @classmethod
    def _from_chunk(cls, available: pa.Array) -> Self:
        quarter = pc.cast(available, pa.int64()).to_numpy() // QUARTER_US
        first = int(quarter.min()) if len(quarter) else 0
        if len(quarter) and int(quarter.max()) - first < MAX_DENSE_QUARTERS:
            rows = np.bincount(quarter - first)
            nonzero = np.flatnonzero(rows)
            return cls(first + nonzero, rows[nonzero])
        return cls(*np.unique(quarter, return_counts=True))

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """Return the arrivals of all parts of a source together."""
        quarters, index = np.unique(
            np.concatenate([np.empty(0, np.int64), *(p.quarters for p in parts)]), False, True
        )
        rows = np.bincount(
            index, np.concatenate([np.empty(0), *(p.rows for p in parts)]), len(quarters)
        )
        return cls(quarters, rows.astype(np.int64))

    def before(self, instant: datetime) -> Self:
        """Return the arrivals in quarters that had ended at an instant."""
        # A quarter that has not ended would gain rows, so a past night could not be repeated.
        end = int(instant.timestamp() // (QUARTER_US / 1e6))
        keep = slice(np.searchsorted(self.quarters, end))
        return type(self)(self.quarters[keep], self.rows[keep])

    @property
    def total(self) -> int:
        """Return the number of all rows."""
        return int(self.rows.sum())

    @property
    def newest(self) -> datetime | None:
        """Return the end of the last quarter with a row (UTC), or None if there is no row."""
        return (
            datetime.fromtimestamp((int(self.quarters[-1]) + 1) * 900, UTC)
            if len(self.quarters)
            else None
        )

    def longest_regular_pause(
        self, span: timedelta = timedelta(days=365), excluded: int = 3
    ) -> timedelta:
        """Return the longest time without a row in the latest ``span``, ignoring the longest ones.

        The ``excluded`` longest pauses may have been outages. Zero if there are no more than these.
        """
        since = self.quarters[-1] - span // timedelta(minutes=15) if len(self.quarters) else 0
        pauses = np.sort(np.diff(self.quarters[self.quarters >= since]))
        return timedelta(minutes=15) * int(
            pauses[-excluded - 1] - 1 if len(pauses) > excluded else 0
        )
