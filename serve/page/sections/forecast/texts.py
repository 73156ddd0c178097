"""Periods, quantities, goals and changes of the forecast in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from configs.goals.goals import ALL
from models.forecast.result import ForecastResult
from models.forecast.safe_goal import SAFE_CHANCE
from models.forecast.schemas import AMOUNT, WINS
from serve.page.content.words import MINUS, PageWords
from serve.page.sections.funnel.texts import UNKNOWN, Row

NAME = "forecast"
# Chances outside are written as less and more than these: no goal but a reached one is certain.
SMALLEST, LARGEST = 0.01, 0.99
# Chances from which the goal is likely, and below which it is not.
LIKELY, UNLIKELY = 0.75, 0.25
# New leads beyond this share of those that come anyway are more than a team can find.
REALISTIC_SHARE = 0.5
# So many open leads are named as a way to close a gap, and no more.
MAX_CLOSING = 5
# Ends of the way from the expected total of a week before to that of now.
ENDS = ("before", "after")


def select_periods(result: ForecastResult, unit: str) -> list[dict[str, Any]]:
    """Return the rows of FORECAST of all leads in a unit: months first, then the quarter."""
    return [
        row for row in result.forecast.to_pylist() if row["segment"] == ALL and row["unit"] == unit
    ]


def name_period(words: PageWords, row: Row) -> str:
    """Return the name of a row's period, such as ``July 2025``."""
    first = row["period_start"].astimezone(words.zone)
    name = words.texts[NAME]["months"].split("|")[first.month - 1]
    number = str((first.month + 2) // 3)
    return words.text(NAME, row["period"], name=name, n=number, year=str(first.year))


def name_last_day(words: PageWords, row: Row) -> str:
    """Return the last day of a row's period, such as ``31 July``."""
    last = row["period_end"].astimezone(words.zone) - timedelta(days=1)
    month = words.texts[NAME]["months_of"].split("|")[last.month - 1]
    return words.text(NAME, "day", day=str(last.day), month=month)


def write_quantity(words: PageWords, value: float, unit: str) -> str:
    """Return a number of wins, or an amount, for a sentence."""
    return words.count(NAME, WINS, round(value)) if unit == WINS else words.amount(value)


def write_plain(words: PageWords, value: float | None, unit: str) -> str:
    """Return a number of wins, or an amount in short form, for a table; a dash for None."""
    if value is None:
        return UNKNOWN
    return words.amount(value) if unit == AMOUNT else words.number(value)


def write_ends(words: PageWords, row: Row, part: str = "total") -> str:
    """Return the ends of the 80 % interval of a part of a row."""
    low, high = row[f"{part}_p10"], row[f"{part}_p90"]
    if row["unit"] == AMOUNT:
        return words.amounts(low, high)
    return f"{words.number(low)}–{words.number(high)}"


def write_total(words: PageWords, row: Row) -> str:
    """Return the total of a row with its 80 % interval."""
    total = write_plain(words, row["total_mean"], row["unit"])
    return words.text(NAME, "total_cell", total=total, range=write_ends(words, row))


def write_change(words: PageWords, value: float, unit: str, digits: int = 1) -> str:
    """Return a change of a total with its sign; 0 has none."""
    size = words.amount(abs(value)) if unit == AMOUNT else words.number(abs(value), digits)
    # Without its unit, "0.0" and "0" are the same.
    if size in (words.amount(0), words.number(0, digits)):
        return words.number(0)
    return ("+" if value > 0 else MINUS) + size


def write_chance(words: PageWords, chance: float | None) -> str:
    """Return a chance as per cent; one that is not certain is never written as 0 or 100 %."""
    if chance is None:
        return UNKNOWN
    if 0 < chance < SMALLEST:
        return words.text(NAME, "below", share=words.percent(SMALLEST, 0))
    if LARGEST < chance < 1:
        return words.text(NAME, "above", share=words.percent(LARGEST, 0))
    return words.percent(chance, 0)


def judge_goal(words: PageWords, row: Row) -> str:
    """Return whether the goal of a row will be made."""
    period, goal, chance = name_period(words, row), row["goal"], row["p_goal"]
    if goal is None:
        return words.text(NAME, "no_goal", period=period)
    key = "open"
    if row["won"] >= goal:
        key = "reached"
    elif chance >= LIKELY:
        key = "probably"
    elif chance < UNLIKELY:
        key = "hardly"
    values = {"goal": write_quantity(words, goal, row["unit"]), "period": period}
    return words.text(NAME, key, **values, chance=write_chance(words, chance))


def describe_expected(words: PageWords, row: Row) -> str:
    """Return what is expected in the period of a row."""
    total = write_quantity(words, row["total_mean"], row["unit"])
    return words.text(NAME, "expected", total=total, range=write_ends(words, row))


def explain_gap(words: PageWords, result: ForecastResult, row: Row) -> Iterator[str]:
    """Yield what a goal lacks, and what would make it safe: wins, or new leads."""
    gap, unit = row["gap"], row["unit"]
    if gap is None or row["won"] >= row["goal"]:
        return
    key = "missing" if gap > 0 else "ahead"
    yield words.text(NAME, key, gap=write_quantity(words, abs(gap), unit))
    if gap > 0 and row["period"] == result.period and (first := _count_closing(result, row)):
        yield words.count(NAME, "missing_open", first)
    if row["safe_gap"]:
        yield _describe_safe_wins(words, row)
        yield _describe_safe_deals(words, row)


def write_distance(words: PageWords, row: Row) -> str:
    """Return for a table by how much a total is ahead of its goal, or what it lacks."""
    if row["gap"] is None:
        return UNKNOWN
    key = "short_cell" if row["gap"] > 0 else "ahead_cell"
    return words.text(NAME, key, gap=write_plain(words, abs(row["gap"]), row["unit"]))


def _count_closing(result: ForecastResult, row: Row) -> int | None:
    """Return how many of the open leads that add most would close the gap if all were won.

    None where it takes more than MAX_CLOSING.
    """
    name = "amount" if row["unit"] == AMOUNT else None
    gap = row["gap"]
    for number, deal in enumerate(result.deals.slice(0, MAX_CLOSING).to_pylist(), 1):
        value = deal[name] if name else 1.0
        if value is None:
            return None
        gap -= value * (1 - deal["probability"])
        if gap <= 0:
            return number
    return None


def _describe_safe_wins(words: PageWords, row: Row) -> str:
    """Return how many wins more than expected make a goal safe, and what they bring."""
    chance = words.percent(SAFE_CHANCE, 0)
    if row["unit"] == WINS:
        return words.count(NAME, "safe_wins", math.ceil(row["safe_gap"]), chance=chance)
    values = {"chance": chance, "gap": words.amount(row["safe_gap"])}
    if row["safe_wins"] is None:
        return words.text(NAME, "safe_gap", **values)
    return words.count(NAME, "safe_amount", math.ceil(row["safe_wins"]), **values)


def _describe_safe_deals(words: PageWords, row: Row) -> str:
    """Return how many new leads alone make a goal safe, and whether that is realistic."""
    needed, expected = row["safe_new_deals"], row["expected_new_deals"]
    if needed is None:
        return words.text(NAME, "missing_late")
    count = math.ceil(needed)
    if not expected:
        return words.count(NAME, "missing_new_alone", count)
    values = {"expected": words.number(expected), "share": write_chance(words, count / expected)}
    is_realistic = count <= REALISTIC_SHARE * expected
    key = "missing_new" if is_realistic else "missing_new_unrealistic"
    return words.count(NAME, key, count, **values)


def select_changes(result: ForecastResult, unit: str) -> list[dict[str, Any]]:
    """Return the steps from the expected total of a week before to that of now, in a unit."""
    return [step for step in result.changes.to_pylist() if step["unit"] == unit]


def find_change(changes: Sequence[Row]) -> float | None:
    """Return how much more is expected than a week before; None where that is unknown."""
    values = {row["step"]: row["value"] for row in changes}
    return values["after"] - values["before"] if values else None


def describe_week(words: PageWords, changes: Sequence[Row]) -> Iterator[str]:
    """Yield how much more or less is expected than a week before, and the largest cause."""
    change = find_change(changes)
    if change is None:
        return
    unit = changes[0]["unit"]
    written = write_change(words, change, unit, 0)
    if written == words.number(0):
        yield words.text(NAME, "unchanged")
        return
    before = next(row["value"] for row in changes if row["step"] == "before")
    key = "changed_more" if change > 0 else "changed_less"
    values = {"before": write_quantity(words, before, unit), "change": written[1:]}
    causes = [row for row in changes if row["step"] not in ENDS and row["value"] * change > 0]
    cause = max(causes, key=lambda row: abs(row["value"]), default=None)
    yield words.text(NAME, key, **values)
    if cause is not None:
        step, value = name_step(words, cause), write_change(words, cause["value"], unit)
        yield words.text(NAME, "cause", step=step, change=value)


def name_step(words: PageWords, row: Row) -> str:
    """Return a step of the changes in words."""
    # At the begin of a period, wins of the week before belong to the former one.
    earlier = row["step"] == "won" and row["value"] < 0
    return words.text(NAME, "step_won_before" if earlier else f"step_{row['step']}")


def describe_past(words: PageWords, result: ForecastResult) -> str:
    """Return how far past forecasts were off, as far as that is known."""
    summary = result.summarize_track()
    if summary is None:
        return words.text(NAME, "no_past")
    values = {
        "n": words.number(summary.forecasts),
        "what": words.text(NAME, f"past_{summary.unit}"),
        "days": words.number(summary.days),
        "within": words.number(summary.within),
        "limit": words.percent(summary.limit, 0),
        "worst": write_error(words, summary.worst),
    }
    if summary.forecasts == 1:
        key = "past_one"
    else:
        key = "past_all" if summary.within == summary.forecasts else "past"
    return words.text(NAME, key, **values)


def describe_bias(words: PageWords, result: ForecastResult) -> Iterator[str]:
    """Yield to which side past forecasts erred and whether that may be chance, if they are many."""
    summary = result.summarize_track()
    bias = summary.bias if summary else None
    if bias is None:
        return
    values = {
        "low": words.number(bias.too_low),
        "high": words.number(bias.too_high),
        "bias": write_error(words, bias.mean),
        "range": f"{_write_signed(words, bias.low)} … {_write_signed(words, bias.high)}",
    }
    key = "bias_chance"
    if bias.is_beyond_chance:
        key = "bias_too_high" if bias.mean > 0 else "bias_too_low"
    yield words.text(NAME, key, **values)


def _write_signed(words: PageWords, share: float) -> str:
    written = words.percent(share, 0)
    return f"+{written}" if round(share, 2) > 0 else written


def write_error(words: PageWords, share: float) -> str:
    """Return by how much a forecast was off, as a share of what came, and to which side."""
    if not share:
        return words.text(NAME, "exact")
    key = "too_high" if share > 0 else "too_low"
    return words.text(NAME, key, share=write_chance(words, abs(share)))
