"""The feature matrix as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from configs.errors import ConfigError
from configs.schema import Project
from features.build import build_features
from features.catalog import Catalog, catalog_of
from features.contracts import INSTANT, SPINE
from features.sources import outcome_columns
from features.spine import scoring_spine
from pipelines.rows import Snapshot, snapshot

WRITERS = {".parquet": pq.write_table, ".csv": csv.write_csv}


def write(project: Project, as_of: str | None, target: str | None, out: Path) -> tuple[int, int]:
    """Write the matrix at an instant, whole or not at all; return its rows and its number of features.

    One row for each entity that a target would score, or without one for each entity known. Raises ConfigError for
    another file ending.
    """
    if out.suffix not in WRITERS:
        raise ConfigError("no such format", where=f"--out {out}", mend=f"end the name in {' or '.join(WRITERS)}")
    if not out.parent.is_dir():
        raise ConfigError("no such folder", where=f"--out {out}", found=str(out.parent), mend="create it first")
    now = snapshot(project, as_of)
    spine = scoring_spine(now.dataset, now.project.target(target), now.as_of) if target else _everyone(now)
    matrix = build_features(now.dataset, spine, _catalog(now))
    part = out.with_name(f".{out.name}.part")
    WRITERS[out.suffix](matrix, part)
    part.replace(out)
    return matrix.num_rows, matrix.num_columns - len(SPINE)


def catalog_at(project: Project, as_of: str | None) -> Catalog:
    """Return the catalogue of a project's data as known at an instant."""
    return _catalog(snapshot(project, as_of))


def _catalog(now: Snapshot) -> Catalog:
    return catalog_of(now.project, now.dataset, outcome_columns(now.project))


def _everyone(now: Snapshot) -> pa.Table:
    ids = now.dataset.leads["entity_id"].combine_chunks()
    return pa.table([ids, pa.array(np.full(len(ids), now.as_of), INSTANT)], schema=SPINE)
