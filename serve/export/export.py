"""The files a CRM reads: scores and a manifest that always belong together.

Each export is a new directory under ``exports/``, complete and on the disk before the symbolic link
``exports/current`` is switched to it in one step: a crash at any point leaves the old pair or the new one. A reader
that opens both files through ``current`` should resolve the link once and read what it names, or compare the
file's sha256 with the manifest's.

The CSV is RFC 4180 in UTF-8 without a byte-order mark; its lines end in CR LF because that standard says so. JSON
lines and Parquet hold text as it is and numbers in full.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.errors import ConfigError, LeadscoreError
from features.contracts import ACCOUNT_SCORES, INSTANT, SCORES
from features.tools.duckdb_sql import query
from serve.delimited import BATCH, iso, write_csv
from serve.export.atomic_folders import (
    CURRENT,
    KEEP,
    MANIFEST,
    NAME,
    STAGING,
    fingerprint,
    free_name,
    place,
    switch,
    write,
    write_manifest,
)
from serve.store.store import Run

SCHEMA_VERSION = 2
ORDER = ("target", "rank", "entity_id")
"""What the rows of an export are sorted by."""
REASONS = [
    pa.field(
        f"{side}_{place}",
        pa.string(),
        metadata={"meaning": f"sentence, no. {place} by strength, {words}"},
    )
    for side, words in (
        ("reason", "that speaks for the outcome"),
        ("against", "that speaks against it"),
    )
    for place in (1, 2, 3)
]
SENTENCES = """
    WITH read AS (SELECT from_json(reasons, '[{"contribution": "DOUBLE", "sentence": "VARCHAR"}]') AS said FROM told),
    sides AS (SELECT list_filter(said, lambda one: one.contribution > 0) AS pro,
                     list_filter(said, lambda one: one.contribution < 0) AS con FROM read)
    SELECT pro[1].sentence, pro[2].sentence, pro[3].sentence, con[1].sentence, con[2].sentence, con[3].sentence
    FROM sides"""
"""In the order of REASONS."""
NOT_EXPORTED = {"reasons", "model_version", "run_id", "scored_at"}
EXPORT = pa.schema(
    [*(f for f in SCORES if f.name not in NOT_EXPORTED), *REASONS, SCORES.field("model_version")]
)
"""One row a score, by target and rank. Without run and time of scoring: the same scores give the same file."""
ACCOUNTS = pa.schema(
    [field for field in ACCOUNT_SCORES if field.name not in NOT_EXPORTED - {"model_version"}]
)
"""One row an account, by target and rank."""


def export(
    scores: pa.Table, root: Path, run: Run, form: str = "csv", accounts: pa.Table | None = None
) -> Path:
    """Write one as-of's scores into the workspace ``root`` and make them current; return the file of ``form``.

    ``scores`` is a SCORES table, ``accounts`` ACCOUNT_SCORES, which go into ``accounts.csv`` beside it if there are
    any; ``run`` is the run that published them. The CSV is always written, so that no other
    form takes it from the CRM; another form, ``jsonl`` or ``parquet``, stands beside it. The newest KEEP former
    exports are kept. Call it under the workspace's lock.

    Raises ConfigError for an unknown form, ValueError if a row is of another project or as-of than the run,
    LeadscoreError if the files cannot be written; the former export then stays current.
    """
    return stage(scores, root, run, form, accounts).show()


@dataclass(frozen=True)
class Staged:
    """Files of an export in a place that no reader looks at: whole, and on the disk. ``run_id`` made their scores."""

    folder: Path
    run_id: str
    form: str
    name: str

    def show(self) -> Path:
        """Make it the current export in one step; return the file of its form. Raises LeadscoreError if it cannot."""
        with _told_whole(self.folder):
            place(self.folder, self.name)
            switch(self.folder, self.name)
            _prune(self.folder, self.name)
        return self.folder / CURRENT / f"scores.{self.form}"


def stage(
    scores: pa.Table, root: Path, run: Run, form: str, accounts: pa.Table | None = None
) -> Staged:
    """Write the files that ``export`` shows, and raise what it raises."""
    require_form(form)
    tables = {"scores": _flat(scores)}
    if accounts is not None and accounts.num_rows:
        _check(accounts, run)
        tables["accounts"] = accounts.select(ACCOUNTS.names).cast(ACCOUNTS)
    _check(scores, run)
    folder = root / "exports"
    with _told_whole(folder):
        name = _write_all(folder, tables, _described(scores, run), dict.fromkeys(["csv", form]))
    return Staged(folder, run.run_id, form, name)


@contextmanager
def _told_whole(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LeadscoreError(
            "cannot write the export",
            where=str(folder),
            found=str(error),
            fix="make room or fix the permissions and run it again; what is current now is whole",
        ) from error


def require_form(form: str, configured: Iterable[str] | None = None) -> None:
    """Raise ConfigError for a form that is not written; the ``configured`` exports are other choices."""
    if form not in WRITERS:
        fix = f"use {', '.join(WRITERS)}"
        if configured is not None:
            fix += f", or of publish.exports in the config: {', '.join(configured) or 'there is none yet'}"
        raise ConfigError("no such export format", where="--format", found=form, fix=fix)


def _check(scores: pa.Table, run: Run) -> None:
    strangers = scores.filter(
        (pc.field("project") != run.project) | (pc.field("as_of") != pa.scalar(run.as_of, INSTANT))
    )
    if strangers.num_rows:
        raise ValueError(
            f"{strangers.num_rows} scores are not of project {run.project!r} as of {run.as_of}"
        )


def _write_all(
    folder: Path, tables: Mapping[str, pa.Table], about: dict[str, Any], forms: Mapping[str, None]
) -> str:
    """Write files and manifest into a new directory, and return the name that it is to have."""
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for form, (name, table) in product(forms, tables.items()):
        write(staging / f"{name}.{form}", partial(WRITERS[form], table))
    files = {path.name: fingerprint(path) for path in sorted(staging.iterdir())}
    about |= {"files": files, **files["scores.csv"]}
    if "accounts" in tables:
        about |= {
            "account_rows": tables["accounts"].num_rows,
            "account_columns": _columns(ACCOUNTS),
        }
    write_manifest(staging / MANIFEST, about)
    return free_name(folder, datetime.fromisoformat(about["as_of"]), files["scores.csv"]["sha256"])


def _prune(folder: Path, current: str) -> None:
    """Remove all but the newest KEEP former exports; what cannot be removed is left for the next time."""
    former = [
        path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.name != current
    ]
    former.sort(key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    for path in former[KEEP:]:
        shutil.rmtree(path, ignore_errors=True)


def _flat(scores: pa.Table) -> pa.Table:
    """Return an EXPORT table: the scores by target and rank, with the reasons' sentences as columns."""
    ordered = scores if _sorted(scores) else scores.sort_by([(name, "ascending") for name in ORDER])
    columns = {name: ordered[name] for name in EXPORT.names if name in ordered.column_names}
    columns |= {name: texts.dictionary_decode() for name, texts in told(ordered["reasons"]).items()}
    return pa.table(columns, schema=EXPORT)


