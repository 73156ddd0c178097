"""Builds the feature matrix of an as-of, in memory or as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from configs.schema import Project
from features.build import ProgressCallback, stream_features
from features.contracts import INSTANT, SPINE
from features.definitions.catalog import Catalog, build_catalog
from features.sources import list_carried_columns
from features.spine import build_scoring_spine
from features.tools.spill import exceeds_memory
from pipelines.runner import discard_line, read_clock
from pipelines.table_file import require_output_path, write_tables
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]


def build_feature_matrix(
    project: Project, as_of: str | None, target: str | None, log: LogLine = discard_line
) -> pa.Table:
    """Return the matrix at an as-of: SPINE and feature columns.

    It has one row for each entity that ``target`` would score; without a target, one for each known
    entity. Rows are ordered by account and entity. ``log`` receives the warnings of the reading.
    """
    snapshot = _load_snapshot(project, as_of, log)
    return pa.concat_tables(_stream_matrix(snapshot, _build_matrix_spine(snapshot, target)))


def write_feature_matrix(
    project: Project,
    as_of: str | None,
    target: str | None,
    out: Path,
    progress: ProgressCallback | None = None,
    log: LogLine = discard_line,
) -> tuple[int, int]:
    """Write the matrix at an as-of to ``out``, atomically; return its rows and number of features.

    Rows are those of ``build_feature_matrix``; only a few shards of them are in memory at a time.
    Raises ConfigError for a file ending other than .parquet and .csv.
    """
    # Before the reading, so that a wrong name costs no minutes.
    require_output_path(out)
    snapshot = _load_snapshot(project, as_of, log)
    spine = _build_matrix_spine(snapshot, target)
    columns = write_tables(out, _stream_matrix(snapshot, spine, progress))
    return spine.num_rows, columns - len(SPINE)


def load_catalog(project: Project, as_of: str | None, log: LogLine = discard_line) -> Catalog:
    """Return the feature catalog of a project's data as known at an as-of."""
    return _build_catalog(_load_snapshot(project, as_of, log))


def _load_snapshot(project: Project, as_of: str | None, log: LogLine) -> Snapshot:
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    return snapshot


def _stream_matrix(
    snapshot: Snapshot, spine: pa.Table, progress: ProgressCallback | None = None
) -> Iterator[pa.Table]:
    dataset = snapshot.dataset
    # The disk is slower than memory, so only a log that does not fit is laid there.
    scratch = dataset.scratch if exceeds_memory(dataset.events) else None
    catalog = _build_catalog(snapshot)
    return stream_features(dataset, spine, catalog, progress=progress, scratch=scratch)


def _build_catalog(snapshot: Snapshot) -> Catalog:
    return build_catalog(snapshot.project, snapshot.dataset, list_carried_columns(snapshot.project))


def _build_matrix_spine(snapshot: Snapshot, target: str | None) -> pa.Table:
    """Return one row for each entity that a target would score, or for each known entity."""
    if target:
        target_config = snapshot.project.target_config(target)
        return build_scoring_spine(snapshot.dataset, target_config, snapshot.as_of)
    ids = snapshot.dataset.leads["entity_id"].combine_chunks()
    return pa.table([ids, pa.array(np.full(len(ids), snapshot.as_of), INSTANT)], schema=SPINE)
