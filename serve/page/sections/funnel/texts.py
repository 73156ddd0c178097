"""Names, times and changes of the funnel in words, as its sections share them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from features.paths.states import CREATED, WON
from features.wording.language import humanize_name
from models.funnel.history import ALL
from models.funnel.result import FunnelTables
from serve.page.content.page_data import PageData
from serve.page.content.words import PageWords

WORDS = "funnel"
GROUP: Final = "funnel"
# Units of time, the longest first.
UNITS: Final = (("days", 1.0), ("hours", 1 / 24), ("minutes", 1 / 1440), ("seconds", 1 / 86_400))
# From this number on a time is given in whole units.
WHOLE_FROM = 10
# Times of a column have one unit, if it makes none of them smaller than this.
LEAST_NUMBER = 0.1
UNKNOWN = "–"
# What becomes of a visit, with its colour.
COLOURS = {
    "advanced": "var(--series-1)",
    "skipped": "var(--series-3)",
    "returned": "var(--series-2)",
    "lost": "var(--bad)",
    "open": "var(--grade-d)",
}

# The legend of a chart with several colours; a phone stacks it.
LEGEND = {"columns": 2}

Row = Mapping[str, Any]
Writer = Callable[[PageWords, Any], str]
# The key of a unit's text, and its length in days.
Unit = tuple[str, float]


def get_tables(data: PageData) -> FunnelTables | None:
    """Return the funnel of the page; None without a visit, of which one section says why."""
    return data.funnel if data.funnel is not None and data.funnel.funnel.num_rows else None


def list_stages(tables: FunnelTables) -> list[Row]:
    """Return the rows of FUNNEL of all leads, in the order of the stages."""
    return select_all(tables.funnel).to_pylist()


def select_all(table: pa.Table) -> pa.Table:
    """Return the rows of all leads, without those of segments."""
    return table.filter(pc.field("segment_by") == ALL)


def count_losses(tables: FunnelTables) -> dict[str, dict[str, int]]:
    """Return by kind of loss how many leads each stage lost so, the most frequent kind first."""
    stages = {row["stage"] for row in list_stages(tables)} | {WON}
    losses: dict[str, dict[str, int]] = {}
    for path in tables.paths.to_pylist():
        if path["to"] not in stages:
            losses.setdefault(path["to"], {})[path["from"]] = path["n"]
    return dict(sorted(losses.items(), key=lambda item: -sum(item[1].values())))


def name_state(words: PageWords, name: str) -> str:
    """Return a stage, or the end of a lead, as the page names it."""
    return words.text(WORDS, name) if name in (CREATED, WON) else humanize_name(name)


def choose_time_unit(values: Iterable[float | None]) -> Unit | None:
    """Return the unit for the times of a column; None where they are too different for one."""
    known = [value for value in values if value]
    if not known:
        return None
    unit = _find_unit(max(known))
    return unit if min(known) >= LEAST_NUMBER * unit[1] else None


def _find_unit(days: float) -> Unit:
    return next((unit for unit in UNITS if days >= unit[1]), UNITS[-1])


def write_days(words: PageWords, days: float | None, unit: Unit | None = None) -> str:
    """Return a time in a unit, by default its largest one; a dash for None."""
    if days is None:
        return UNKNOWN
    name, length = unit or _find_unit(days)
    return words.text(WORDS, name, n=_write_length(words, days / length))


def write_length(words: PageWords, days: float) -> str:
    """Return a time for a sentence: in whole days, from one day on."""
    return words.language.days(days) if days >= 1 else write_days(words, days)


def _write_length(words: PageWords, number: float) -> str:
    return words.number(number, 0 if round(number, 1) >= WHOLE_FROM or number == 0 else 1)


def write_time_range(words: PageWords, row: Row, name: str, unit: Unit | None) -> str:
    """Return a time with its 90 % interval, whose ends do without a unit that all have."""

    def write_end(words: PageWords, days: float) -> str:
        return _write_length(words, days / unit[1]) if unit else write_days(words, days)

    return write_range(words, row, name, lambda w, days: write_days(w, days, unit), write_end)


def write_range(
    words: PageWords,
    row: Row,
    name: str,
    write: Writer | None = None,
    write_end: Writer | None = None,
) -> str:
    """Return a value with its 90 % interval, by default in per cent.

    ``write`` writes the value, and ``write_end`` the ends, which may do without the unit.
    """
    if row[name] is None:
        return UNKNOWN
    if write is None:
        write, write_end = PageWords.percent, _write_hundredfold
    low, high = ((write_end or write)(words, row[f"{name}_{end}"]) for end in ("low", "high"))
    return words.text(WORDS, "range", value=write(words, row[name]), low=low, high=high)


def _write_hundredfold(words: PageWords, share: float) -> str:
    return words.number(100 * share, 1)


def write_points(words: PageWords, share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return words.text(WORDS, "points", n=write_signed(words, share))


def write_signed(words: PageWords, share: float) -> str:
    """Return a difference of shares as a number with its sign; 0.0 has none."""
    number = round(100 * share, 1)
    style = "+,.1f" if number else ",.1f"
    return words.language.number(number or 0.0, style).replace("-", "−")


def write_amount(words: PageWords, value: float | None) -> str:
    """Return an amount in short form; a dash for None."""
    return UNKNOWN if value is None else words.amount(value)


def order_axis(names: Iterable[str]) -> dict[str, Any]:
    """Return the axis of a chart's field ``stage``, with its names in their order."""
    return {
        "field": "stage",
        "type": "nominal",
        "title": None,
        "sort": [*dict.fromkeys(names)],
        "axis": {"labelOverlap": False},
    }
