"""Charts of the forecast: what is won and to come, and what changed in a week."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from configs.goals.goals import ALL
from models.forecast.result import ForecastResult
from models.forecast.schemas import WINS
from serve.page.content.charts import AXIS_COUNT, BAR_HEIGHT
from serve.page.content.parts import Chart, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.forecast_texts import (
    NAME,
    name_period,
    write_part,
    write_plain,
)
from serve.page.sections.funnel.texts import UNKNOWN, Row, order_axis

# Parts of a total with their colours, in the order of the bar.
PARTS = {
    "won": "var(--good)",
    "from_open": "var(--series-1)",
    "from_new": "var(--series-2)",
}
# Ends of the way from the expected total of a week before to that of now.
ENDS = ("before", "after")
AXIS_AMOUNT: dict[str, Any] = {"axis": {"tickCount": 5, "format": "~s"}}


def draw_parts(words: PageWords, result: ForecastResult, unit: str) -> Chart:
    """Return the bars of the current period and the next, with goal and interval."""
    periods = [
        row for row in result.forecast.to_pylist() if row["segment"] == ALL and row["unit"] == unit
    ]
    marks = [mark for row in periods for mark in _list_marks(words, row)]
    spec = {
        "height": 2 * BAR_HEIGHT * len(periods),
        "encoding": {"y": order_axis(mark["stage"] for mark in marks)},
        "layer": [*_list_layers(words, periods, _make_axis(words, unit))],
    }
    keys = ("period", *PARTS, "total", "goal")
    cells = [
        [
            name_period(words, row),
            write_plain(words, row["won"]),
            *(write_part(words, row, part) for part in ("from_open", "from_new", "total")),
            write_plain(words, row["goal"]),
        ]
        for row in periods
    ]
    headings = [words.text(NAME, key) for key in keys]
    has_goal = any(row["goal"] is not None for row in periods)
    caption = words.text(NAME, "parts_caption" if has_goal else "parts_caption_no_goal")
    table = Table(caption, headings, cells, frozenset(range(1, len(keys))))
    summary = "; ".join(f"{cell[0]}: {cell[4]}" for cell in cells)
    return Chart(f"{NAME}-parts", caption, f"{caption}. {summary}", spec, marks, table)


def _list_layers(
    words: PageWords, periods: list[Row], across: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the layers of the parts, the interval of the total, the total, and the goal."""
    parts = {"domain": [words.text(NAME, part) for part in PARTS], "range": [*PARTS.values()]}
    yield {
        "transform": [{"filter": "datum.part !== null"}],
        "mark": {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1, "height": 22},
        "encoding": {
            "x": {"field": "value", "stack": True, **across},
            "color": {"field": "part", "scale": parts, "title": None},
            "order": {"field": "place"},
        },
    }
    totals = [{"filter": "datum.low !== null"}]
    yield {
        "transform": totals,
        "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 2},
        "encoding": {"x": {"field": "low", **across}, "x2": {"field": "high"}},
    }
    yield {
        "transform": totals,
        "mark": {"type": "point", "color": "var(--ink)", "size": 60},
        "encoding": {"x": {"field": "value", **across}},
    }
    # Without a goal Vega would warn of an axis without an extent.
    if any(row["goal"] is not None for row in periods):
        yield {
            "transform": [{"filter": "datum.goal !== null"}],
            "mark": {"type": "tick", "color": "var(--bad)", "thickness": 3, "size": 36},
            "encoding": {"x": {"field": "goal", **across}},
        }


def _list_marks(words: PageWords, row: Row) -> Iterator[dict[str, Any]]:
    """Yield the parts of a period's bar, and its total with interval and goal."""
    empty = {"stage": name_period(words, row), "part": None, "place": None}
    empty |= {"value": None, "low": None, "high": None, "goal": None}
    for place, part in enumerate(PARTS):
        value = row["won"] if part == "won" else row[f"{part}_mean"]
        yield empty | {"part": words.text(NAME, part), "place": place, "value": value}
    ends = {"low": row["total_p10"], "high": row["total_p90"], "goal": row["goal"]}
    yield empty | ends | {"value": row["total_mean"]}


def draw_changes(words: PageWords, changes: list[Row]) -> Iterator[Chart]:
    """Yield the way from the expected total of a week before to that of now, if it is known."""
    if not changes:
        return
    rows = [*_list_steps(words, changes)]
    across = _make_axis(words, changes[0]["unit"])
    # The steps are small beside the totals, which therefore are lines and no bars from zero.
    across["scale"] = {"zero": False, "padding": 12}
    colours = {"domain": ["more", "less"], "range": ["var(--good)", "var(--bad)"]}
    spec = {
        "height": BAR_HEIGHT * len(rows) + 12,
        "encoding": {"y": order_axis(row["stage"] for row in rows)},
        "layer": [
            {
                "transform": [{"filter": "datum.kind !== 'end'"}],
                "mark": {"type": "bar", "height": 16},
                "encoding": {
                    "x": {"field": "start", **across},
                    "x2": {"field": "end"},
                    "color": {"field": "kind", "scale": colours, "legend": None},
                },
            },
            {
                "transform": [{"filter": "datum.kind === 'end'"}],
                "mark": {"type": "tick", "color": "var(--ink)", "thickness": 4, "size": 20},
                "encoding": {"x": {"field": "end", **across}},
            },
        ],
    }
    cells = [
        [
            _name_step(words, row["step"]),
            _write_change(words, row),
            UNKNOWN if row["deals"] is None else words.number(row["deals"]),
        ]
        for row in changes
    ]
    headings = [words.text(NAME, key) for key in ("step", "change", "deals_column")]
    caption = words.text(NAME, "changes_caption")
    table = Table(caption, headings, cells, frozenset({1, 2}))
    summary = "; ".join(f"{step}: {change}" for step, change, _ in cells)
    yield Chart(f"{NAME}-changes", caption, f"{caption}. {summary}", spec, rows, table)


def _list_steps(words: PageWords, changes: list[Row]) -> Iterator[dict[str, Any]]:
    """Yield where the bar of each step begins and ends."""
    at = 0.0
    for row in changes:
        is_end = row["step"] in ENDS
        start, at = (row["value"], row["value"]) if is_end else (at, at + row["value"])
        kind = "end" if is_end else "more" if row["value"] >= 0 else "less"
        yield {"stage": _name_step(words, row["step"]), "start": start, "end": at, "kind": kind}


def _name_step(words: PageWords, step: str) -> str:
    return words.text(NAME, "step_won" if step == "won" else step)


def _write_change(words: PageWords, row: Row) -> str:
    if row["step"] in ENDS:
        return write_plain(words, row["value"])
    digits = 1 if row["unit"] == WINS else 0
    number = round(row["value"], digits) + 0
    return words.language.number(number, f"+,.{digits}f" if number else ",.0f").replace("-", "−")


def _make_axis(words: PageWords, unit: str) -> dict[str, Any]:
    axis = AXIS_COUNT if unit == WINS else AXIS_AMOUNT
    return {"type": "quantitative", "title": words.text(NAME, f"{unit}_axis"), **axis}
