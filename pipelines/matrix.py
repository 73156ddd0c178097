"""The feature matrix as a file."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.schema import Project
from features.build import Progress, stream_features
from features.catalog import Catalog, catalog_of
from features.contracts import INSTANT, SPINE
from features.sources import outcome_columns
from features.spine import scoring_spine
from pipelines.rows import Snapshot, snapshot

WRITERS = {".parquet": pq.ParquetWriter, ".csv": csv.CSVWriter}


def write(
    project: Project, as_of: str | None, target: str | None, out: Path, progress: Progress | None = None
) -> tuple[int, int]:
    """Write the matrix at an instant, whole or not at all; return its rows and its number of features.

    One row for each entity that a target would score, or without one for each entity known, in the order of account
    and entity; never more than a few shards of them are in memory. Raises ConfigError for another file ending.
    """
    if out.suffix not in WRITERS:
        raise ConfigError("no such format", where=f"--out {out}", mend=f"end the name in {' or '.join(WRITERS)}")
    if not out.parent.is_dir():
        raise ConfigError("no such folder", where=f"--out {out}", found=str(out.parent), mend="create it first")
    now = snapshot(project, as_of)
    spine = scoring_spine(now.dataset, now.project.target(target), now.as_of) if target else _everyone(now)
    tables = stream_features(now.dataset, spine, _catalog(now), progress=progress)
    first = next(tables)
    part = out.with_name(f".{out.name}.part")
    try:
        with WRITERS[out.suffix](part, first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return spine.num_rows, first.num_columns - len(SPINE)


def catalog_at(project: Project, as_of: str | None) -> Catalog:
    """Return the catalogue of a project's data as known at an instant."""
    return _catalog(snapshot(project, as_of))


def _catalog(now: Snapshot) -> Catalog:
    return catalog_of(now.project, now.dataset, outcome_columns(now.project))


def _everyone(now: Snapshot) -> pa.Table:
    ids = now.dataset.leads["entity_id"].combine_chunks()
    return pa.table([ids, pa.array(np.full(len(ids), now.as_of), INSTANT)], schema=SPINE)
