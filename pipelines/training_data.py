"""From a config to rows: the data as known at an instant, and a target's spine, labels and features."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, listed
from configs.schema import Project
from features.build import build_features
from features.contracts import Dataset
from features.definitions.catalog import Catalog, catalog_of
from features.labels import labels, observation_date
from features.sources import carried_columns, read
from features.spine import training_spine


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


def snapshot(project: Project, as_of: str | None) -> Snapshot:
    """Read the sources and cut them at ``as_of``.

    Without an as-of it is the first midnight, in the config's zone, after the last row known. Raises DataError where
    nothing was known before the as-of, and where it lies further than ``sources.max_staleness`` after the last row.
    """
    return as_known(project, whole_data(project), as_of)


def whole_data(project: Project) -> Dataset:
    """Read the sources, whatever became known when; rows that are set aside go into the workspace's quarantine."""
    return read(project, project.root / "quarantine", project.root / "scratch")


def as_known(project: Project, whole: Dataset, as_of: str | None) -> Snapshot:
    """Cut data at an as-of as ``snapshot`` does."""
    last = whole.last_known()
    if last is None:
        raise DataError(
            "no usable row",
            where=project.path,
            found=_rows_in(whole),
            fix="see the quarantine folder",
        )
    moment = project.instant(as_of) if as_of else _midnight_after(project, last)
    if not project.timed:
        return Snapshot(project, whole, moment if as_of else last, last)
    known = whole.upto(moment)
    _refuse_impossible(project, whole, known, moment)
    return Snapshot(
        project, known, moment, observation_date(known, moment, project.sources.complete_after)
    )


def training_rows(now: Snapshot, name: str) -> TrainingRows:
    """Return a target's rows with labels and features.

    Raises ConfigError for an event type that the data does not hold, DataError where no entity was ever eligible.
    """
    target = now.project.target(name)
    check_types(now, name)
    spine = training_spine(now.dataset, target, now.as_of)
    if not spine.num_rows:
        raise DataError(
            "no entity was ever eligible",
            where=f"{now.project.path}: targets.{name}.population",
            found=f"{now.dataset.leads.num_rows} entities known before {now.as_of.isoformat()}",
            fix="check population, cutoffs and observed_from, or take a later --as-of",
        )
    catalog = catalog_of(now.project, now.dataset, carried_columns(now.project))
    found = labels(now.dataset, spine, target, now.observed)
    return TrainingRows(build_features(now.dataset, spine, catalog), found, catalog)


def check_types(now: Snapshot, name: str) -> None:
    """Raise ConfigError if the outcome or the entry of a target is an event type that never occurs."""
    target = now.project.target(name)
    known = pc.unique(now.dataset.events["event_type"]).to_pylist()
    wanted = {
        "outcome": set(target.outcomes),
        "population.after": {target.population.after} - {"created"},
    }
    for key, types in wanted.items():
        if types and not types & set(known):
            odd = min(types)
            near, there = (
                difflib.get_close_matches(odd, known, 1),
                listed(sorted(known), 12) or "no event at all",
            )
            raise ConfigError(
                "this event type never occurs",
                where=f"{now.project.path}: targets.{name}.{key}",
                found=f"{odd!r}; before {now.as_of.isoformat()} the data holds {there}",
                fix=f"did you mean {near[0]!r}?"
                if near
                else "correct the name, or take a later --as-of",
            )


def _refuse_impossible(project: Project, whole: Dataset, known: Dataset, as_of: datetime) -> None:
    last = known.last_known()
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


def _midnight_after(project: Project, moment: datetime) -> datetime:
    local = moment.astimezone(project.zone) + timedelta(days=1)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _rows_in(dataset: Dataset) -> str:
    return "; ".join(f"{c.source}: {c.rows_in} rows in, {c.used} used" for c in dataset.counts)


def count_rows(rows: TrainingRows) -> dict[str, int]:
    """Return how many rows there are, how many are mature, and how many of those hold the outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}
