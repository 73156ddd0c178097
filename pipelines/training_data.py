"""Data of a project as known at an as-of, and a target's spine, labels and features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, join_names
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.build import build_features
from features.contracts import Dataset
from features.definitions.catalog import Catalog, build_catalog
from features.labels import compute_labels, compute_observation_date
from features.population_checks import explain_empty_spine, list_population_doubts
from features.sources import list_carried_columns, read_sources
from features.spine import build_training_spine
from models.clusters import CLUSTER
from pipelines.outcome_column import list_outcome_warnings, require_outcome_values

# Event types that an error message lists: enough to spot a typo, on a few lines.
MAX_TYPES_LISTED = 12


@dataclass(frozen=True)
class Snapshot:
    """A company's data as known just before an as-of.

    Attributes:
        project: Config of the company.
        dataset: Rows that had become known before ``as_of``.
        as_of: The as-of, in UTC.
        observed: Observation date, in UTC: outcomes before it are complete.
    """

    project: Project
    dataset: Dataset
    as_of: datetime
    observed: datetime

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
        labels: LABELS of the same rows, in the same order, and the column ``cluster``.
        catalog: Catalog of the matrix's features.
    """

    matrix: pa.Table
    labels: pa.Table
    catalog: Catalog


def load_snapshot(project: Project, as_of: str | None) -> Snapshot:
    """Read the sources and cut them at ``as_of``.

    The default as-of is the first midnight, in the config's zone, after the last known row. Raises
    DataError where nothing was known before the as-of, and where it is more than
    ``sources.max_staleness`` after the last row.
    """
    return cut_snapshot(project, read_dataset(project), as_of)


def read_dataset(project: Project) -> Dataset:
    """Read all rows of the sources; bad rows go into the workspace's quarantine folder."""
    root = project.workspace_path
    return read_sources(project, root / "quarantine", root / "scratch")


def cut_snapshot(project: Project, dataset: Dataset, as_of: str | None) -> Snapshot:
    """Cut data at an as-of as ``load_snapshot`` does."""
    last = dataset.last_available_at()
    if last is None:
        raise DataError(
            "no usable row",
            where=project.path,
            found=_describe_row_counts(dataset),
            fix="see the quarantine folder",
        )
    moment = project.parse_instant(as_of) if as_of else _find_midnight_after(project, last)
    # Rows without times cannot be cut: all of them are used.
    if not project.timed:
        return Snapshot(project, dataset, moment if as_of else last, last)
    known = dataset.cut_at(moment)
    _require_recent_data(project, dataset, known, moment)
    observed = compute_observation_date(known, moment, project.sources.complete_after)
    return Snapshot(project, known, moment, observed)


def build_training_rows(snapshot: Snapshot, target: str) -> TrainingRows:
    """Return a target's rows with labels and features.

    Raises ConfigError for an event type or an outcome value that the data does not contain,
    DataError where no entity was ever eligible.
    """
    project, dataset = snapshot.project, snapshot.dataset
    target_config = project.target_config(target)
    require_event_types(snapshot, target)
    require_outcome_values(project, dataset, target)
    spine = build_training_spine(dataset, target_config, snapshot.as_of)
    if not spine.num_rows:
        reason, fix = explain_empty_spine(dataset, target, target_config, snapshot.as_of)
        where = f"{project.path}: targets.{target}.population"
        raise DataError("no entity was ever eligible", where=where, found=reason, fix=fix)
    catalog = build_catalog(project, dataset, list_carried_columns(project))
    labels = compute_labels(dataset, spine, target_config, snapshot.observed)
    labels = labels.append_column(CLUSTER, dataset.find_clusters(spine["entity_id"]))
    return TrainingRows(build_features(dataset, spine, catalog), labels, catalog)


def require_event_types(snapshot: Snapshot, target: str) -> None:
    """Raise ConfigError if a target's outcome or entry is an event type that never occurs."""
    target_config = snapshot.project.target_config(target)
    known = pc.unique(snapshot.dataset.events["event_type"]).to_pylist()
    required_types = {
        "outcome": set(target_config.outcome_types),
        # `created` is the lead's own creation, not an event of the log.
        "population.after": {target_config.population.after} - {"created"},
    }
    for key, types in required_types.items():
        if types and not types & set(known):
            missing = min(types)
            listed = join_names(sorted(known), MAX_TYPES_LISTED) or "no event at all"
            raise ConfigError(
                "this event type never occurs",
                where=f"{snapshot.project.path}: targets.{target}.{key}",
                found=f"{missing!r}; before {snapshot.as_of.isoformat()} the data contains "
                f"{listed}",
                fix=did_you_mean(missing, known) or "correct the name, or use a later --as-of",
            )


def count_training_rows(rows: TrainingRows) -> dict[str, int]:
    """Return the number of rows, of mature and immature ones, and of mature ones with outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}


def _require_recent_data(
    project: Project, dataset: Dataset, known: Dataset, as_of: datetime
) -> None:
    """Raise DataError where nothing was known before the as-of, or the last row is too old."""
    last = known.last_available_at()
    if last is None:
        tables = (table for table in (dataset.leads, dataset.events) if table.num_rows)
        first = min(pc.min(table["available_at"]).as_py() for table in tables)
        raise DataError(
            "no data was known at this as-of",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the first row became known at {first.isoformat()}",
            fix="use a later --as-of",
        )
    if as_of - last > project.sources.max_staleness:
        raise DataError(
            "the data is too old for this as-of",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the last row became known at {last.isoformat()}, "
            f"{(as_of - last).days} days before",
            fix="update the sources, use an earlier --as-of, or raise sources.max_staleness",
        )


def _find_midnight_after(project: Project, moment: datetime) -> datetime:
    local = moment.astimezone(project.zone) + timedelta(days=1)
    # Midnight by local time: a day has 23 or 25 hours where clocks change.
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _describe_row_counts(dataset: Dataset) -> str:
    counts = dataset.counts
    return "; ".join(f"{c.source}: {c.rows_in} rows in, {c.used} used" for c in counts)
