"""The files that a CRM reads: scores and a manifest that always belong together.

Each export is a new directory under ``exports/``, complete and flushed to disk before the symbolic
link ``exports/current`` is switched to it in one step: a crash at any point leaves the old pair or
the new one. A reader that opens both files through ``current`` should resolve the link only once
and read its target, or compare the file's sha256 with the manifest's.

The CSV is RFC 4180 in UTF-8 without a byte-order mark; its lines end in CR LF because that standard
says so. JSON lines and Parquet hold texts unescaped and numbers in full precision.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.errors import ConfigError
from features.contracts import INSTANT, TYPE_NAMES, column_meaning
from features.score_tables import ACCOUNT_SCORES, SCORES
from features.tools.duckdb_sql import run_query
from features.tools.json_values import format_json
from serve.delimited import BATCH_ROWS, format_instant, write_csv
from serve.export.atomic_folders import (
    CURRENT_LINK,
    FOLDER_NAME,
    KEPT_FOLDERS,
    MANIFEST_NAME,
    choose_folder_name,
    create_staging,
    fingerprint_file,
    promote_staging,
    report_write_failure,
    switch_current,
    write_durably,
    write_manifest,
)
from serve.export.night_files import NIGHT_FORMATS, NO_FILES, NightFiles
from serve.export.page_file import PAGE_NAME, CurrentExport, PageBuilder, write_page
from serve.run import Run

# Version of the manifest and the columns.
SCHEMA_VERSION = 2
# Columns by which the rows of an export are sorted.
SORT_ORDER = ("target", "rank", "entity_id")
REASON_FIELDS = [
    pa.field(
        f"{side}_{place}",
        pa.string(),
        metadata={"meaning": f"sentence, no. {place} by strength, {words}"},
    )
    for side, words in (
        ("reason", "that speaks for the outcome"),
        ("against", "that speaks against it"),
    )
    # As many as a published score carries: MAX_REASONS_PER_SIDE.
    for place in (1, 2, 3)
]
# Selects the columns of REASON_FIELDS, in their order. DuckDB reads the JSON in a fifth of the time
# that Python takes.
SENTENCES_SQL = """
    WITH parsed AS (
        SELECT from_json(reasons, '[{"contribution": "DOUBLE", "sentence": "VARCHAR"}]') AS reasons
        FROM scores
    ),
    sides AS (
        SELECT list_filter(reasons, lambda reason: reason.contribution > 0) AS pro,
               list_filter(reasons, lambda reason: reason.contribution < 0) AS con
        FROM parsed
    )
    SELECT pro[1].sentence, pro[2].sentence, pro[3].sentence,
           con[1].sentence, con[2].sentence, con[3].sentence
    FROM sides"""
# Run and time of scoring are left out: the same scores give the same file.
NOT_EXPORTED_COLUMNS = {"reasons", "model_version", "run_id", "scored_at"}
# One row per score, sorted by target and rank.
EXPORT_SCHEMA = pa.schema(
    [
        *(f for f in SCORES if f.name not in NOT_EXPORTED_COLUMNS),
        *REASON_FIELDS,
        SCORES.field("model_version"),
    ]
)
# One row per account, sorted by target and rank.
ACCOUNTS_SCHEMA = pa.schema(
    [
        field
        for field in ACCOUNT_SCORES
        if field.name not in NOT_EXPORTED_COLUMNS - {"model_version"}
    ]
)


def write_export(
    scores: pa.Table,
    root: Path,
    run: Run,
    file_format: str = "csv",
    accounts: pa.Table | None = None,
    build_page: PageBuilder | None = None,
    extras: NightFiles = NO_FILES,
) -> CurrentExport:
    """Write the scores of one as-of into the workspace ``root`` and make them current.

    Return the file of ``file_format`` and the page. ``scores`` is a SCORES table; ``accounts`` is
    an ACCOUNT_SCORES table, which goes into ``accounts.csv`` next to it if it has rows; ``run`` is
    the run that published them. The CSV is always written, so that another format does not take it
    from the CRM; ``jsonl`` or ``parquet`` is written in addition. ``build_page`` builds the page of
    the same scores; where that fails, the files become current without a page, and the result says
    why. ``extras`` are the night's further tables. The newest KEPT_FOLDERS former exports are kept.
    Call it while the workspace is locked.

    Raises ConfigError for an unknown format, ValueError if a row is of another project or as-of
    than the run, LeadscoreError if the files cannot be written; the former export then stays
    current.
    """
    staged = stage_export(scores, root, run, file_format, accounts, build_page, extras)
    return staged.make_current()


@dataclass(frozen=True)
class _Content:
    """A table of an export, and the formats of its files."""

    name: str
    table: pa.Table
    file_formats: tuple[str, ...]


@dataclass(frozen=True)
class StagedExport:
    """The files of an export in the staging folder: complete, on disk, and read by nobody yet.

    Attributes:
        folder: The folder of exports.
        run_id: Id of the run that published the scores.
        file_format: Format of the file that ``make_current`` returns.
        folder_name: Name that the export will have.
        has_page: Whether it has a page.
        page_problem: Why the page could not be built; None if it was, or was not wanted.
    """

    folder: Path
    run_id: str
    file_format: str
    folder_name: str
    has_page: bool = False
    page_problem: str | None = None

    def make_current(self) -> CurrentExport:
        """Make it the current export in one step; return its files.

        Raises LeadscoreError if the files cannot be moved.
        """
        with report_write_failure(self.folder, "export"):
            promote_staging(self.folder, self.folder_name)
            switch_current(self.folder, self.folder_name)
            # Last: until the switch one of the former exports is the current one.
            _prune_exports(self.folder, self.folder_name)
        current = self.folder / CURRENT_LINK
        return CurrentExport(
            current / f"scores.{self.file_format}",
            current / PAGE_NAME if self.has_page else None,
            self.page_problem,
        )


def stage_export(
    scores: pa.Table,
    root: Path,
    run: Run,
    file_format: str,
    accounts: pa.Table | None = None,
    build_page: PageBuilder | None = None,
    extras: NightFiles = NO_FILES,
) -> StagedExport:
    """Write the files of an export without making them current; raise as ``write_export`` does."""
    require_export_format(file_format)
    contents = {"scores": _build_export_table(scores)}
    if accounts is not None and accounts.num_rows:
        _require_rows_of_run(accounts, run)
        contents["accounts"] = accounts.select(ACCOUNTS_SCHEMA.names).cast(ACCOUNTS_SCHEMA)
    _require_rows_of_run(scores, run)
    folder, manifest = root / "exports", _describe_export(scores, run)
    if "accounts" in contents:
        manifest["account_rows"] = contents["accounts"].num_rows
        manifest["account_columns"] = _describe_columns(ACCOUNTS_SCHEMA)
    tables = [_Content(name, table, ("csv", file_format)) for name, table in contents.items()]
    manifest |= {"tables": {}, "table_problems": dict(extras.problems)}
    for name, table in extras.select_exported().items():
        _require_rows_of_run(table, run)
        tables.append(_Content(name, table, NIGHT_FORMATS))
        columns = _describe_columns(table.schema)
        manifest["tables"][name] = {"rows": table.num_rows, "columns": columns}
    with report_write_failure(folder, "export"):
        name = _write_staging(folder, tables, manifest, build_page)
    return StagedExport(
        folder,
        run.run_id,
        file_format,
        name,
        manifest["page"] is not None,
        manifest["page_problem"],
    )


def require_export_format(file_format: str, configured: Iterable[str] | None = None) -> None:
    """Raise ConfigError for an unknown format; ``configured`` exports are other valid choices."""
    if file_format not in WRITERS:
        fix = f"use {', '.join(WRITERS)}"
        if configured is not None:
            names = ", ".join(configured) or "none configured"
            fix += f", or an export of publish.exports in the config: {names}"
        raise ConfigError("unknown export format", where="--format", found=file_format, fix=fix)


def _require_rows_of_run(scores: pa.Table, run: Run) -> None:
    foreign_rows = scores.filter(
        (pc.field("project") != run.project) | (pc.field("as_of") != pa.scalar(run.as_of, INSTANT))
    )
    if foreign_rows.num_rows:
        raise ValueError(
            f"{foreign_rows.num_rows} scores do not belong to project {run.project!r} "
            f"as of {run.as_of}"
        )


def _write_staging(
    folder: Path,
    contents: Sequence[_Content],
    manifest: dict[str, Any],
    build_page: PageBuilder | None,
) -> str:
    """Write files and manifest into the staging folder; return the name that it will have.

    The rest of the manifest is added to ``manifest``.
    """
    staging = create_staging(folder)
    for content in contents:
        for file_format in dict.fromkeys(content.file_formats):
            path = staging / f"{content.name}.{file_format}"
            write_durably(path, partial(WRITERS[file_format], content.table))
    # Last: while it is built, the CRM's file is complete.
    problem = write_page(staging, build_page) if build_page else None
    files = {path.name: fingerprint_file(path) for path in sorted(staging.iterdir())}
    manifest |= {"files": files, **files["scores.csv"], "page_problem": problem}
    manifest["page"] = PAGE_NAME if PAGE_NAME in files else None
    write_manifest(staging / MANIFEST_NAME, manifest)
    return choose_folder_name(
        folder, datetime.fromisoformat(manifest["as_of"]), files["scores.csv"]["sha256"]
    )


def _prune_exports(folder: Path, current: str) -> None:
    """Remove all but the newest KEPT_FOLDERS former exports.

    Files that cannot be removed are left for the next time.
    """
    former = [
        path
        for path in folder.iterdir()
        if FOLDER_NAME.fullmatch(path.name) and path.name != current
    ]
    # By time of writing: an export of an older as-of may have been written on purpose since.
    former.sort(key=lambda path: (path.lstat().st_mtime_ns, path.name), reverse=True)
    for path in former[KEPT_FOLDERS:]:
        shutil.rmtree(path, ignore_errors=True)


def _build_export_table(scores: pa.Table) -> pa.Table:
    """Return an EXPORT_SCHEMA table: sorted scores, with the sentences of reasons as columns."""
    ordered = sort_scores(scores)
    columns = {name: ordered[name] for name in EXPORT_SCHEMA.names if name in ordered.column_names}
    columns |= {
        name: texts.dictionary_decode()
        for name, texts in reason_columns(ordered["reasons"]).items()
    }
    return pa.table(columns, schema=EXPORT_SCHEMA)


def sort_scores(scores: pa.Table) -> pa.Table:
    """Return the scores in SORT_ORDER."""
    if _is_sorted(scores):
        return scores
    return scores.sort_by([(name, "ascending") for name in SORT_ORDER])


def reason_columns(reasons: pa.ChunkedArray) -> dict[str, pa.DictionaryArray]:
    """Return the sentences of a column of reasons by the names of REASON_FIELDS.

    They are the first three for the outcome and the first three against it, null where there are
    fewer. They stay dictionary-encoded, as many leads share them.
    """
    sentences = run_query(SENTENCES_SQL, scores=pa.table({"reasons": reasons}))
    columns = zip(REASON_FIELDS, sentences.columns, strict=True)
    return {field.name: column.combine_chunks().dictionary_encode() for field, column in columns}


def _is_sorted(scores: pa.Table) -> bool:
    """Return whether the rows certainly are in SORT_ORDER, as a night writes them.

    Sorting a million rows takes seconds.
    """
    targets = scores["target"].combine_chunks().dictionary_encode()
    names = targets.dictionary.to_pylist()
    target_steps, rank_steps = (
        np.diff(targets.indices.to_numpy()),
        np.diff(scores["rank"].to_numpy()),
    )
    return names == sorted(names) and bool(
        ((target_steps > 0) | ((target_steps == 0) & (rank_steps > 0))).all()
    )


def _describe_export(scores: pa.Table, run: Run) -> dict[str, Any]:
    """Return the manifest without its files."""
    groups = scores.group_by(["target", "model_version"]).aggregate([([], "count_all")]).to_pylist()
    rows = dict.fromkeys(run.models, 0) | {group["target"]: group["count_all"] for group in groups}
    versions = dict(run.models) | {group["target"]: group["model_version"] for group in groups}
    return {
        "schema_version": SCHEMA_VERSION,
        "project": run.project,
        "as_of": format_instant(run.as_of),
        "columns": _describe_columns(EXPORT_SCHEMA),
        "rows": scores.num_rows,
        "rows_by_target": rows,
        "model_versions": versions,
        "run_id": run.run_id,
        "scored_at": format_instant(pc.max(scores["scored_at"]).as_py())
        if scores.num_rows
        else None,
        "config_hash": run.config_hash,
        "data_fingerprint": run.data_fingerprint,
        "code_version": run.code_version,
    }


def _describe_columns(schema: pa.Schema) -> list[dict[str, str]]:
    return [
        {"name": f.name, "type": TYPE_NAMES[f.type], "meaning": column_meaning(f)} for f in schema
    ]


def _write_jsonl(table: pa.Table, file: IO[bytes]) -> None:
    instants = [field.name for field in table.schema if field.type == INSTANT]
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for row in batch.to_pylist():
            row |= {name: format_instant(row[name]) for name in instants if row[name]}
            # JSON has no NaN; strict readers would reject the whole file.
            file.write(format_json(row).encode() + b"\n")


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    pq.write_table(table, file, compression="zstd")


WRITERS: Mapping[str, Callable[[pa.Table, IO[bytes]], None]] = {
    "csv": write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