def told(reasons: pa.ChunkedArray) -> dict[str, pa.DictionaryArray]:
    """Return the sentences of a column of reasons by the names of REASONS, null where there are fewer.

    They are the first three for and the first three against. They stay encoded: many leads have the same ones.
    """
    found = query(SENTENCES, told=pa.table({"reasons": reasons}))
    columns = zip(REASONS, found.columns, strict=True)
    return {field.name: column.combine_chunks().dictionary_encode() for field, column in columns}


def _sorted(scores: pa.Table) -> bool:
    """Say whether the rows surely are in ORDER, as a night makes them: to sort a million costs seconds."""
    targets = scores["target"].combine_chunks().dictionary_encode()
    names = targets.dictionary.to_pylist()
    step, climb = np.diff(targets.indices.to_numpy()), np.diff(scores["rank"].to_numpy())
    return names == sorted(names) and bool(((step > 0) | ((step == 0) & (climb > 0))).all())


def _described(scores: pa.Table, run: Run) -> dict[str, Any]:
    """Return what the manifest says beside the files; sha256 and bytes at its top are those of the CSV."""
    groups = scores.group_by(["target", "model_version"]).aggregate([([], "count_all")]).to_pylist()
    rows = dict.fromkeys(run.models, 0) | {group["target"]: group["count_all"] for group in groups}
    versions = dict(run.models) | {group["target"]: group["model_version"] for group in groups}
    return {
        "schema_version": SCHEMA_VERSION,
        "project": run.project,
        "as_of": iso(run.as_of),
        "columns": _columns(EXPORT),
        "rows": scores.num_rows,
        "rows_by_target": rows,
        "model_versions": versions,
        "run_id": run.run_id,
        "scored_at": iso(pc.max(scores["scored_at"]).as_py()) if scores.num_rows else None,
        "config_hash": run.config_hash,
        "data_fingerprint": run.data_fingerprint,
        "code_version": run.code_version,
    }


def _columns(schema: pa.Schema) -> list[dict[str, str]]:
    return [{"name": f.name, "type": TYPES[f.type], "meaning": meaning(f)} for f in schema]


def meaning(field: pa.Field) -> str:
    """Return what a column of the contracts says of itself."""
    said: bytes = field.metadata[b"meaning"]
    return said.decode()


def _write_jsonl(table: pa.Table, file: IO[bytes]) -> None:
    instants = [field.name for field in table.schema if field.type == INSTANT]
    for batch in table.to_batches(max_chunksize=BATCH):
        for row in batch.to_pylist():
            row |= {name: iso(row[name]) for name in instants if row[name]}
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    pq.write_table(table, file, compression="zstd")


TYPES = {pa.string(): "text", pa.float64(): "fraction", pa.int64(): "integer", INSTANT: "instant"}
WRITERS: Mapping[str, Callable[[pa.Table, IO[bytes]], None]] = {
    "csv": write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
