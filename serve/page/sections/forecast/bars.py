"""Bars of the forecast: what is won and to come, and what changed in a week.

The template draws them in per cent of the width there is, with their values next to them, so that
they fit on a phone and on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serve.page.content.words import PageWords
from serve.page.sections.forecast.texts import (
    ENDS,
    name_period,
    name_step,
    write_chance,
    write_change,
    write_plain,
    write_total,
)
from serve.page.sections.funnel.texts import UNKNOWN, Row

# Parts of a total, in the order of the bar.
PARTS = ("won", "from_open", "from_new")


@dataclass(frozen=True)
class PeriodBar:
    """A period with its parts; places are in per cent of the longest bar.

    Attributes:
        name: The period.
        parts: Start and length of each part by its name.
        low: Lower end of the interval of the total.
        total: The total.
        high: Upper end of the interval.
        goal: The goal; None without one.
        cells: The total with its interval, the goal, and its chance, in words.
    """

    name: str
    parts: Mapping[str, tuple[float, float]]
    low: float
    total: float
    high: float
    goal: float | None
    cells: Mapping[str, str]


@dataclass(frozen=True)
class StepBar:
    """A step of the changes; ``kind`` is ``end``, ``more`` or ``less``."""

    name: str
    kind: str
    start: float
    length: float
    cells: Mapping[str, str]


def lay_out_periods(words: PageWords, rows: Sequence[Row]) -> list[PeriodBar]:
    """Return the bar of each row of FORECAST, of one unit."""
    longest = max(max(row["total_p90"], row["total_mean"], row["goal"] or 0.0) for row in rows)
    return [_lay_out_period(words, row, 100 / longest if longest > 0 else 0.0) for row in rows]


def _lay_out_period(words: PageWords, row: Row, scale: float) -> PeriodBar:
    parts, at = dict[str, tuple[float, float]](), 0.0
    for part in PARTS:
        value = row["won"] if part == "won" else row[f"{part}_mean"]
        parts[part] = (_round_place(at * scale), _round_place(value * scale))
        at += value
    cells = {
        "total": write_total(words, row),
        "goal": write_plain(words, row["goal"], row["unit"]),
        "chance": write_chance(words, row["p_goal"]),
    }
    low, mean, high = (row[f"total_{end}"] * scale for end in ("p10", "mean", "p90"))
    goal = None if row["goal"] is None else _round_place(row["goal"] * scale)
    ends = _round_place(low), _round_place(mean), _round_place(high)
    return PeriodBar(name_period(words, row), parts, *ends, goal, cells)


def lay_out_changes(words: PageWords, changes: Sequence[Row]) -> list[StepBar]:
    """Return the steps from the expected total of a week before to that of now.

    A step that changes nothing is left out.
    """
    ends, at = list[tuple[Row, float, float]](), 0.0
    for row in changes:
        start = 0.0 if row["step"] in ENDS else at
        at = start + row["value"]
        ends.append((row, start, at))
    longest = max((max(start, end) for _, start, end in ends), default=0.0)
    scale = 100 / longest if longest > 0 else 0.0
    steps = [_lay_out_step(words, row, start, end, scale) for row, start, end in ends]
    return [step for step in steps if step.kind == "end" or step.cells["change"] != "0"]


def _lay_out_step(words: PageWords, row: Row, start: float, end: float, scale: float) -> StepBar:
    is_end = row["step"] in ENDS
    kind = "end" if is_end else "more" if row["value"] >= 0 else "less"
    write = write_plain if is_end else write_change
    cells = {
        "change": write(words, row["value"], row["unit"]),
        "leads": UNKNOWN if row["deals"] is None else words.number(row["deals"]),
    }
    length = _round_place(abs(end - start) * scale)
    return StepBar(
        name_step(words, row), kind, _round_place(min(start, end) * scale), length, cells
    )


def _round_place(share: float) -> float:
    return round(share, 2)
