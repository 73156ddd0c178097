"""The forecast as sentences and tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from configs.goals.goals import ALL
from configs.goals.periods import find_period
from models.forecast.accuracy import Errors, ForecastAccuracy
from models.forecast.result import HISTORY
from models.forecast.safe_goal import SAFE_CHANCE
from models.forecast.schemas import AMOUNT
from pipelines.reports.company.funnel_tables import (
    NOTHING,
    format_amount,
    format_days,
    name_amounts,
    replace_hyphens,
)

if TYPE_CHECKING:
    from models.forecast.result import ForecastBacktest, ForecastResult
    from models.forecast.track import TrackSummary

# Deals that the terminal shows; files and JSON have all.
MAX_DEALS = 15
# What is expected, and the ends of its interval.
LEVELS = ("mean", "p10", "p90")
# The steps from the expected total of a week before to that of now.
STEPS = {
    "before": "expected a week before",
    "won": "won",
    "lost": "lost",
    "advanced": "moved on to a later stage",
    "slipped": "a week less time, or fell back",
    "revalued": "amounts changed",
    "new": "created since",
    "to_come": "a week less for deals to come",
    "assumptions": "win rates estimated anew",
    "after": "expected now",
}


def describe_forecast(result: ForecastResult, zone: ZoneInfo, currency: str | None = None) -> str:
    """Return the forecast of the current period in a few sentences."""
    row = result.select_headline()
    unit = row["unit"]
    total, low, high = (format_quantity(row[f"total_{level}"], unit) for level in LEVELS)
    open_part, open_low, open_high = (
        format_quantity(row[f"from_open_{level}"], unit) for level in LEVELS
    )
    new = format_quantity(row["from_new_mean"], unit)
    money = f" {currency}" if currency and unit == AMOUNT else ""
    return (
        f"{describe_period(row, zone)}: {format_quantity(row['won'], unit)}{money} won so "
        f"far, {open_part} to come from open deals (80 % interval {open_low}–{open_high}), {new} "
        f"from deals not created yet: {total}{money} in all ({low}–{high}). "
        f"{describe_goal(row, currency)}"
    )


def describe_goal(row: dict[str, Any], currency: str | None = None) -> str:
    """Return whether the goal of a row will be reached, what is missing, and what makes it safe."""
    goal, unit = row["goal"], row["unit"]
    if goal is None:
        return "No goal is set."
    money = f" {currency}" if currency and unit == AMOUNT else ""
    written = f"Goal {format_quantity(goal, unit)}{money}"
    if row["won"] >= goal:
        return f"{written}: reached."
    distance = describe_distance(row)
    return f"{written}: chance {format_chance(row['p_goal'])}, {distance}.{_describe_safe(row)}"


def describe_distance(row: dict[str, Any]) -> str:
    """Return by how much the expected total of a row is ahead of its goal, or short of it."""
    if row["gap"] is None:
        return NOTHING
    written = format_quantity(abs(row["gap"]), row["unit"])
    return f"{written} {'ahead' if row['gap'] <= 0 else 'short'}"


def _describe_safe(row: dict[str, Any]) -> str:
    """Return what makes a row's goal safe; nothing where it is, or where a night does not say."""
    gap, wins, deals = row["safe_gap"], row["safe_wins"], row["safe_new_deals"]
    if not gap:
        return ""
    parts = []
    if wins is not None:
        noun = "win" if math.ceil(wins) == 1 else "wins"
        parts.append(f"{math.ceil(wins):,} more {noun} than expected")
    if deals is not None:
        to_come = row["expected_new_deals"]
        beside = "" if to_come is None else f", on top of {to_come:,.0f} to come"
        parts.append(f"{math.ceil(deals):,} deals created now{beside}")
    written = f" For a chance of {_format_share(SAFE_CHANCE, 0)} it takes "
    if row["unit"] == AMOUNT:
        written += f"{format_quantity(gap, AMOUNT)} more" + (": " if parts else "")
    late = "; deals that are created now hardly close in time" if deals is None else ""
    return f"{written}{', or '.join(parts)}{late}."


def describe_period(row: dict[str, Any], zone: ZoneInfo) -> str:
    """Return the name of a row's period, such as ``July 2025``."""
    return find_period(row["period_start"], zone, row["period"]).label


