"""The stuck leads: which ones, whose, for how long, and what their wins would bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
AMOUNTS = ("value", "expected_value")
COLUMNS = ("lead", "stage", "owner", *TIMES, "probability", *AMOUNTS)
# Columns of a part of another section, and those that a phone has no place for.
SHORT_COLUMNS = ("lead", "owner", "age_days", "probability", *AMOUNTS)
EXTRA = ("p80_days", "silent_days")


def build_stuck(data: PageData) -> Section | None:
    """Return the section: the stuck leads whose wins would bring most, and those of each owner."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, title = data.words, data.words.text(NAME, "title")
    total, every = (sum(row[name] for row in list_stages(tables)) for name in ("stuck", "open"))
    if not total:
        return Section(NAME, GROUP, title, words.text(NAME, "none_stuck"))
    stuck = tables.stuck
    listed = [*_list_parts(data, stuck.slice(0, MAX_LEADS))]
    owners = [_count_by_owner(words, stuck)] if has_values(stuck, "owner") else []
    return Section(
        NAME,
        GROUP,
        title,
        " ".join([_count_stuck(words, total, every), *_choose_first(words, stuck)]),
        tables=[*listed[:1], *owners, *listed[1:]],
        notes=[*_explain_rows(data, stuck, total)],
    )


def _count_stuck(words: PageWords, total: int, every: int) -> str:
    counts = {"count": words.number(total), "all": words.number(every)}
    return words.text(NAME, "sentence", **counts, share=words.percent(total / every, 0))


def _choose_first(words: PageWords, stuck: pa.Table) -> Iterator[str]:
    """Yield how much of what all stuck leads may bring the first ones have, if that is known."""
    expected = pc.sum(stuck["expected_value"], min_count=0).as_py()
    if stuck.num_rows <= FIRST_LEADS or not expected:
        return
    has_amounts = has_values(stuck, "value")
    own = pc.sum(stuck["expected_value"].slice(0, FIRST_LEADS)).as_py()
    yield words.text(
        NAME,
        "begin",
        shown=words.number(FIRST_LEADS),
        share=words.percent(own / expected, 0),
        total=words.amount(expected) if has_amounts else words.count(NAME, "wins", round(expected)),
    )


def has_values(rows: pa.Table, name: str) -> bool:
    """Return whether a column has a value in any row."""
    return rows[name].null_count < rows.num_rows


def _explain_rows(data: PageData, stuck: pa.Table, total: int) -> Iterator[str]:
    words = data.words
    if stuck.num_rows > MAX_LEADS:
        yield words.text(NAME, "cut", more=words.number(stuck.num_rows - MAX_LEADS))
    if total > stuck.num_rows:
        yield words.text(NAME, "left_out", count=words.number(total - stuck.num_rows))
    if has_values(stuck, "probability"):
        yield words.text(NAME, "chance")
    yield words.text(NAME, "silent")
    if not has_values(stuck, "owner"):
        yield words.text(NAME, "no_owner")
    if not has_values(stuck, "value"):
        yield words.text(NAME, "no_value")


def _list_parts(data: PageData, rows: pa.Table) -> Iterator[Table]:
    """Yield the first stuck leads, and the next ones as a table that is opened."""
    for start, end in ((0, FIRST_LEADS), (FIRST_LEADS, MAX_LEADS)):
        part = rows.slice(start, end - start)
        if part.num_rows:
            shown = data.words.number(part.num_rows)
            key = "next" if start else _name_order(rows)
            caption = data.words.text(NAME, key, shown=shown)
            yield list_stuck_leads(data, part, caption, COLUMNS, folded=start > 0)


def _name_order(rows: pa.Table) -> str:
    """Return the key of the caption that names by what the leads are ordered."""
    # Where all have the same expected value, or none, they are in the order of their age.
    if len(pc.unique(rows["expected_value"])) < 2:
        return "first_by_age"
    return "first" if has_values(rows, "value") else "first_by_chance"


def list_stuck_leads(
    data: PageData,
    rows: pa.Table,
    caption: str,
    columns: Sequence[str] = SHORT_COLUMNS,
    folded: bool = False,
) -> Table:
    """Return a table of rows of STUCK in their order; columns without any value are left out."""
    words = data.words
    # Without amounts the expected value is the chance again.
    names = {"lead": "entity_id", "expected_value": "value"}
    keys = [key for key in columns if has_values(rows, names.get(key, key))]
    units = {key: choose_time_unit(rows[key].to_pylist()) for key in TIMES}
    cells = [
        _describe_lead(words, row, target, units)
        for row, target in zip(rows.to_pylist(), find_targets(data, rows), strict=True)
    ]
    return Table(
        caption,
        [words.text(NAME, key) for key in keys],
        [[cell[key] for key in keys] for cell in cells],
        frozenset(at for at, key in enumerate(keys) if key not in ("lead", "stage", "owner")),
        folded=folded,
        compact=True,
        extra=frozenset(at for at, key in enumerate(keys) if key in EXTRA),
    )


def _describe_lead(
    words: PageWords, row: Row, target: str | None, units: Mapping[str, Unit | None]
) -> dict[str, str | LeadCell]:
    return {
        "lead": name_lead(words, row["entity_id"], target),
        "stage": name_state(words, row["stage"]),
        "owner": row["owner"] or words.text(NAME, "nobody"),
        **{name: write_days(words, row[name], units[name]) for name in TIMES},
        "probability": words.percent(row["probability"], 0),
        **{name: write_amount(words, row[name]) for name in AMOUNTS},
    }


def _count_by_owner(words: PageWords, stuck: pa.Table) -> Table:
    """Return the stuck leads of each owner, those whose wins would bring most first."""
    sums = stuck.group_by("owner").aggregate(
        [("expected_value", "sum"), ("age_days", "max"), ([], "count_all")]
    )
    rows = sorted(sums.to_pylist(), key=_rank_owner)
    unit = choose_time_unit(row["age_days_max"] for row in rows)
    has_amounts = has_values(stuck, "value") and has_values(stuck, "expected_value")
    keys = ["owner", "leads", *["expected_value"] * has_amounts, "oldest"]
    caption = words.text(NAME, "by_owner")
    if len(rows) > MAX_OWNERS:
        caption += " " + words.text(NAME, "first_owners", shown=words.number(MAX_OWNERS))
    cells = [
        [
            row["owner"] or words.text(NAME, "nobody"),
            words.number(row["count_all"]),
            *[write_amount(words, row["expected_value_sum"])] * has_amounts,
            write_days(words, row["age_days_max"], unit),
        ]
        for row in rows[:MAX_OWNERS]
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(caption, headings, cells, frozenset(range(1, len(keys))))


def _rank_owner(row: Row) -> tuple[float, int, bool, str]:
    expected = -(row["expected_value_sum"] or 0.0)
    return expected, -row["count_all"], row["owner"] is None, row["owner"] or ""
