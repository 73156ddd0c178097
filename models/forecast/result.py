"""Results of the forecast and of its backtest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from features.tools.json_values import to_json_values

# The tables of a forecast, in their order.
TABLES = ("forecast", "deals", "changes")


@dataclass(frozen=True)
class ForecastResult:
    """What a period will bring, as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        target: Name of the target whose outcome is the win.
        by: Column by which the leads are divided, if any.
        period: ``month`` or ``quarter``.
        forecast: FORECAST of the period that the as-of lies in and of the next one.
        deals: DEALS, by the end of the period that the as-of lies in.
        changes: CHANGES of that period's total; no rows where nothing was known a week before.
        error_share: Typical error of past forecasts over the same time ahead, as a share of the
            total: half the width of the 68 % interval of their ratios.
        past_forecasts: Number of past as-ofs that this is estimated from.
        knows_rate_only: Whether stage and age of the deals say no more than the overall rate.
    """

    as_of: datetime
    target: str
    by: str | None
    period: str
    forecast: pa.Table
    deals: pa.Table
    changes: pa.Table
    error_share: float
    past_forecasts: int
    knows_rate_only: bool

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows of plain JSON values, and what they rest on."""
        tables = {name: to_json_values(getattr(self, name).to_pylist()) for name in TABLES}
        return {
            **tables,
            "error_share": self.error_share,
            "past_forecasts": self.past_forecasts,
            "knows_rate_only": self.knows_rate_only,
        }


@dataclass(frozen=True)
class BacktestedForecast:
    """A forecast of a past as-of beside what happened.

    Attributes:
        as_of: The past as-of, in UTC.
        predicted: Expected total of the horizon.
        actual: What it was.
        open_predicted: Expected part of the deals that were open.
        open_actual: What they brought.
        low: Lower end of the 90 % interval of the total.
        high: Upper end of it.
        crps: Continuous ranked probability score of the total, in its unit; less is better.
        stage_weighted: Sum over open deals of their stage's share of wins.
        last_year: Total of the same days a year before; None without data.
        rate_only: Total if every day brought what the days before the as-of brought on average.
    """

    as_of: datetime
    predicted: float
    actual: float
    open_predicted: float
    open_actual: float
    low: float
    high: float
    crps: float
    stage_weighted: float
    last_year: float | None
    rate_only: float


@dataclass(frozen=True)
class ForecastBacktest:
    """Forecasts of past as-ofs beside what happened.

    Attributes:
        target: Name of the target whose outcome is the win.
        unit: ``wins`` or ``amount``.
        horizon_days: Days that each forecast looks ahead.
        as_ofs: One element per past as-of, the earliest first.
    """

    target: str
    unit: str
    horizon_days: float
    as_ofs: tuple[BacktestedForecast, ...]