def describe_errors(result: ForecastResult) -> str:
    """Return how far past forecasts were off."""
    summary = result.summarize_track()
    if summary is None:
        return (
            "no past forecast can be compared with what came: the intervals rest on the rates alone"
        )
    what, ahead = _name_unit(summary.unit), f"{summary.days:.0f} days ahead"
    if summary.forecasts == 1:
        text = f"the only past forecast of the {what} {ahead}: {_describe_error(summary.worst)}"
    else:
        within = "all" if summary.within == summary.forecasts else f"{summary.within:,}"
        text = f"the last {summary.forecasts:,} forecasts {ahead}: {within} within "
        text += f"{_format_share(summary.limit, 0)} of the {what} that came"
        if summary.within < summary.forecasts:
            text += f", the worst {_describe_error(summary.worst)}"
    text += _describe_bias(summary)
    if summary.shared_days >= 0.5:
        text += f"; they overlap: each shares about {summary.shared_days:.0f} days with the next"
    if summary.sample_share < 1:
        they = "it is" if summary.forecasts == 1 else "they are"
        text += f"; {they} of a sample of {format_chance(summary.sample_share)} of the deals"
    return text


def _describe_bias(summary: TrackSummary) -> str:
    """Return to which side the forecasts erred on average, and whether that may be chance."""
    bias = summary.bias
    if bias is None:
        return ""
    low, high = (_format_share(end, 0, "+") for end in (bias.low, bias.high))
    verdict = "beyond chance" if bias.is_beyond_chance else "within chance"
    return (
        f"; {bias.too_low:,} too low and {bias.too_high:,} too high, "
        f"{_describe_error(bias.mean)} on average (90 % interval {low} to {high}): {verdict}"
    )


def _describe_error(share: float) -> str:
    """Return by how much a forecast was off, and to which side."""
    if not share:
        return "right"
    return f"{format_chance(abs(share))} too {'high' if share > 0 else 'low'}"


def describe_knowledge(result: ForecastResult) -> list[str]:
    """Return a line if the forecast knows no more than the overall rate."""
    if not result.knows_rate_only:
        return []
    return [
        "stage and age of the open deals say nothing beyond the overall rate: the forecast knows "
        "no more than that"
    ]


def build_forecast_table(
    result: ForecastResult, zone: ZoneInfo, currency: str | None = None
) -> list[list[str]]:
    """Return the forecast by period and unit, and of the first period also by segment."""
    safe = _format_share(SAFE_CHANCE, 0)
    table = [
        [
            "period",
            *([result.by] if result.by else []),
            "unit",
            "won",
            "from open",
            "from new",
            "total",
            "goal",
            "chance",
            "against goal",
            f"{safe}: wins",
            "or deals",
        ]
    ]
    first = result.select_headline()
    rows = list[dict[str, Any]]()
    for row in result.forecast.to_pylist():
        if row["segment"] == ALL:
            is_first = all(row[key] == first[key] for key in ("period", "period_start"))
            rows += result.select_segments(row) if is_first else [row]
    for row in rows:
        needed = (row["safe_wins"], row["safe_new_deals"])
        table.append(
            [
                describe_period(row, zone),
                *([row["segment"]] if result.by else []),
                name_amounts(AMOUNT, currency) if row["unit"] == AMOUNT else row["unit"],
                format_quantity(row["won"], row["unit"]),
                *(_format_part(row, part) for part in ("from_open", "from_new", "total")),
                format_quantity(row["goal"], row["unit"]),
                format_chance(row["p_goal"]),
                describe_distance(row),
                *(NOTHING if count is None else f"{math.ceil(count):,}" for count in needed),
            ]
        )
    return table


def build_change_table(rows: list[dict[str, Any]], currency: str | None = None) -> list[list[str]]:
    """Return the steps from the expected total a week before to that of now."""
    units = list(dict.fromkeys(row["unit"] for row in rows))
    by_step = {(row["step"], row["unit"]): row for row in rows}
    names = [name_amounts(unit, currency) if unit == AMOUNT else unit for unit in units]
    table = [["change in a week", "deals", *names]]
    for step in dict.fromkeys(row["step"] for row in rows):
        own = [by_step.get((step, unit)) for unit in units]
        counts = [row["deals"] for row in own if row and row["deals"] is not None]
        # Those of which amounts changed are none where wins are counted.
        deals = max(counts, default=None)
        values = [
            NOTHING if row is None else _format_step(step, row["value"], row["unit"]) for row in own
        ]
        table.append([STEPS.get(step, step), NOTHING if deals is None else f"{deals:,}", *values])
    return table


def build_deal_table(rows: list[dict[str, Any]], currency: str | None = None) -> list[list[str]]:
    """Return the open deals that add most, the first ones."""
    has_amount = any(row["amount"] is not None for row in rows)
    amounts = [name_amounts(name, currency) for name in ("amount", "adds")] if has_amount else []
    table = [["deal", "stage", "owner", "for", "chance", *amounts]]
    for row in rows[:MAX_DEALS]:
        amounts = [format_amount(row["amount"]), format_amount(row["contribution"])]
        table.append(
            [
                row["entity_id"],
                row["stage"],
                row["owner"] or NOTHING,
                format_days(row["age_days"]),
                _format_share(row["probability"]),
                *(amounts if has_amount else []),
            ]
        )
    return table


