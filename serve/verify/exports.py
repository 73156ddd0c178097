"""Whether the export is whole, of the newest published night, and equal to the table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from features.files.examination import Examination
from features.tools.duckdb_sql import run_query
from serve.export.atomic_folders import CURRENT_LINK
from serve.store.reader import ScoreReader
from serve.verify.folders import compare_files, list_folders, read_manifest_of, resolve_current
from serve.verify.stored_state import StoredState

COMPARED = ("score", "grade", "rank")
# Exported texts and numbers are compared as texts, since a CSV has no types.
COMPARE_SQL = """
    SELECT count(*) FILTER (t.entity_id IS NULL) AS foreign_rows,
           count(*) FILTER (e.entity_id IS NULL) AS lacking,
           count(*) FILTER (t.entity_id IS NOT NULL AND e.entity_id IS NOT NULL AND (
             e.score IS DISTINCT FROM t.score::VARCHAR OR e.grade IS DISTINCT FROM t.grade
             OR e.rank IS DISTINCT FROM t.rank::VARCHAR)) AS differing
    FROM exported e FULL JOIN stored t ON e.target = t.target AND e.entity_id = t.entity_id"""


def check_exports(
    examination: Examination,
    folder: Path,
    state: StoredState,
    command: str,
    quick: bool,
    is_switching: bool = False,
) -> None:
    """Report exports whose files were lost or changed, and a current one that is not the newest.

    ``command`` writes the export again. A quick check reads the current export alone. While a run
    ``is_switching``, the current export may be one night behind.
    """
    newest = state.newest_published()
    if newest is None and not folder.exists():
        return
    fix = f"run `{command}`"
    if is_switching and not (folder / CURRENT_LINK).exists():
        return
    current = resolve_current(examination, folder, fix)
    folders = list_folders(folder)
    if quick:
        examination.left_out.append("former exports")
        folders = [path for path in folders if path == current]
    for path in folders:
        examination.counts["exports"] += 1
        own_fix = fix if path == current else f"remove {path}, which is a former export"
        manifest = read_manifest_of(examination, path, own_fix)
        if manifest is None:
            continue
        files = manifest.get("files")
        if not isinstance(files, dict) or "scores.csv" not in files:
            examination.report(f"the manifest of {path} names no scores.csv", own_fix)
            continue
        compare_files(examination, path, files, own_fix, quick)
        if (
            path == current
            and newest
            and not is_switching
            and manifest.get("run_id") != newest["run_id"]
        ):
            examination.report(
                f"the current export is as of {manifest.get('as_of')}, of run "
                f"{manifest.get('run_id')}, and the newest published night is as of "
                f"{newest['as_of'].isoformat()}, of run {newest['run_id']}",
                fix,
            )


def compare_export_with_table(
    examination: Examination,
    reader: ScoreReader,
    project: str,
    folder: Path,
    state: StoredState,
    may_suppress: bool,
) -> None:
    """Report rows of the current export that the scores table has otherwise.

    With ``may_suppress`` an export may lack rows: people were suppressed after the scoring.
    """
    newest = state.newest_published()
    path = folder / "current" / "scores.csv"
    if newest is None or not path.is_file():
        return
    columns = ["target", "entity_id", *COMPARED]
    options = arrow_csv.ConvertOptions(
        include_columns=columns,
        column_types=dict.fromkeys(columns, pa.string()),
        strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    exported = arrow_csv.read_csv(path, convert_options=options, parse_options=parse)
    stored = reader.scores(project, newest["as_of"], columns=columns)
    (result,) = run_query(COMPARE_SQL, exported=exported, stored=stored).to_pylist()
    examination.counts["rows"] = exported.num_rows
    problems = {
        "differing": "rows of the current export differ from the table in score, grade or rank",
        "foreign_rows": "rows of the current export are not in the table",
        "lacking": "rows of the table are not in the current export",
    }
    if may_suppress:
        # Whom a list suppressed since, table and export may lack at different times.
        problems = {"differing": problems["differing"]}
    for name, problem in problems.items():
        if result[name]:
            examination.report(
                f"{result[name]:,} {problem}",
                "one of them was changed: score this night again, or restore the backup",
            )
