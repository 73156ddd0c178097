"""Leads that share an id but differ in content: which rows, and in which column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.tools.duckdb_sql import run_query


@dataclass(frozen=True)
class EqualIds:
    """Rows of leads that are not used since an earlier known row has their id.

    Attributes:
        again: Numbers (``nr``, ascending) of these rows.
        conflicts: Numbers of those of them that differ from the row that is used.
        firsts: Numbers of the rows that are used instead of ``conflicts``.
        differences: Number of conflicts by column of the source.
    """

    again: pa.ChunkedArray
    conflicts: np.ndarray
    firsts: np.ndarray
    differences: Mapping[str, int]

    def describe(self, label: str, lines: pa.ChunkedArray, ids: pa.ChunkedArray | None) -> str:
        """Return the warning about conflicts.

        ``lines`` are the rows of the source as messages name them; without ``ids`` no id is shown.
        """
        column, rows = max(self.differences.items(), key=lambda item: (item[1], item[0]))
        place = int(self.conflicts[0])
        first, again = (lines[int(nr)].as_py() for nr in (self.firsts[0], place))
        named = f"{ids[place].as_py()!r} in " if ids is not None else ""
        return (
            f"{label}: {len(self.conflicts):,} of {len(lines):,} rows have another row's id and "
            f"other content, such as {named}rows {first} and {again}; {column!r} differs most "
            f"often ({rows:,}). The row known first is used: give each lead an id of its own"
        )


def find_equal_ids(same: pa.Table, columns: Mapping[str, str]) -> EqualIds:
    """Return the rows of ``same`` that are not the first of their id.

    ``same`` holds the good rows whose id occurs more than once, with attributes as text.
    ``columns`` maps the columns that are the content to their names in the source. The first row is
    the earliest known; at a tie, the smallest in text order.
    """
    ordered = [name for name in same.column_names if name[0] == "a" and name[1:].isdigit()]
    rest = "".join(f", {name} NULLS FIRST" for name in ordered)
    window = f"""(PARTITION BY entity_id ORDER BY available, time, sort_number, sort_text,
                  account_id NULLS FIRST{rest}, nr)"""
    flags = "".join(
        f", {name} IS DISTINCT FROM first_value({name}) OVER w AS d{i}"
        for i, name in enumerate(columns)
    )
    later = run_query(
        f"""SELECT * FROM (SELECT nr, first_value(nr) OVER w AS first, row_number() OVER w AS place
              {flags} FROM same WINDOW w AS {window})
            WHERE place > 1 ORDER BY nr""",  # noqa: S608 - positions only
        same=same,
    )
    is_other = np.zeros(len(later), bool)
    differences = dict[str, int]()
    for i, source_name in enumerate(columns.values()):
        differs = later[f"d{i}"].to_numpy()
        is_other |= differs
        differences[source_name] = int(differs.sum())
    return EqualIds(
        later["nr"],
        later["nr"].to_numpy()[is_other],
        later["first"].to_numpy()[is_other],
        differences,
    )
