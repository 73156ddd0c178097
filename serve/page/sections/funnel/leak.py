"""What to change first: the stage that would add most wins, were it as good as it once was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from models.funnel.cohorts import COHORT_US
from models.funnel.result import FunnelTables
from serve.page.content.charts import BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    WORDS,
    Row,
    get_tables,
    name_state,
    order_axis,
)

NAME = "funnel_leak"
# Fewer wins than these are written with a decimal.
FEW_WINS = 2


def build_leak(data: PageData) -> Section | None:
    """Return the section: the stages that once moved on more, ranked by the wins it would add."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, leaks = data.words, _select_leaks(tables)
    title = words.text(NAME, "title")
    if not leaks:
        return Section(NAME, GROUP, title, words.text(NAME, "none"))
    first = choose_leak(leaks)
    quote = Quote(
        words.text(NAME, "quote", stage=name_state(words, first["stage"])),
        f"+{_write_wins(words, first)}",
        words.text(NAME, "interval", **_write_interval(words, first)),
    )
    return Section(
        NAME, GROUP, title, _recommend_stage(words, leaks, first), [quote],
        [_rank_leaks(words, leaks)], notes=[words.text(NAME, "hindsight")],
    )  # fmt: skip


def describe_first_leak(data: PageData) -> str | None:
    """Return which stage to change first, and what that would add; None without a leak."""
    words, tables = data.words, get_tables(data)
    leaks = _select_leaks(tables) if tables is not None else []
    if not leaks:
        return None
    first = choose_leak(leaks)
    stage, added = name_state(words, first["stage"]), _write_wins(words, first)
    text = words.text(NAME, "short", stage=stage, added=added, **_write_interval(words, first))
    return text if _is_sure(first) else f"{text} {words.text(NAME, 'by_chance')}"


def choose_leak(leaks: Sequence[Row]) -> Row:
    """Return the leak to close first: of those beyond chance, if there are any, the biggest."""
    return next((leak for leak in leaks if _is_sure(leak)), leaks[0])


def _is_sure(leak: Row) -> bool:
    """Return whether the interval lies above zero, as it is written."""
    return bool(round(leak["added_wins_low"], _choose_digits(leak)) > 0)


def _choose_digits(leak: Row) -> int:
    """Return the decimals of the wins to gain: none, unless they are few."""
    return 0 if leak["added_wins"] >= FEW_WINS else 1


def _recommend_stage(words: PageWords, leaks: Sequence[Row], first: Row) -> str:
    """Return the one recommendation, and where a difference may be chance."""
    sentences = [_describe_leak(words, first)]
    rest = [name_state(words, row["stage"]) for row in leaks if row is not first]
    if not _is_sure(first):
        sentences.append(words.text(NAME, "by_chance"))
    elif rest and not any(_is_sure(row) for row in leaks if row is not first):
        sentences.append(words.text(NAME, "rest_by_chance", stages=", ".join(rest)))
    return " ".join(sentences)


def _select_leaks(tables: FunnelTables) -> list[Row]:
    """Return the rows of LEAKS that would add a win, as the page writes it."""
    return [row for row in tables.leaks.to_pylist() if round(row["added_wins"], 1) > 0]


def _describe_leak(words: PageWords, leak: Row) -> str:
    days = {name: _name_days(words, leak[f"{name}_from"]) for name in ("now", "best")}
    return words.text(
        NAME,
        "sentence",
        stage=name_state(words, leak["stage"]),
        now=words.percent(leak["now_30d"], 0),
        best=words.percent(leak["best_30d"], 0),
        added=_write_wins(words, leak),
        **{f"{name}_from": first for name, (first, _) in days.items()},
        **{f"{name}_until": last for name, (_, last) in days.items()},
        **_write_interval(words, leak),
    )


def _name_days(words: PageWords, begin: datetime) -> tuple[str, str]:
    """Return the first and the last day of a cohort."""
    end = begin + timedelta(microseconds=COHORT_US - 1)
    return words.day(begin), words.day(end)


def _write_interval(words: PageWords, leak: Row) -> dict[str, str]:
    return {end: _write_wins(words, leak, f"_{end}") for end in ("low", "high")}


def _write_wins(words: PageWords, leak: Row, end: str = "") -> str:
    """Return the wins to gain, or an end of their interval."""
    return words.number(leak[f"added_wins{end}"], _choose_digits(leak))


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
    keys = ("stage", "added_wins", "now_30d", "best_30d", "best_days", "verdict")
    cells = [_list_cells(words, leak) for leak in leaks]
    caption = words.text(NAME, "caption")
    table = Table(caption, [words.text(NAME, key) for key in keys], cells, frozenset({1, 2, 3}))
    summary = "; ".join(f"{cell[0]}: {cell[1]}" for cell in cells)
    return Chart(NAME, caption, f"{caption}. {summary}", spec, rows, table)


def _list_cells(words: PageWords, leak: Row) -> list[str]:
    interval = _write_interval(words, leak)
    first, last = _name_days(words, leak["best_from"])
    return [
        name_state(words, leak["stage"]),
        words.text(WORDS, "range", value=_write_wins(words, leak), **interval),
        words.percent(leak["now_30d"], 0),
        words.percent(leak["best_30d"], 0),
        words.text(NAME, "days", first=first, last=last),
        words.text(NAME, "sure" if _is_sure(leak) else "doubtful"),
    ]
