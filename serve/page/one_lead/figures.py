"""The figures of one lead, each with a sentence that says what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote
from serve.page.content.target_names import round_up_days
from serve.page.content.words import PageWords

NAME = "one_lead"
# Ends of intervals have at most so many decimals of a per cent, of which this is the last.
MAX_DIGITS = 4
SMALLEST_END = 1e-6
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
    end = next(end for end in SCALE_ENDS if high <= end)
    return Interval(
        row["probability"],
        low,
        high,
        end,
        words.text(NAME, "interval_drawn", start=words.percent(0, 0), limit=words.percent(end, 0)),
        words.text(NAME, "interval", low=write_end(words, low), high=write_end(words, high)),
        words.text(NAME, "interval_hint", outcome=outcome),
    )


def write_end(words: PageWords, share: float) -> str:
    """Return an end of an interval as per cent, with the decimals that a small chance needs.

    Only a chance of 0 is written as 0 %, and only one of 1 as 100 %.
    """
    if share not in (0, 1):
        share = min(max(share, SMALLEST_END), 1 - SMALLEST_END)
    distance = 100 * min(share, 1 - share)
    # Without the tolerance 1 − 0.999 would lie below 0.001.
    digits = (digits for digits in range(1, MAX_DIGITS) if distance * 10**digits >= 1 - 1e-6)
    return words.percent(share, next(digits, MAX_DIGITS) if distance else 0)


def _build_grade(data: PageData, row: dict[str, Any]) -> Quote:
    words = data.words
    # A lead of the week's list is to be called in any grade.
    key = f"grade_{row['grade']}" if row["listed"] is None else f"grade_{row['grade']}_listed"
    hint = words.text(NAME, key)
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
    half, most = (
        words.language.length(int(round_up_days(row[name])), "day")
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
        else words.text(NAME, "value_hint", amount=words.amount(amount))
    )
    return Quote(words.text(NAME, "value"), words.amount(row["expected_value"]), hint)
