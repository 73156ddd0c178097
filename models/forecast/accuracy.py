"""How far past forecasts were off, beside simpler ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.tools.json_values import to_json_values
from models.forecast.result import ForecastBacktest


@dataclass(frozen=True)
class Errors:
    """Errors of forecasts at several as-ofs.

    Attributes:
        forecasts: Number of as-ofs with a forecast.
        mean_absolute_error_share: Mean over as-ofs of the absolute error as a share of what came;
            as-ofs at which nothing came are left out. NaN without any.
        bias_share: The same of the error with its sign: positive if too much was expected.
        crps: Mean continuous ranked probability score, in the unit of the forecast. For a single
            number it is the mean absolute error.
    """

    forecasts: int
    mean_absolute_error_share: float
    bias_share: float
    crps: float

    def to_json(self) -> dict[str, Any]:
        """Return the errors by name as plain JSON values."""
        return to_json_values({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class ForecastAccuracy:
    """Errors of the totals of past forecasts, of their parts, and of simpler forecasts.

    Attributes:
        total: Of the total.
        coverage_90: Share of the as-ofs whose 90 % interval held what came.
        open: Of the part of the deals that were open.
        stage_weighted: Of the sum over open deals of their stage's share of wins.
        stage_weighted_open: Of the same beside what the open deals brought.
        last_year: Of the total of the same days a year before.
        rate_only: Of the mean daily rate before the as-of.
    """

    total: Errors
    coverage_90: float
    open: Errors
    stage_weighted: Errors
    stage_weighted_open: Errors
    last_year: Errors
    rate_only: Errors

    def to_json(self) -> dict[str, Any]:
        """Return the errors by name as plain JSON values, those of the total at the top."""
        return {
            **self.total.to_json(),
            "coverage_90": to_json_values(self.coverage_90),
            "open": self.open.to_json(),
            "stage_weighted": {
                **self.stage_weighted.to_json(),
                "open": self.stage_weighted_open.to_json(),
            },
            "last_year": self.last_year.to_json(),
            "rate_only": self.rate_only.to_json(),
        }


def summarize_backtest(backtest: ForecastBacktest) -> ForecastAccuracy:
    """Return the errors of a backtest's forecasts."""
    rows = backtest.as_ofs
    total = [row.actual for row in rows]
    part = [row.open_actual for row in rows]
    weighted = [row.stage_weighted for row in rows]
    held = [row.holds for row in rows]
    return ForecastAccuracy(
        total=_compute_errors([row.predicted for row in rows], total, [row.crps for row in rows]),
        coverage_90=float(np.mean(held)) if held else float("nan"),
        open=_compute_errors([row.open_predicted for row in rows], part),
        stage_weighted=_compute_errors(weighted, total),
        stage_weighted_open=_compute_errors(weighted, part),
        last_year=_compute_errors([row.last_year for row in rows], total),
        rate_only=_compute_errors([row.rate_only for row in rows], total),
    )


def backtest_to_json(backtest: ForecastBacktest) -> dict[str, Any]:
    """Return the past forecasts and how far they were off as plain JSON values."""
    as_ofs = [
        {field.name: getattr(row, field.name) for field in fields(row)} for row in backtest.as_ofs
    ]
    return {
        "target": backtest.target,
        "unit": backtest.unit,
        "horizon_days": backtest.horizon_days,
        "asked": backtest.asked,
        "as_ofs": to_json_values(as_ofs),
        **summarize_backtest(backtest).to_json(),
    }


def _compute_errors(
    predicted: Sequence[float | None], actual: Sequence[float], crps: Sequence[float] | None = None
) -> Errors:
    expected = np.array([np.nan if value is None else value for value in predicted], float)
    error = expected - np.array(actual, float)
    known = ~np.isnan(error)
    shares = (error / np.where(np.array(actual, float) > 0, actual, np.nan))[known]
    shares = shares[~np.isnan(shares)]
    scores = np.abs(error[known]) if crps is None else np.array(crps, float)
    return Errors(
        forecasts=int(known.sum()),
        mean_absolute_error_share=_compute_mean(np.abs(shares)),
        bias_share=_compute_mean(shares),
        crps=_compute_mean(scores),
    )


def _compute_mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
