"""The feature matrix as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from configs.schema import Project
from features.build import ProgressCallback, stream_features
from features.contracts import INSTANT, SPINE
from features.definitions.catalog import Catalog, build_catalog
from features.sources import carried_columns
from features.spine import build_scoring_spine
from features.tools.spill import exceeds_memory
from pipelines.table_file import require_output_path, write_tables
from pipelines.training_data import Snapshot, load_snapshot


def write_feature_matrix(
    project: Project,
    as_of: str | None,
    target: str | None,
    out: Path,
    progress: ProgressCallback | None = None,
) -> tuple[int, int]:
    """Write the matrix at an instant, whole or not at all; return its rows and its number of features.

    One row for each entity that a target would score, or without one for each entity known, in the order of account
    and entity; never more than a few shards of them are in memory. Raises ConfigError for another file ending.
    """
    require_output_path(out)
    now = load_snapshot(project, as_of)
    spine = (
        build_scoring_spine(now.dataset, now.project.target_config(target), now.as_of)
        if target
        else _build_full_spine(now)
    )
    scratch = now.dataset.scratch if exceeds_memory(now.dataset.events) else None
    tables = stream_features(
        now.dataset, spine, _build_catalog(now), progress=progress, scratch=scratch
    )
    columns = write_tables(out, tables)
    return spine.num_rows, columns - len(SPINE)


def load_catalog(project: Project, as_of: str | None) -> Catalog:
    """Return the catalogue of a project's data as known at an instant."""
    return _build_catalog(load_snapshot(project, as_of))


def _build_catalog(now: Snapshot) -> Catalog:
    return build_catalog(now.project, now.dataset, carried_columns(now.project))


def _build_full_spine(now: Snapshot) -> pa.Table:
    ids = now.dataset.leads["entity_id"].combine_chunks()
    return pa.table([ids, pa.array(np.full(len(ids), now.as_of), INSTANT)], schema=SPINE)
