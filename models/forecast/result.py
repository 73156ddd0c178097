"""Results of the forecast and of its backtest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from configs.goals.goals import ALL
from features.contracts import INSTANT
from features.tools.json_values import to_json_values
from models.forecast.schemas import (
    CHANGES,
    DEALS,
    FORECAST,
    FORECAST_BASIS,
    FORECAST_TRACK,
    WINS,
)
from models.forecast.track import TrackSummary, summarize_track

# The tables of a forecast by the name of their files and of their SQL tables, in their order.
FORECAST_SCHEMAS = {
    "forecast": FORECAST,
    "deals": DEALS,
    "forecast_changes": CHANGES,
    "forecast_track": FORECAST_TRACK,
}
# The further table of a night: what those rest on.
BASIS = "forecast_basis"
# Data before an as-of that is tested, at least, as multiples of the days ahead.
HISTORY = 2.5


@dataclass(frozen=True)
class ForecastResult:
    """What a period will bring, as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        target: Name of the target whose outcome is the win.
        by: Column by which the leads are divided, if any.
        period: ``month`` or ``quarter``.
        forecast: FORECAST of the period that the as-of lies in and of the next one; of months, of
            all up to the quarter's end, and of the quarter.
        deals: DEALS, by the end of the period that the as-of lies in.
        changes: CHANGES of that period's total; no rows where nothing was known a week before.
        track: FORECAST_TRACK of the past forecasts; no rows where the data is too short for any.
        error_share: Two of three past forecasts over the same time ahead were at most that far off,
            as a share of the wins that came; NaN without any.
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
    track: pa.Table
    error_share: float
    past_forecasts: int
    knows_rate_only: bool

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table], as_of: datetime) -> Self | None:
        """Return the forecast among a night's tables by name; None if it is absent."""
        if not tables.keys() >= {*FORECAST_SCHEMAS, BASIS}:
            return None
        rows = {
            name: tables[name].select([n for n in schema.names if n != "as_of"])
            for name, schema in FORECAST_SCHEMAS.items()
        }
        instants = pa.repeat(pa.scalar(as_of, INSTANT), rows["forecast"].num_rows)
        basis = tables[BASIS].to_pylist()[0]
        return cls(
            as_of=as_of,
            target=basis["target"],
            by=basis["segment_by"],
            period=basis["period"],
            forecast=rows["forecast"].add_column(0, FORECAST.field("as_of"), instants),
            deals=rows["deals"],
            changes=rows["forecast_changes"],
            track=rows["forecast_track"],
            error_share=float("nan") if basis["error_share"] is None else basis["error_share"],
            past_forecasts=basis["past_forecasts"],
            knows_rate_only=bool(basis["knows_rate_only"]),
        )

    def select_headline(self) -> dict[str, Any]:
        """Return the first period of all leads, in the unit with a goal, else in wins."""
        rows = [
            row
            for row in self.forecast.to_pylist()
            if row["segment"] == ALL and row["period"] == self.period
        ]
        return min(
            rows, key=lambda row: (row["period_start"], row["goal"] is None, row["unit"] != WINS)
        )

    def summarize_track(self) -> TrackSummary | None:
        """Return how far past forecasts of the headline's unit were off, else those of wins.

        Returns None if none can be compared with what came.
        """
        unit = self.select_headline()["unit"]
        return summarize_track(self.track, unit) or summarize_track(self.track, WINS)

    def select_segments(self, headline: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a headline's period and unit: all leads, then the segments.

        The goal most in danger comes first; segments without a goal come last, by name.
        """
        rows = [
            row
            for row in self.forecast.to_pylist()
            if all(row[key] == headline[key] for key in ("unit", "period", "period_start"))
        ]
        return sorted(rows, key=_rank_danger)

    def by_name(self) -> dict[str, pa.Table]:
        """Return the tables by the name of their files."""
        return {
            "forecast": self.forecast,
            "deals": self.deals,
            "forecast_changes": self.changes,
            "forecast_track": self.track,
        }

    def list_night_tables(self) -> dict[str, pa.Table]:
        """Return the tables that a night publishes, by name."""
        basis = {
            "target": self.target,
            "period": self.period,
            "segment_by": self.by,
            "error_share": self.error_share,
            "past_forecasts": self.past_forecasts,
            "knows_rate_only": int(self.knows_rate_only),
        }
        return self.by_name() | {BASIS: pa.Table.from_pylist([basis], FORECAST_BASIS)}

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows of plain JSON values, and what they rest on."""
        return {
            "forecast": to_json_values(self.forecast.to_pylist()),
            "deals": to_json_values(self.deals.to_pylist()),
            "changes": to_json_values(self.changes.to_pylist()),
            "track": to_json_values(self.track.to_pylist()),
            "error_share": to_json_values(self.error_share),
            "past_forecasts": self.past_forecasts,
            "knows_rate_only": self.knows_rate_only,
        }


def _rank_danger(row: Mapping[str, Any]) -> tuple[bool, bool, float, float, str]:
    has_goal = row["p_goal"] is not None
    danger = (row["p_goal"], -row["gap"]) if has_goal else (0.0, 0.0)
    return row["segment"] != ALL, not has_goal, *danger, row["segment"]


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

    @property
    def holds(self) -> bool:
        """Whether the 90 % interval held what came."""
        return self.low <= self.actual <= self.high


@dataclass(frozen=True)
class ForecastBacktest:
    """Forecasts of past as-ofs beside what happened.

    Attributes:
        target: Name of the target whose outcome is the win.
        unit: ``wins`` or ``amount``.
        horizon_days: Days that each forecast looks ahead.
        as_ofs: One element per past as-of, the earliest first.
        asked: Number of as-ofs that were asked for; the data may have fewer.
    """

    target: str
    unit: str
    horizon_days: float
    as_ofs: tuple[BacktestedForecast, ...]
    asked: int
