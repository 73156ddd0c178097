"""Data of a project as known at an as-of, and a target's spine, labels and features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, join_names
from configs.schema import Project
from features.build import build_features
from features.contracts import ACTIVITY, Dataset
from features.definitions.catalog import Catalog, build_catalog
from features.labels import compute_labels
from features.left_out import LeftOutColumns, read_left_out_columns
from features.paths.future_activity import count_future_events
from features.population_checks import explain_empty_spine, list_population_doubts
from features.sources import list_carried_columns, read_sources
from features.spine import build_training_spine
from features.times.data_end import find_data_end, find_midnight_after
from models.clusters import CLUSTER
from pipelines.as_of import parse_as_of
from pipelines.event_names import require_event_types
from pipelines.odd_rows import warn_about_odd_rows
from pipelines.outcome_column import list_outcome_warnings, require_outcome_values

# Broken rules of the contract that an error lists; it counts the others.
MAX_BREACHES_LISTED = 3


@dataclass(frozen=True)
class Snapshot:
    """A company's data as known just before an as-of.

    Attributes:
        project: Config of the company.
        dataset: Rows that had become known before ``as_of``.
        as_of: The as-of, in UTC.
        observed: Observation date, in UTC: outcomes before it are complete.
        clock: Time of the run, in UTC; no row and no as-of lies after the day of it.
    """

    project: Project
    dataset: Dataset
    as_of: datetime
    observed: datetime
    clock: datetime

    @cached_property
    def left_out(self) -> LeftOutColumns:
        """Return the columns of the leads source that the config leaves out, read once."""
        return read_left_out_columns(self.project, self.dataset)

    @property
    def warnings(self) -> list[str]:
        """Return one line for each doubtful reading of the data, for `check` and every log."""
        outcomes = list_outcome_warnings(self.project, self.dataset, self.observed)
        lines = [*self.dataset.warnings, *outcomes]
        for name, target_config in self.project.targets.items():
            lines += list_population_doubts(
                self.dataset, name, target_config, self.project.sources.complete_after
            )
        return lines

    def log_warnings(self, log: Callable[[str], None]) -> None:
        """Send each warning to ``log``."""
        for line in self.warnings:
            log(f"warning: {line}")


@dataclass(frozen=True)
class TrainingRows:
    """A target's mature and immature rows.

    Attributes:
        matrix: Feature matrix, one row per entity and cutoff.
        labels: LABELS of the same rows, in the same order, the column ``cluster``, and ``activity``
            with ``learning.activity`` (``count_future_events``).
        catalog: Catalog of the matrix's features.
    """

    matrix: pa.Table
    labels: pa.Table
    catalog: Catalog


def load_snapshot(
    project: Project, as_of: str | None, clock: datetime, root: Path | None = None
) -> Snapshot:
    """Read the sources and cut them at ``as_of``; bad rows go below ``root``, or the workspace.

    Rows that become available after ``clock`` are left out. The default as-of is the midnight, in
    the config's zone, that ends the last day of the data (``data_end``). Raises ConfigError for an
    as-of in the future, DataError where nothing was known before the as-of, and where it is more
    than ``sources.max_staleness`` after the end of the data.
    """
    parse_as_of(project, as_of, clock)
    return cut_snapshot(project, read_dataset(project, clock, root), as_of, clock)


def read_dataset(project: Project, clock: datetime, root: Path | None = None) -> Dataset:
    """Read the rows of the sources that were available at ``clock``.

    Bad rows go into the quarantine folder of ``root``, by default the workspace. Raises DataError
    where a rule of ``sources.contract`` that stops is broken.
    """
    root = root or project.workspace_path
    dataset = read_sources(project, root / "quarantine", root / "scratch", clock)
    breaches = [line for count in dataset.counts for line in count.breaches]
    if breaches:
        raise DataError(
            "the data breaks its contract",
            where=f"{project.path}: sources.contract",
            found=join_names(breaches, MAX_BREACHES_LISTED),
            fix="correct the source, change the rule, or give it severity: warn",
        )
    return dataset


def cut_snapshot(
    project: Project, dataset: Dataset, as_of: str | None, clock: datetime
) -> Snapshot:
    """Cut data at an as-of as ``load_snapshot`` does."""
    given = parse_as_of(project, as_of, clock)
    end = find_data_end(dataset, project.zone)
    if end is None:
        raise DataError(
            "no usable row",
            where=project.path,
            found=_describe_row_counts(dataset),
            fix="see the quarantine folder",
        )
    # Rows without times cannot be cut: all of them are used.
    if not project.timed:
        return Snapshot(project, dataset, given or end, end, clock)
    moment = given or find_midnight_after(end, project.zone)
    known = dataset.cut_at(moment)
    # Without --as-of only rows after the end are cut off, which does not change it.
    known_end = end if given is None else find_data_end(known, project.zone)
    last = _require_recent_data(project, dataset, known_end, moment)
    known = warn_about_odd_rows(project, dataset if given is None else known, known, last)
    return Snapshot(project, known, moment, last - project.sources.complete_after, clock)


def build_training_rows(snapshot: Snapshot, target: str) -> TrainingRows:
    """Return a target's rows with labels and features.

    Raises ConfigError for an event type or an outcome value that the data does not contain,
    DataError where no entity was ever eligible.
    """
    project, dataset = snapshot.project, snapshot.dataset
    target_config = project.target_config(target)
    require_event_types(project, dataset, target, snapshot.as_of)
    require_outcome_values(project, dataset, target)
    spine = build_training_spine(dataset, target_config, snapshot.as_of)
    if not spine.num_rows:
        reason, fix = explain_empty_spine(dataset, target, target_config, snapshot.as_of)
        where = f"{project.path}: targets.{target}.population"
        raise DataError("no entity was ever eligible", where=where, found=reason, fix=fix)
    catalog = build_catalog(project, dataset, list_carried_columns(project))
    labels = compute_labels(dataset, spine, target_config, snapshot.observed)
    labels = labels.append_column(CLUSTER, dataset.find_clusters(spine["entity_id"]))
    if project.learning.activity:
        activity = count_future_events(dataset, spine, target_config, catalog.unused)
        labels = labels.append_column(ACTIVITY, pa.array(activity))
    return TrainingRows(build_features(dataset, spine, catalog), labels, catalog)


def count_training_rows(rows: TrainingRows) -> dict[str, int]:
    """Return the number of rows, of mature and immature ones, and of mature ones with outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}


def _require_recent_data(
    project: Project, dataset: Dataset, end: datetime | None, as_of: datetime
) -> datetime:
    """Return the end of the data known before the as-of.

    Raises DataError where it is None, since nothing was known, and where it is too old.
    """
    if end is None:
        tables = (table for table in (dataset.leads, dataset.events) if table.num_rows)
        first = min(pc.min(table["available_at"]).as_py() for table in tables)
        raise DataError(
            "no data was known at this as-of",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the first row became known at {first.isoformat()}",
            fix="use a later --as-of",
        )
    if as_of - end > project.sources.max_staleness:
        raise DataError(
            "the data is too old for this as-of",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the data ends at {end.isoformat()}, {(as_of - end).days} days before",
            fix="update the sources, use an earlier --as-of, or raise sources.max_staleness",
        )
    return end


def _describe_row_counts(dataset: Dataset) -> str:
    counts = dataset.counts
    return "; ".join(f"{c.source}: {c.rows_in} rows in, {c.used} used" for c in counts)
