"""Cells that name a lead of the funnel; pressing one opens the lead's details."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import WORDS, Row

# Leads that a list shows without a press.
FIRST_LISTED = 15

Cell = str | LeadCell


def find_targets(data: PageData, rows: pa.Table) -> list[str | None]:
    """Return for each lead the first target that it has a score of; None without any."""
    scores = data.scores.select(["target", "entity_id"])
    scores = scores.filter(pc.is_in(scores["entity_id"], value_set=pc.unique(rows["entity_id"])))
    scored = {(row["entity_id"], row["target"]) for row in scores.to_pylist()}
    return [
        next((target for target in data.targets if (entity, target) in scored), None)
        for entity in rows["entity_id"].to_pylist()
    ]


def name_lead(words: PageWords, entity: str | None, target: str | None) -> str | LeadCell:
    """Return a lead; pressing it opens its details where it has a score."""
    if entity is None:
        return words.text(WORDS, "nameless")
    return LeadCell(target, entity) if target else entity


def list_in_parts(
    data: PageData,
    name: str,
    listed: pa.Table,
    numeric: Sequence[str],
    write_cells: Callable[[Row, str | None], Mapping[str, Cell]],
    most: int,
    extra: Sequence[str] = (),
) -> Iterator[Table]:
    """Yield a table of the first leads, and one of the next, which is opened by a press.

    ``name`` is the section; its texts ``first`` and ``next`` are the captions, and those of the
    keys of the cells the headings. ``write_cells`` gives the cells of a row whose lead has a score
    of a target. ``numeric`` are the columns of numbers, ``extra`` those that a phone has no place
    for, ``most`` the leads of both tables together. Columns that are empty in all rows are left
    out.
    """
    words = data.words
    for key, start, end in (("first", 0, FIRST_LISTED), ("next", FIRST_LISTED, most)):
        part = listed.slice(start, end - start)
        targets = find_targets(data, part)
        cells = [write_cells(*pair) for pair in zip(part.to_pylist(), targets, strict=True)]
        if not cells:
            return
        empty = {column for column in listed.column_names if is_empty(listed, column)}
        keys = [column for column in cells[0] if column not in empty]
        yield Table(
            words.text(name, key, shown=words.number(len(cells))),
            [words.text(name, column) for column in keys],
            [[row[column] for column in keys] for row in cells],
            frozenset(place for place, column in enumerate(keys) if column in numeric),
            folded=start > 0,
            compact=True,
            extra=frozenset(place for place, column in enumerate(keys) if column in extra),
        )


def is_empty(rows: pa.Table, column: str) -> bool:
    """Return whether no row has a value of a column."""
    return bool(rows[column].null_count == rows.num_rows)