def describe_backtest(backtest: ForecastBacktest, accuracy: ForecastAccuracy) -> str:
    """Return in a sentence how far the past forecasts were off."""
    total = accuracy.total
    held = sum(row.holds for row in backtest.as_ofs)
    return (
        f"{total.forecasts:,} past forecasts of the {_name_unit(backtest.unit)} of the next "
        f"{backtest.horizon_days:g} days: {_format_errors(total)}; the 90 % interval held what "
        f"came in {held:,} of {len(backtest.as_ofs):,}"
    )


def describe_missing(backtest: ForecastBacktest) -> list[str]:
    """Return a line where fewer as-ofs were tested than were asked for."""
    tested, days = len(backtest.as_ofs), backtest.horizon_days
    if tested == backtest.asked:
        return []
    return [
        f"{tested:,} of the {backtest.asked:,} as-ofs that were asked for could be tested: two are "
        f"at least a day apart, and each needs {HISTORY * days:g} days of data before it, "
        f"{HISTORY:g} times the days ahead, and {days:g} after it"
    ]


def build_backtest_table(backtest: ForecastBacktest, zone: ZoneInfo) -> list[list[str]]:
    """Return each past forecast beside what came."""
    unit = backtest.unit
    table = [
        [
            "as of",
            "predicted",
            "actual",
            "error",
            "90 % interval",
            "open",
            "actual",
            "stage-weighted",
            "last year",
            "rate only",
        ]
    ]
    for row in backtest.as_ofs:
        error = row.predicted / row.actual - 1 if row.actual else None
        table.append(
            [
                f"{row.as_of.astimezone(zone):%Y-%m-%d}",
                format_quantity(row.predicted, unit),
                format_quantity(row.actual, unit),
                NOTHING if error is None else _format_share(error, sign="+"),
                f"{format_quantity(row.low, unit)}–{format_quantity(row.high, unit)}",
                *(
                    format_quantity(value, unit)
                    for value in (
                        row.open_predicted,
                        row.open_actual,
                        row.stage_weighted,
                        row.last_year,
                        row.rate_only,
                    )
                ),
            ]
        )
    return table


def build_accuracy_table(accuracy: ForecastAccuracy, unit: str) -> list[list[str]]:
    """Return the errors of the forecast and of simpler ones."""
    table = [["forecast", "as-ofs", "absolute error", "bias", "CRPS"]]
    for name, errors in (
        ("this one", accuracy.total),
        ("stage-weighted", accuracy.stage_weighted),
        ("last year", accuracy.last_year),
        ("rate only", accuracy.rate_only),
        ("this one, open deals", accuracy.open),
        ("stage-weighted, open deals", accuracy.stage_weighted_open),
    ):
        table.append(
            [
                name,
                f"{errors.forecasts:,}",
                _format_share(errors.mean_absolute_error_share),
                _format_share(errors.bias_share, sign="+"),
                NOTHING if math.isnan(errors.crps) else format_score(errors.crps, unit),
            ]
        )
    return table


def format_quantity(value: float | None, unit: str) -> str:
    """Return a number of wins or an amount."""
    if value is None or unit == AMOUNT:
        return format_amount(value)
    # Without a negative zero.
    return replace_hyphens(f"{round(value) + 0:,}")


def format_chance(value: float | None) -> str:
    """Return a chance as per cent; one that is not certain is never written as 0 or 100 %."""
    if value is None:
        return NOTHING
    if 0 < value < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < value < 1 else _format_share(value, 0)


def format_score(value: float, unit: str) -> str:
    """Return a score in the unit of the forecast."""
    return format_amount(value) if unit == AMOUNT else replace_hyphens(f"{value:,.1f}")


def _format_part(row: dict[str, Any], part: str) -> str:
    value, low, high = (format_quantity(row[f"{part}_{level}"], row["unit"]) for level in LEVELS)
    return f"{value} ({low}–{high})"


def _format_step(step: str, value: float, unit: str) -> str:
    if step in ("before", "after"):
        return format_score(value, unit)
    written = format_score(abs(value), unit)
    if written == format_score(0.0, unit):
        return written
    return ("+" if value > 0 else replace_hyphens("-")) + written


def _format_errors(errors: Errors) -> str:
    return (
        f"{_format_share(errors.mean_absolute_error_share)} off on average, bias "
        f"{_format_share(errors.bias_share, sign='+')}"
    )


def _format_share(value: float, decimals: int = 1, sign: str = "") -> str:
    if math.isnan(value):
        return NOTHING
    return replace_hyphens(f"{100 * value:{sign}.{decimals}f} %")


def _name_unit(unit: str) -> str:
    return "amounts" if unit == AMOUNT else unit
