"""The stuck leads: which ones, whose, for how long and of what value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    get_tables,
    list_stages,
    name_state,
    write_amount,
    write_days,
)

NAME = "funnel_stuck"
# Leads and owners that are listed; the file of the stuck leads has all.
MAX_LEADS, MAX_OWNERS = 100, 50
# Leads that are seen without a press.
FIRST_LEADS = 20


def build_stuck(data: PageData) -> Section | None:
    """Return the section: stuck leads by owner, and the most valuable or oldest ones."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, title = data.words, data.words.text(NAME, "title")
    total = sum(row["stuck"] for row in list_stages(tables))
    if not total:
        return Section(NAME, GROUP, title, words.text(NAME, "none_stuck"))
    stuck = tables.stuck
    listed = [*_list_leads(data, stuck.slice(0, MAX_LEADS))]
    owners = [_count_by_owner(words, stuck)] if stuck["owner"].null_count < stuck.num_rows else []
    return Section(
        NAME,
        GROUP,
        title,
        words.text(NAME, "sentence", count=words.number(total)),
        tables=[*owners, *listed],
        notes=[*_explain_rows(data, stuck, total)],
    )


def _explain_rows(data: PageData, stuck: pa.Table, total: int) -> Iterator[str]:
    words = data.words
    if stuck.num_rows > MAX_LEADS:
        yield words.text(NAME, "cut", more=words.number(stuck.num_rows - MAX_LEADS))
    if total > stuck.num_rows:
        yield words.text(NAME, "left_out", count=words.number(total - stuck.num_rows))
    if stuck["moved_others"].null_count < stuck.num_rows:
        yield words.text(NAME, "description")
    if stuck["owner"].null_count == stuck.num_rows:
        yield words.text(NAME, "no_owner")
    if stuck["value"].null_count == stuck.num_rows:
        yield words.text(NAME, "no_value")


def _list_leads(data: PageData, rows: pa.Table) -> Iterator[Table]:
    """Yield the first stuck leads, and the next ones as a table that is opened."""
    words = data.words
    known = {
        name: rows[name].null_count < rows.num_rows for name in ("owner", "value", "moved_others")
    }
    keys = ["lead", "stage", "owner", "age_days", "p80_days", "value", "moved_others"]
    keys = [key for key in keys if known.get(key, True)]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(keys.index(k) for k in ("age_days", "p80_days", "value") if k in keys)
    first = "first" if known["value"] else "first_by_age"
    for key, start, end in ((first, 0, FIRST_LEADS), ("next", FIRST_LEADS, MAX_LEADS)):
        part = rows.slice(start, end - start)
        cells = [
            _describe_lead(words, row, target, known)
            for row, target in zip(part.to_pylist(), find_targets(data, part), strict=True)
        ]
        if cells:
            caption = words.text(NAME, key, shown=words.number(len(cells)))
            yield Table(caption, headings, cells, numeric, folded=start > 0)


def _describe_lead(
    words: PageWords, row: Row, target: str | None, known: Mapping[str, bool]
) -> list[str | LeadCell]:
    return [
        name_lead(words, row["entity_id"], target),
        name_state(words, row["stage"]),
        *[row["owner"] or words.text(NAME, "nobody")] * known["owner"],
        write_days(words, row["age_days"]),
        write_days(words, row["p80_days"]),
        *[write_amount(words, row["value"])] * known["value"],
        *[row["moved_others"] or UNKNOWN] * known["moved_others"],
    ]


def _count_by_owner(words: PageWords, stuck: pa.Table) -> Table:
    """Return the stuck leads of each owner, those with most value or most leads first."""
    sums = stuck.group_by("owner").aggregate(
        [("value", "sum"), ("age_days", "max"), ([], "count_all")]
    )
    rows = sorted(sums.to_pylist(), key=_rank_owner)
    has_values = stuck["value"].null_count < stuck.num_rows
    keys = ["owner", "leads", *["value"] * has_values, "oldest"]
    caption = words.text(NAME, "by_owner")
    if len(rows) > MAX_OWNERS:
        caption += " " + words.text(NAME, "first_owners", shown=words.number(MAX_OWNERS))
    cells = [
        [
            row["owner"] or words.text(NAME, "nobody"),
            words.number(row["count_all"]),
            *[write_amount(words, row["value_sum"])] * has_values,
            write_days(words, row["age_days_max"]),
        ]
        for row in rows[:MAX_OWNERS]
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(caption, headings, cells, frozenset(range(1, len(keys))))


def _rank_owner(row: Row) -> tuple[float, int, bool, str]:
    return -(row["value_sum"] or 0.0), -row["count_all"], row["owner"] is None, row["owner"] or ""
