"""Track record of the forecast: what forecasts of past as-ofs expected, beside what came."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit

from features.tools.instants import from_microseconds
from models.forecast.schemas import AMOUNT, FORECAST_TRACK, WINS

DAY = timedelta(days=1)
# Errors such as 7 % are not whole numbers of per cent to the last bit.
ROUNDING = 1e-9
# Of fewer forecasts that overlap in nothing a mean error says nothing.
MIN_INDEPENDENT = 2.0


@dataclass(frozen=True)
class PastTotal:
    """A forecast of a past as-of beside what came.

    Attributes:
        at: The past as-of, microseconds since 1970.
        end: The end of its time ahead.
        expected: Wins that it expected.
        came: Wins that came.
        expected_amount: What it expected them to be worth; None without amounts.
        came_amount: What they were worth; None without amounts.
    """

    at: int
    end: int
    expected: float
    came: float
    expected_amount: float | None = None
    came_amount: float | None = None


@dataclass(frozen=True)
class TrackBias:
    """To which side past forecasts erred, as shares of what came.

    Attributes:
        mean: Mean error: positive if too much was expected.
        low: Lower end of its 90 % interval.
        high: Upper end of its 90 % interval.
        too_low: Number of forecasts that expected less than came.
        too_high: Number of forecasts that expected more.
    """

    mean: float
    low: float
    high: float
    too_low: int
    too_high: int

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the interval does not hold zero."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class TrackSummary:
    """How far past forecasts were off, as shares of what came.

    Attributes:
        unit: ``wins`` or ``amount``.
        forecasts: Number of forecasts with an error.
        within: How many of them were at most ``limit`` off; two of three, or more.
        limit: The least whole per cent of which that holds.
        worst: The largest error, with its sign: positive if too much was expected.
        bias: To which side they erred; None where they are worth fewer than MIN_INDEPENDENT
            forecasts that overlap in nothing.
        days: Days that each looked ahead.
        shared_days: Days that each of them shares with the next; 0 if they share none.
        sample_share: Share of the company's deals that they looked at.
    """

    unit: str
    forecasts: int
    within: int
    limit: float
    worst: float
    bias: TrackBias | None
    days: float
    shared_days: float
    sample_share: float


def build_track(totals: Sequence[PastTotal], sample_share: float) -> pa.Table:
    """Return FORECAST_TRACK, first of wins, the earliest as-of first."""
    rows = [_make_row(total, WINS, total.expected, total.came, sample_share) for total in totals]
    for total in totals:
        if total.expected_amount is not None and total.came_amount is not None:
            values = total.expected_amount, total.came_amount
            rows.append(_make_row(total, AMOUNT, *values, sample_share))
    return pa.Table.from_pylist(rows, FORECAST_TRACK)


def _make_row(
    total: PastTotal, unit: str, expected: float, came: float, sample_share: float
) -> dict[str, Any]:
    return {
        "unit": unit,
        "forecast_as_of": from_microseconds(total.at),
        "forecast_end": from_microseconds(total.end),
        "expected": expected,
        "came": came,
        # Where nothing came there is nothing to take a share of.
        "error_share": expected / came - 1 if came > 0 else None,
        "sample_share": sample_share,
    }


def summarize_track(track: pa.Table, unit: str) -> TrackSummary | None:
    """Return how far the forecasts of a unit were off; None if none can be compared."""
    own = [row for row in track.to_pylist() if row["unit"] == unit]
    rows = [row for row in own if row["error_share"] is not None]
    if not rows:
        return None
    sizes = sorted(abs(row["error_share"]) for row in rows)
    limit = _round_up(sizes[math.ceil(2 * len(sizes) / 3) - 1])
    return TrackSummary(
        unit=unit,
        forecasts=len(rows),
        within=sum(size <= limit + ROUNDING for size in sizes),
        limit=limit,
        worst=max((row["error_share"] for row in rows), key=abs),
        bias=measure_bias(rows),
        days=(rows[0]["forecast_end"] - rows[0]["forecast_as_of"]) / DAY,
        shared_days=_measure_overlap(own),
        sample_share=rows[0]["sample_share"],
    )


def measure_bias(rows: Sequence[Mapping[str, Any]]) -> TrackBias | None:
    """Return the mean error of rows of FORECAST_TRACK that have one, with its interval.

    Forecasts that overlap share what came, so they count as fewer: errors of two correlate as much
    as their times overlap. The interval is Student's t with that effective number.

    Source: Bayley and Hammersley, "The 'effective' number of independent observations in an
    autocorrelated time series", *Supplement to the Journal of the Royal Statistical Society* 8
    (1946).
    """
    errors = np.array([row["error_share"] for row in rows])
    begin, end = (
        np.array([row[f"forecast_{name}"].timestamp() for row in rows]) for name in ("as_of", "end")
    )
    shared = np.minimum.outer(end, end) - np.maximum.outer(begin, begin)
    overlap = np.maximum(shared, 0.0) / np.sqrt(np.multiply.outer(end - begin, end - begin))
    independent = len(errors) ** 2 / overlap.sum()
    if independent < MIN_INDEPENDENT:
        return None
    mean = float(errors.mean())
    # Overlapping errors also differ less from each other than independent ones.
    variance = float(errors.var()) / (1 - 1 / independent)
    half = float(stdtrit(independent - 1, 0.95)) * math.sqrt(variance / independent)
    is_low, is_high = errors < -ROUNDING, errors > ROUNDING
    return TrackBias(mean, mean - half, mean + half, int(is_low.sum()), int(is_high.sum()))


def _round_up(share: float) -> float:
    """Return a share as the next whole per cent, at least one."""
    return max(math.ceil(100 * (share - ROUNDING)), 1) / 100


def _measure_overlap(rows: Iterable[dict[str, Any]]) -> float:
    ordered = sorted(rows, key=lambda row: row["forecast_as_of"])
    shared = [
        (before["forecast_end"] - after["forecast_as_of"]) / DAY
        for before, after in pairwise(ordered)
    ]
    return max([0.0, *shared])
