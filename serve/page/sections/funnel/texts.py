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
# Units of time with their length in days, the longest first.
UNITS = (("days", 1.0), ("hours", 1 / 24), ("minutes", 1 / 1440), ("seconds", 1 / 86_400))
# From this number on a time is given in whole units.
WHOLE_FROM = 100
UNKNOWN = "–"
# What becomes of a visit, with its colour.
COLOURS = {
    "advanced": "var(--series-1)",
    "skipped": "var(--series-3)",
    "returned": "var(--series-2)",
    "lost": "var(--bad)",
    "open": "var(--grade-d)",
}

Row = Mapping[str, Any]
Writer = Callable[[PageWords, Any], str]


def get_tables(data: PageData) -> FunnelTables | None:
    """Return the funnel of the page; None without a visit, of which one section says why."""
    return data.funnel if data.funnel is not None and data.funnel.funnel.num_rows else None


def list_stages(tables: FunnelTables) -> list[Row]:
    """Return the rows of FUNNEL of all leads, in the order of the stages."""
    return select_all(tables.funnel).to_pylist()


def select_all(table: pa.Table) -> pa.Table:
    """Return the rows of all leads, without those of segments."""
    return table.filter(pc.field("segment_by") == ALL)


def name_state(words: PageWords, name: str) -> str:
    """Return a stage, or the end of a lead, as the page names it."""
    return words.text(WORDS, name) if name in (CREATED, WON) else humanize_name(name)


def write_days(words: PageWords, days: float | None) -> str:
    """Return a time in its largest unit; a dash for None."""
    if days is None:
        return UNKNOWN
    unit, length = next((u for u in UNITS if days >= u[1]), UNITS[-1])
    number = days / length
    digits = 0 if number >= WHOLE_FROM or number == 0 else 1
    return words.text(WORDS, unit, n=words.number(number, digits))


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
    """Return an amount in whole units; a dash for None."""
    return UNKNOWN if value is None else words.number(value)


def order_axis(names: Iterable[str]) -> dict[str, Any]:
    """Return the axis of a chart's field ``stage``, with its names in their order."""
    return {
        "field": "stage",
        "type": "nominal",
        "title": None,
        "sort": [*dict.fromkeys(names)],
        "axis": {"labelOverlap": False},
    }
