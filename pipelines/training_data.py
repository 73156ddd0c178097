"""From a config to rows: the data as known at an instant, and a target's spine, labels and features."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, join_names
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.build import build_features
from features.contracts import Dataset
from features.definitions.catalog import Catalog, catalog_of
from features.labels import compute_labels, compute_observation_date
from features.sources import carried_columns, read_sources
from features.spine import build_training_spine


@dataclass(frozen=True)
class Snapshot:
    """A company's data as it could be read just before ``as_of``."""

    project: Project
    dataset: Dataset
    as_of: datetime
    observed: datetime


@dataclass(frozen=True)
class TrainingRows:
    """A target's mature and immature rows: matrix and labels in the same order, and the catalogue they follow."""

    matrix: pa.Table
    labels: pa.Table
    catalog: Catalog


def load_snapshot(project: Project, as_of: str | None) -> Snapshot:
    """Read the sources and cut them at ``as_of``.

    Without an as-of it is the first midnight, in the config's zone, after the last row known. Raises DataError where
    nothing was known before the as-of, and where it lies further than ``sources.max_staleness`` after the last row.
    """
    return cut_snapshot(project, read_dataset(project), as_of)


def read_dataset(project: Project) -> Dataset:
    """Read the sources, whatever became known when; rows that are set aside go into the workspace's quarantine."""
    return read_sources(project, project.workspace_path / "quarantine", project.workspace_path / "scratch")


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
    if not project.timed:
        return Snapshot(project, dataset, moment if as_of else last, last)
    known = dataset.cut_at(moment)
    _require_recent_data(project, dataset, known, moment)
    return Snapshot(
        project, known, moment, compute_observation_date(known, moment, project.sources.complete_after)
    )


def build_training_rows(snapshot: Snapshot, target: str) -> TrainingRows:
    """Return a target's rows with labels and features.

    Raises ConfigError for an event type that the data does not hold, DataError where no entity was ever eligible.
    """
    target = snapshot.project.target_config(target)
    require_event_types(snapshot, target)
    spine = build_training_spine(snapshot.dataset, target, snapshot.as_of)
    if not spine.num_rows:
        raise DataError(
            "no entity was ever eligible",
            where=f"{snapshot.project.path}: targets.{target}.population",
            found=f"{snapshot.dataset.leads.num_rows} entities known before {snapshot.as_of.isoformat()}",
            fix="check population, cutoffs and observed_from, or take a later --as-of",
        )
    catalog = catalog_of(snapshot.project, snapshot.dataset, carried_columns(snapshot.project))
    found = compute_labels(snapshot.dataset, spine, target, snapshot.observed)
    return TrainingRows(build_features(snapshot.dataset, spine, catalog), found, catalog)


def require_event_types(snapshot: Snapshot, target: str) -> None:
    """Raise ConfigError if the outcome or the entry of a target is an event type that never occurs."""
    target = snapshot.project.target_config(target)
    known = pc.unique(snapshot.dataset.events["event_type"]).to_pylist()
    wanted = {
        "outcome": set(target.outcome_types),
        "population.after": {target.population.after} - {"created"},
    }
    for key, types in wanted.items():
        if types and not types & set(known):
            odd = min(types)
            there = join_names(sorted(known), 12) or "no event at all"
            raise ConfigError(
                "this event type never occurs",
                where=f"{snapshot.project.path}: targets.{target}.{key}",
                found=f"{odd!r}; before {snapshot.as_of.isoformat()} the data holds {there}",
                fix=did_you_mean(odd, known) or "correct the name, or take a later --as-of",
            )


def _require_recent_data(project: Project, whole: Dataset, known: Dataset, as_of: datetime) -> None:
    last = known.last_available_at()
    if last is None:
        first = min(
            pc.min(t["available_at"]).as_py() for t in (whole.leads, whole.events) if t.num_rows
        )
        raise DataError(
            "nothing was known yet",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the first row became known at {first.isoformat()}",
            fix="take a later --as-of",
        )
    if as_of - last > project.sources.max_staleness:
        raise DataError(
            "the data is too old for this as-of",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the last row became known at {last.isoformat()}, {(as_of - last).days} days before",
            fix="bring the sources up to date, take an earlier --as-of, or raise sources.max_staleness",
        )


def _find_midnight_after(project: Project, moment: datetime) -> datetime:
    local = moment.astimezone(project.zone) + timedelta(days=1)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _describe_row_counts(dataset: Dataset) -> str:
    return "; ".join(f"{c.source}: {c.rows_in} rows in, {c.used} used" for c in dataset.counts)


def count_training_rows(rows: TrainingRows) -> dict[str, int]:
    """Return how many rows there are, how many are mature, and how many of those hold the outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}
