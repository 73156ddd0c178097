"""When the rows of a source became known: how many and how new they were at any instant, without the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

QUARTER_US = 900_000_000
WIDEST = 4_000_000
"""Quarters that are counted in one array, more than a hundred years; rows strewn farther are sorted instead."""


@dataclass(frozen=True)
class Arrivals:
    """The rows of a source by the quarter of an hour in which they became known.

    ``quarters`` are numbers of quarters since 1970 (UTC), ascending, none twice; quarter q holds the instants
    ``[q, q + 1)`` times 15 minutes. ``rows`` are the rows of each.
    """

    quarters: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, available: pa.ChunkedArray) -> Self:
        """Count instants in microseconds since 1970, int64 or timestamps; none may be missing."""
        return cls.joined([cls._of(chunk) for chunk in available.chunks])

    @classmethod
    def _of(cls, available: pa.Array) -> Self:
        quarter = pc.cast(available, pa.int64()).to_numpy() // QUARTER_US
        first = int(quarter.min()) if len(quarter) else 0
        if len(quarter) and int(quarter.max()) - first < WIDEST:
            rows = np.bincount(quarter - first)
            taken = np.flatnonzero(rows)
            return cls(first + taken, rows[taken])
        return cls(*np.unique(quarter, return_counts=True))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the arrivals of all parts of a source."""
        quarters, place = np.unique(
            np.concatenate([np.empty(0, np.int64), *(p.quarters for p in parts)]), False, True
        )
        rows = np.bincount(
            place, np.concatenate([np.empty(0), *(p.rows for p in parts)]), len(quarters)
        )
        return cls(quarters, rows.astype(np.int64))

    def before(self, instant: datetime) -> Self:
        """Return those of the quarters that had ended at an instant."""
        end = int(instant.timestamp() // (QUARTER_US / 1e6))
        keep = slice(np.searchsorted(self.quarters, end))
        return type(self)(self.quarters[keep], self.rows[keep])

    @property
    def total(self) -> int:
        """All rows."""
        return int(self.rows.sum())

    @property
    def newest(self) -> datetime | None:
        """The end of the last quarter in which a row became known; None where there is none."""
        return (
            datetime.fromtimestamp((int(self.quarters[-1]) + 1) * 900, UTC)
            if len(self.quarters)
            else None
        )

    def usual_pause(self, span: timedelta = timedelta(days=365), but: int = 3) -> timedelta:
        """Return the longest time without a row in the latest ``span``, but for the ``but`` longest ones.

        Those may have been outages. Zero where there were no more.
        """
        since = self.quarters[-1] - span // timedelta(minutes=15) if len(self.quarters) else 0
        pauses = np.sort(np.diff(self.quarters[self.quarters >= since]))
        return timedelta(minutes=15) * int(pauses[-but - 1] - 1 if len(pauses) > but else 0)
