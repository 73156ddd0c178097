"""Web visitors by landing page, call to action and channel: who is identified, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.visitors.schemas import CONTACT_DAYS, CUSTOMER_DAYS
from models.visitors.web_funnel import ALL, MISSING, OTHER
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    choose_time_unit,
    write_amount,
    write_days,
    write_range,
)

NAME = "web_funnel"
# Columns in their order; the tables after the first one are folded.
COLUMNS = ("landing_page", "call_to_action", "channel")
# Segments of a column that are shown, those of most visitors; the file has all.
MAX_SEGMENTS = 8
KEYS = ("visitors", "contacts", "days_to_contact", "never_identified", "customers", "value")


def build_web_funnel_section(data: PageData) -> Section | None:
    """Return the section; None without web visitors."""
    if data.visitors is None:
        return None
    words, rows = data.words, data.visitors.to_pylist()
    days = {"contact": CONTACT_DAYS, "customer": CUSTOMER_DAYS}
    spans = {name: words.language.days(count) for name, count in days.items()}
    notes = [words.text(NAME, key, **spans) for key in ("credit", "unit", "young")]
    sentence = _describe_visitors(words, rows[0], spans["contact"])
    tables = [*_list_segments(words, rows)]
    return Section(NAME, GROUP, words.text(NAME, "title"), sentence, tables=tables, notes=notes)


def _describe_visitors(words: PageWords, everyone: Row, days: str) -> str:
    values = {"visitors": words.number(everyone["visitors"]), "days": days}
    values["never"] = words.percent(everyone["never_identified"], 0)
    if everyone["contacts_30d"] is None:
        return words.text(NAME, "young_sentence", **values)
    values["mature"] = words.number(everyone["mature"])
    return words.text(
        NAME, "sentence", **values, contacts=write_range(words, everyone, "contacts_30d")
    )


def _list_segments(words: PageWords, rows: Sequence[Row]) -> Iterator[Table]:
    """Yield a table for each column; the first one begins with all visitors."""
    everyone = [row for row in rows if row["segment_by"] == ALL]
    parts = {name: [row for row in rows if row["segment_by"] == name] for name in COLUMNS}
    shown = {name: part[:MAX_SEGMENTS] for name, part in parts.items() if part} or {ALL: []}
    for place, (name, part) in enumerate(shown.items()):
        own = part if place else [*everyone, *part]
        unit = choose_time_unit(row["days_to_contact"] for row in own)
        cells = [
            [
                _name_segment(words, row),
                words.number(row["visitors"]),
                write_range(words, row, "contacts_30d"),
                write_days(words, row["days_to_contact"], unit),
                words.percent(row["never_identified"]),
                _count_customers(words, row),
                write_amount(words, row["value"]),
            ]
            for row in own
        ]
        headings = [words.text(NAME, key) for key in (name, *KEYS)]
        caption = words.text(NAME, f"{name}_caption")
        numeric = frozenset(range(1, len(headings)))
        yield Table(caption, headings, cells, numeric, folded=place > 0)


def _name_segment(words: PageWords, row: Row) -> str:
    is_named = row["segment_by"] != ALL and row["segment"] not in (MISSING, OTHER)
    return row["segment"] if is_named else words.text(NAME, f"segment_{row['segment']}")


def _count_customers(words: PageWords, row: Row) -> str:
    if not row["followed"]:
        return UNKNOWN
    numbers = {key: words.number(row[key]) for key in ("customers_mature", "followed")}
    return words.text(NAME, "of", **numbers)
