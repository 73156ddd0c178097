"""The biggest leak: the stage that would add most wins, were it as good as it once was."""

from __future__ import annotations

from typing import Any

from models.funnel.result import FunnelTables
from serve.page.content.charts import BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    Row,
    get_tables,
    name_state,
    order_axis,
    write_range,
)

NAME = "funnel_leak"


def build_leak(data: PageData) -> Section | None:
    """Return the section: the stages that once moved on more, ranked by the wins it would add."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, leaks = data.words, _select_leaks(tables)
    title = words.text(NAME, "title")
    if not leaks:
        return Section(NAME, GROUP, title, words.text(NAME, "none"))
    first = leaks[0]
    sentence = _describe_leak(words, first, "sentence")
    if first["added_wins_low"] <= 0:
        sentence += " " + words.text(NAME, "by_chance")
    quote = Quote(
        words.text(NAME, "quote", stage=name_state(words, first["stage"])),
        f"+{words.number(first['added_wins'], 1)}",
        words.text(NAME, "interval", **_write_interval(words, first)),
    )
    return Section(
        NAME, GROUP, title, sentence, [quote], [_rank_leaks(words, leaks)],
        notes=[words.text(NAME, "hindsight")],
    )  # fmt: skip


def _select_leaks(tables: FunnelTables) -> list[Row]:
    """Return the rows of LEAKS that would add a win, as the page writes it."""
    return [row for row in tables.leaks.to_pylist() if round(row["added_wins"], 1) > 0]


def _describe_leak(words: PageWords, leak: Row, key: str) -> str:
    return words.text(
        NAME,
        key,
        stage=name_state(words, leak["stage"]),
        now=words.percent(leak["now_30d"]),
        best=words.percent(leak["best_30d"]),
        since=words.day(leak["best_from"]),
        added=words.number(leak["added_wins"], 1),
        **_write_interval(words, leak),
    )


def _write_interval(words: PageWords, leak: Row) -> dict[str, str]:
    return {end: words.number(leak[f"added_wins_{end}"], 1) for end in ("low", "high")}


def _rank_leaks(words: PageWords, leaks: list[Row]) -> Chart:
    rows = [
        {
            "stage": name_state(words, leak["stage"]),
            "added": leak["added_wins"],
            "low": leak["added_wins_low"],
            "high": leak["added_wins_high"],
        }
        for leak in leaks
    ]
    across: dict[str, Any] = {"type": "quantitative", "title": words.text(NAME, "added_wins")}
    across |= {"axis": {"tickCount": 6, "format": "~r"}}
    spec = {
        "height": BAR_HEIGHT * len(rows) + 12,
        "encoding": {"y": order_axis(row["stage"] for row in rows)},
        "layer": [
            {"mark": "bar", "encoding": {"x": {"field": "added", **across}}},
            {
                "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 2},
                "encoding": {"x": {"field": "low", **across}, "x2": {"field": "high"}},
            },
        ],
    }
    keys = ("stage", "added_wins", "now_30d", "best_30d", "best_from")
    cells = [
        [
            name_state(words, leak["stage"]),
            write_range(words, leak, "added_wins", lambda w, value: w.number(value, 1)),
            words.percent(leak["now_30d"]),
            words.percent(leak["best_30d"]),
            words.day(leak["best_from"]),
        ]
        for leak in leaks
    ]
    caption = words.text(NAME, "caption")
    table = Table(caption, [words.text(NAME, key) for key in keys], cells, frozenset({1, 2, 3}))
    summary = "; ".join(f"{cell[0]}: {cell[1]}" for cell in cells)
    return Chart(NAME, caption, f"{caption}. {summary}", spec, rows, table)
