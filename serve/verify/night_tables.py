"""Whether the further tables of nights are of published runs, and equal to their files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.files.examination import Examination
from serve.night_tables import NIGHT_TABLES, NightTable
from serve.store.reader import ScoreReader
from serve.verify.stored_state import StoredState

SCORE_AGAIN = "score this night again, or restore the backup"


def check_night_tables(examination: Examination, state: StoredState) -> None:
    """Report rows of runs that did not publish their as-of last, and tables of half a night."""
    publishers = _find_publishers(state)
    groups: dict[tuple[str, datetime, str], set[str]] = {}
    foreign = []
    for table in NIGHT_TABLES:
        for night in state.tables.get(table.name, []):
            examination.counts["rows"] += night["rows"]
            as_of, run_id = night["as_of"], night["run_id"]
            groups.setdefault((table.group, as_of, run_id), set()).add(table.name)
            if publishers.get(as_of) != run_id:
                foreign.append(f"{table.name} as of {as_of.isoformat()} of run {run_id}")
    examination.counts["nights"] = len({as_of for _, as_of, _ in groups})
    examination.report_all("groups of rows are of no published run", sorted(foreign), SCORE_AGAIN)
    # Its first table is never empty: it has a row for all leads.
    lost = [
        f"{first.name} as of {as_of.isoformat()}"
        for (group, as_of, _), names in sorted(groups.items())
        if (first := next(table for table in NIGHT_TABLES if table.group == group)).name
        not in names
    ]
    examination.report_all("nights have lost the rows of a table", lost, SCORE_AGAIN)


def compare_night_files(
    examination: Examination,
    reader: ScoreReader,
    project: str,
    folder: Path,
    may_suppress: bool,
) -> None:
    """Report files of the current export that the database has otherwise.

    With ``may_suppress`` either may lack rows of leads: people were suppressed after the scoring.
    """
    run = reader.last_published_run(project)
    if run is None or not (folder / "current").exists():
        return
    stored = reader.night_tables(run)
    for table in NIGHT_TABLES:
        path = folder / "current" / f"{table.name}.parquet"
        if not path.is_file():
            if table.name in stored:
                examination.report(f"{path} is missing, and the database has it", _name_fix(table))
            continue
        written = pq.read_table(path)
        examination.counts["rows"] += written.num_rows
        known = stored.get(table.name, table.stored.empty_table())
        if written.schema.names != table.exported.names:
            examination.report(f"{path} has other columns than the table", _name_fix(table))
        elif differing := _count_differences(table, written, known, may_suppress):
            examination.report(
                f"{differing:,} rows of {path} differ from the table", _name_fix(table)
            )


def _name_fix(table: NightTable) -> str:
    return f"one of file and table {table.name} was changed: {SCORE_AGAIN}"


def _count_differences(
    table: NightTable, written: pa.Table, stored: pa.Table, may_suppress: bool
) -> int:
    """Return the number of keys whose rows differ, or that only one side has."""
    sides = [_index_rows(table, rows) for rows in (written, stored)]
    keys = sides[0].keys() | sides[1].keys()
    if may_suppress and table.names_leads:
        keys = sides[0].keys() & sides[1].keys()
    return sum(sides[0].get(key) != sides[1].get(key) for key in keys)


def _index_rows(table: NightTable, rows: pa.Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    listed = rows.select(table.exported.names).to_pylist()
    return {tuple(row[name] for name in table.key): row for row in listed}


def _find_publishers(state: StoredState) -> dict[datetime, str]:
    """Return the run that published each as-of last."""
    last: dict[datetime, dict[str, Any]] = {}
    for row in state.runs:
        if row["status"] == "published" and (
            row["as_of"] not in last or row["finished_at"] >= last[row["as_of"]]["finished_at"]
        ):
            last[row["as_of"]] = row
    return {as_of: row["run_id"] for as_of, row in last.items()}
