"""The stuck leads: which ones, whose, for how long and of what value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import (
    GROUP,
    Row,
    Unit,
    choose_time_unit,
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
TIMES = ("age_days", "p80_days", "silent_days")
COLUMNS = ("lead", "stage", "owner", *TIMES, "value")


def build_stuck(data: PageData) -> Section | None:
    """Return the section: stuck leads by owner, and the most valuable or oldest ones."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, title = data.words, data.words.text(NAME, "title")
    total, every = (sum(row[name] for row in list_stages(tables)) for name in ("stuck", "open"))
    if not total:
        return Section(NAME, GROUP, title, words.text(NAME, "none_stuck"))
    stuck = tables.stuck
    listed = [*_list_leads(data, stuck.slice(0, MAX_LEADS))]
    owners = [_count_by_owner(words, stuck)] if stuck["owner"].null_count < stuck.num_rows else []
    return Section(
        NAME,
        GROUP,
        title,
        words.text(
            NAME,
            "sentence",
            count=words.number(total),
            all=words.number(every),
            share=words.percent(total / every, 0),
        ),
        tables=[*owners, *listed],
        notes=[*_explain_rows(data, stuck, total)],
    )


def _explain_rows(data: PageData, stuck: pa.Table, total: int) -> Iterator[str]:
    words = data.words
    if stuck.num_rows > MAX_LEADS:
        yield words.text(NAME, "cut", more=words.number(stuck.num_rows - MAX_LEADS))
    if total > stuck.num_rows:
        yield words.text(NAME, "left_out", count=words.number(total - stuck.num_rows))
    yield words.text(NAME, "silent")
    if stuck["owner"].null_count == stuck.num_rows:
        yield words.text(NAME, "no_owner")
    if stuck["value"].null_count == stuck.num_rows:
        yield words.text(NAME, "no_value")


def _list_leads(data: PageData, rows: pa.Table) -> Iterator[Table]:
    """Yield the first stuck leads, and the next ones as a table that is opened."""
    words = data.words
    known = {name: rows[name].null_count < rows.num_rows for name in ("owner", "value")}
    keys = [key for key in COLUMNS if known.get(key, True)]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(at for at, key in enumerate(keys) if key in (*TIMES, "value"))
    units = {key: choose_time_unit(rows[key].to_pylist()) for key in TIMES}
    # Where all are worth the same, they are in the order of their age.
    first = "first" if len(pc.unique(rows["value"])) > 1 else "first_by_age"
    for key, start, end in ((first, 0, FIRST_LEADS), ("next", FIRST_LEADS, MAX_LEADS)):
        part = rows.slice(start, end - start)
        cells = [
            _describe_lead(words, row, target, units, known)
            for row, target in zip(part.to_pylist(), find_targets(data, part), strict=True)
        ]
        if cells:
            caption = words.text(NAME, key, shown=words.number(len(cells)))
            yield Table(caption, headings, cells, numeric, folded=start > 0, compact=True)


def _describe_lead(
    words: PageWords,
    row: Row,
    target: str | None,
    units: Mapping[str, Unit | None],
    known: Mapping[str, bool],
) -> list[str | LeadCell]:
    return [
        name_lead(words, row["entity_id"], target),
        name_state(words, row["stage"]),
        *[row["owner"] or words.text(NAME, "nobody")] * known["owner"],
        *(write_days(words, row[name], units[name]) for name in TIMES),
        *[write_amount(words, row["value"])] * known["value"],
    ]


def _count_by_owner(words: PageWords, stuck: pa.Table) -> Table:
    """Return the stuck leads of each owner, those with most value or most leads first."""
    sums = stuck.group_by("owner").aggregate(
        [("value", "sum"), ("age_days", "max"), ([], "count_all")]
    )
    rows = sorted(sums.to_pylist(), key=_rank_owner)
    unit = choose_time_unit(row["age_days_max"] for row in rows)
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
            write_days(words, row["age_days_max"], unit),
        ]
        for row in rows[:MAX_OWNERS]
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(caption, headings, cells, frozenset(range(1, len(keys))))


def _rank_owner(row: Row) -> tuple[float, int, bool, str]:
    return -(row["value_sum"] or 0.0), -row["count_all"], row["owner"] is None, row["owner"] or ""
