"""Results of a forecast, built by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from models.forecast.result import BacktestedForecast, ForecastBacktest, ForecastResult
from models.forecast.schemas import AMOUNT, CHANGES, DEALS, FORECAST, FORECAST_TRACK, WINS
from models.forecast.tables import GOAL_COLUMNS

AS_OF = datetime(2025, 7, 14, tzinfo=UTC)
JULY, AUGUST, SEPTEMBER = (datetime(2025, month, 1, tzinfo=UTC) for month in (7, 8, 9))


def build_row(unit="wins", segment="all", start=JULY, end=AUGUST, scale=1.0, **changes):
    """Return a row of FORECAST; quantities are those of 81 wins so far times ``scale``."""
    parts = {
        "from_open": (112, 98, 112, 127),
        "from_new": (23, 14, 23, 33),
        "total": (216, 195, 216, 238),
    }
    row = {
        "as_of": AS_OF,
        "period": "month",
        "period_start": start,
        "period_end": end,
        "segment": segment,
        "unit": unit,
        "goal": 220.0 * scale,
        "won": 81.0 * scale,
        **{
            f"{part}_{level}": value * scale
            for part, values in parts.items()
            for level, value in zip(("mean", "p10", "p50", "p90"), values, strict=True)
        },
        "p_goal": 0.41,
        "gap": 4.0 * scale,
        "needed_wins": 4.0,
        "needed_new_deals": 29.3,
        "safe_gap": 16.0 * scale,
        "safe_wins": 17.0,
        "safe_new_deals": 70.2,
        "expected_new_deals": 210.4 if segment == "all" else None,
    }
    return row | changes


NO_GOAL = dict.fromkeys(("goal", *GOAL_COLUMNS))
# What a row has whose chance is that of a safe goal, or higher.
SAFE = {"safe_gap": 0.0, "safe_wins": 0.0, "safe_new_deals": 0.0}


def build_deal(number=1, amount=12000.0, probability=0.5, **changes):
    """Return a row of DEALS."""
    row = {
        "entity_id": f"L{number:04}",
        "segment": "all",
        "stage": "proposal",
        "owner": "Anna Berg",
        "age_days": 3.5 + number,
        "probability": probability,
        "amount": amount,
        "contribution": probability * (1.0 if amount is None else amount),
    }
    return row | changes


STEPS = {
    "before": (205.0, None),
    "won": (9.5, 21),
    "lost": (-7.0, 30),
    "advanced": (6.0, 44),
    "slipped": (-5.0, 120),
    "revalued": (0.0, 0),
    "new": (11.0, 37),
    "to_come": (-3.0, None),
    "assumptions": (-0.5, None),
    "after": (216.0, None),
}


def build_changes(unit="wins", scale=1.0):
    """Return the rows of CHANGES of a unit."""
    return [
        {"unit": unit, "step": step, "value": value * scale, "deals": deals}
        for step, (value, deals) in STEPS.items()
    ]


# Errors of the wins of past forecasts; those of amounts are twice as large.
ERRORS = (0.02, -0.04, 0.061, -0.139, 0.0, 0.05, -0.03, 0.09)


def build_track(errors=ERRORS, unit=WINS, step_days=15.5, days=31, sample_share=1.0, came=100.0):
    """Return rows of FORECAST_TRACK that were off by ``errors``, the last as-of 31 days ago."""
    last = AS_OF - timedelta(days=days)
    scale = 2 if unit == AMOUNT else 1
    return [
        {
            "unit": unit,
            "forecast_as_of": last - timedelta(days=step_days * number),
            "forecast_end": last - timedelta(days=step_days * number - days),
            "expected": came * (1 + scale * error),
            "came": came,
            "error_share": scale * error if came else None,
            "sample_share": sample_share,
        }
        for number, error in reversed([*enumerate(reversed(errors))])
    ]


def build_result(rows=None, deals=None, changes=None, **named):
    """Return a result of these rows, by default of wins and amounts with a goal of wins."""
    if rows is None:
        money = {"scale": 1000.0, **NO_GOAL}
        rows = [
            build_row(),
            build_row("amount", **money),
            build_row(start=AUGUST, end=SEPTEMBER, won=0.0, p_goal=0.004),
            build_row("amount", start=AUGUST, end=SEPTEMBER, **money),
        ]
        rows = [row | {"period": named.get("period", "month")} for row in rows]
    deals = [build_deal(number) for number in range(1, 21)] if deals is None else deals
    changes = [*build_changes(), *build_changes("amount", 1000.0)] if changes is None else changes
    track = [*build_track(), *build_track(unit=AMOUNT, came=100e3)]
    given = {
        "track": track,
        "as_of": AS_OF,
        "target": "close",
        "by": None,
        "period": "month",
        "error_share": 0.074,
        "past_forecasts": 8,
        "knows_rate_only": False,
    }
    given |= named
    return ForecastResult(
        forecast=pa.Table.from_pylist(rows, FORECAST),
        deals=pa.Table.from_pylist(deals, DEALS),
        changes=pa.Table.from_pylist(changes, CHANGES),
        **(given | {"track": pa.Table.from_pylist(given["track"], FORECAST_TRACK)}),
    )


def build_backtest(actuals=(100.0, 80.0, 125.0), unit="wins"):
    """Return a backtest whose forecasts are 10 above what came."""
    rows = tuple(
        BacktestedForecast(
            as_of=AS_OF - timedelta(days=7 * (len(actuals) - place)),
            predicted=actual + 10,
            actual=actual,
            open_predicted=actual / 2 + 4,
            open_actual=actual / 2,
            low=actual - 5 if place else actual + 1,
            high=actual + 20,
            crps=3.0,
            stage_weighted=actual * 1.5,
            last_year=None if place == 0 else actual * 0.5,
            rate_only=actual * 0.9,
        )
        for place, actual in enumerate(actuals)
    )
    return ForecastBacktest("close", unit, 30.0, rows, len(rows))
