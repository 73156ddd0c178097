"""Periods, quantities and changes of the forecast in words."""

from __future__ import annotations

from models.forecast.schemas import WINS
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import UNKNOWN, Row

NAME = "forecast"
# Chances outside are written as less and more than these: no goal but a reached one is certain.
SMALLEST, LARGEST = 0.01, 0.99


def name_period(words: PageWords, row: Row) -> str:
    """Return the name of a row's period, such as ``July 2025``."""
    first = row["period_start"].astimezone(words.zone)
    name = words.texts[NAME]["months"].split("|")[first.month - 1]
    number = str((first.month + 2) // 3)
    return words.text(NAME, row["period"], name=name, n=number, year=str(first.year))


def write_quantity(words: PageWords, value: float, unit: str) -> str:
    """Return a number of wins, or an amount, for a sentence."""
    if unit == WINS:
        return words.count(NAME, WINS, round(value))
    return words.text(NAME, "amount", n=write_plain(words, value))


def write_plain(words: PageWords, value: float | None) -> str:
    """Return a quantity as a whole number; a dash for None."""
    # Without a negative zero.
    return UNKNOWN if value is None else words.number(round(value) + 0).replace("-", "−")


def write_part(words: PageWords, row: Row, part: str) -> str:
    """Return a part of a row with its 80 % interval."""
    value, low, high = (write_plain(words, row[f"{part}_{end}"]) for end in ("mean", "p10", "p90"))
    return words.text("funnel", "range", value=value, low=low, high=high)


def write_chance(words: PageWords, chance: float | None) -> str:
    """Return a chance as per cent; one that is not certain is never written as 0 or 100 %."""
    if chance is None:
        return UNKNOWN
    if 0 < chance < SMALLEST:
        return words.text(NAME, "below", share=words.percent(SMALLEST, 0))
    if LARGEST < chance < 1:
        return words.text(NAME, "above", share=words.percent(LARGEST, 0))
    return words.percent(chance, 0)


def count_changes(words: PageWords, changes: list[Row], unit: str) -> str:
    """Return how much more or less is expected than a week before."""
    values = {row["step"]: row["value"] for row in changes}
    change = round(values["after"]) - round(values["before"])
    before = write_quantity(words, values["before"], unit)
    if not change:
        return words.text(NAME, "unchanged")
    key = "changed_more" if change > 0 else "changed_less"
    return words.text(NAME, key, before=before, change=write_plain(words, abs(change)))
