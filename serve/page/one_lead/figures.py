"""The figures of one lead, each with a sentence that says what it means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from configs.targets import ColumnOutcome
from features.definitions.feature import TYPE_PREFIX
from features.wording.wording import Wording
from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote

NAME = "one_lead"
# A chance is written as so many of these leads: the first number that makes one lead or more.
CHANCE_SIZES = (100, 1_000, 10_000)
# Ends of the scale on which an interval is drawn; the first that holds it.
SCALE_ENDS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Interval:
    """An interval of a probability, drawn on a scale from 0 and in words.

    Attributes:
        value: The probability.
        low: Lower end.
        high: Upper end.
        end: End of the scale.
        scale: What the scale shows.
        text: The interval in words.
        hint: What it means.
    """

    value: float
    low: float
    high: float
    end: float
    scale: str
    text: str
    hint: str


def describe_outcome(data: PageData, wording: Wording, target: str) -> str:
    """Return the outcome of a target in the project's own words."""
    config = data.project.targets[target]
    if isinstance(config.outcome, ColumnOutcome):
        return wording.name(config.outcome.column)
    return " / ".join(wording.name(name, TYPE_PREFIX) for name in config.outcome_types)


def build_figures(data: PageData, row: dict[str, Any], outcome: str, scored: int) -> list[Quote]:
    """Return the figures of a row of SCORES; ``scored`` is the number of leads of its target."""
    words = data.words
    horizon = data.project.targets[row["target"]].horizon
    within = words.language.duration(horizon)
    key = "probability_hint" if horizon else "probability_plain"
    rank = {"rank": words.number(row["rank"]), "all": words.number(scored)}
    figures = [
        _build_grade(data, row),
        Quote(
            words.text(NAME, "score"),
            words.number(row["score"]),
            words.text(NAME, "score_hint", **rank),
        ),
        Quote(
            words.text(NAME, "probability"),
            words.percent(row["probability"]),
            words.text(NAME, key, outcome=outcome, horizon=within),
        ),
        _build_evidence(data, row),
    ]
    if row["outcome_days_50"] is not None:
        figures.append(_build_timing(data, row))
    if row["expected_value"] is not None:
        figures.append(_build_value(data, row))
    return figures


def build_interval(data: PageData, row: dict[str, Any], outcome: str) -> Interval:
    """Return the interval of a row of SCORES."""
    words = data.words
    low, high = row["probability_low"], row["probability_high"]
    first, last, size = count_chances(low, high)
    numbers = {"low": words.number(first), "high": words.number(last), "of": words.number(size)}
    end = next(end for end in SCALE_ENDS if high <= end)
    return Interval(
        row["probability"],
        low,
        high,
        end,
        words.text(NAME, "interval_drawn", start=words.percent(0, 0), limit=words.percent(end, 0)),
        words.text(NAME, "interval", **numbers),
        words.text(NAME, "interval_hint", outcome=outcome, **numbers),
    )


def count_chances(low: float, high: float) -> tuple[int, int, int]:
    """Return an interval of a probability as (from, to, of): 4 to 9 of 100 leads.

    There are as many leads as make the lower end a whole one, up to the last of CHANCE_SIZES. Only
    a chance of 0 is none of them, and only one of 1 is all of them, and the ends lie outside the
    interval.
    """
    size = next((size for size in CHANCE_SIZES if low * size >= 1), CHANCE_SIZES[-1])
    # Products such as 0.07 * 100 lie above the whole number that they mean.
    first, last = math.floor(round(low * size, 6)), math.ceil(round(high * size, 6))
    first = first if low == 0 else max(first, 1)
    last = last if high in (0, 1) else min(max(last, 1), size - 1)
    return min(first, last), last, size


def _build_grade(data: PageData, row: dict[str, Any]) -> Quote:
    words = data.words
    hint = words.text(NAME, f"grade_{row['grade']}")
    if row["falling_since"] is not None:
        day = words.day(row["falling_since"])
        hint = f"{hint} {words.text(NAME, 'grade_kept', day=day)}"
    return Quote(words.text(NAME, "grade"), row["grade"], hint)


def _build_evidence(data: PageData, row: dict[str, Any]) -> Quote:
    words = data.words
    key = "evidence_enough" if row["evidence"] == "enough" else "evidence_little"
    return Quote(
        words.text(NAME, "evidence"), words.text(NAME, key), words.text(NAME, f"{key}_hint")
    )


def _build_timing(data: PageData, row: dict[str, Any]) -> Quote:
    words = data.words
    # Days that have ended: an outcome within the first day has come by day 1.
    half, most = (
        words.language.length(max(1, math.ceil(row[name])), "day")
        for name in ("outcome_days_50", "outcome_days_80")
    )
    return Quote(
        words.text(NAME, "timing"),
        words.text(NAME, "timing_value", days=half),
        words.text(NAME, "timing_hint", late=most, day=words.day(row["cutoff"])),
    )


def _build_value(data: PageData, row: dict[str, Any]) -> Quote:
    words = data.words
    amount = row["amount"]
    hint = (
        words.text(NAME, "value_plain")
        if amount is None
        else words.text(NAME, "value_hint", amount=words.number(amount))
    )
    return Quote(words.text(NAME, "value"), words.number(row["expected_value"]), hint)
