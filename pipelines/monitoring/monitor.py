"""The wiring of the monitor: published scores → realised outcomes → what was promised → whether to train again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import parse_duration
from configs.errors import ConfigError, DataError, LeadscoreError
from configs.schema import Project
from configs.targets import ColumnOutcome
from features.build import build_features
from features.contracts import SPINE
from features.definitions.catalog import catalog_of
from features.sources import carried_columns
from features.spine import build_training_spine
from features.tools.atomic_file import write_whole
from features.tools.instants import MAX_INSTANT, column_to_microseconds, to_microseconds
from models.registry.registry import Registry
from models.scorer import SCORER_FILE
from models.scorer_metadata import ScorerMetadata
from models.serialization import read_json
from pipelines.reports.monitor_tables import outcomes_markdown
from pipelines.results.monitoring import MonitorResult
from pipelines.runner import Runner
from pipelines.training.amounts import realised
from pipelines.training.evaluation_rows import STAGE
from pipelines.training_data import Snapshot, load_snapshot, require_event_types
from pipelines.workspace import find_registry, open_store
from serve.monitoring.expectations import (
    Comparison,
    ModelAge,
    Recommendation,
    compare_with_expectations,
    read_expectations,
    recommend_retraining,
)
from serve.monitoring.outcomes import (
    VersionRecord,
    follow_lists,
    follow_scores,
    list_published_nights,
)
from serve.monitoring.realised import RECENT_WEEKS, RealisedOutcomes, build_masks, measure_outcomes
from serve.scoring.weekly_lists import EXPLORE, PICK, total_weekly_capacity
from serve.store.store import Store

FOLDER, NAME = "reports", "outcomes"


def monitor(
    project: Project, as_of: str | None, targets: list[str], driver: Runner
) -> list[MonitorResult]:
    """Follow the published scores of the targets and write ``reports/outcomes.json`` and ``.md``.

    Raises ConfigError where nothing was published of any of the targets, and what reading the data raises. It needs
    no lock: it changes neither scores nor models.
    """
    store = open_store(project)
    ledger = store.runs(project.project)
    published = set(ledger.filter(pc.field("status") == "published")["target"].to_pylist())
    if not published & set(targets):
        raise ConfigError(
            "nothing was published",
            where=store.where,
            found=f"no run of {', '.join(targets)}",
            fix=f"run `leadscore score {project.path}` first",
        )
    found = _followed(project, as_of, targets, driver, store)
    _write(project.workspace_path / FOLDER, json.dumps(as_json(found), ensure_ascii=False, indent=1), "json")
    _write(project.workspace_path / FOLDER, outcomes_markdown(project, found), "md")
    return found


def recommended(
    project: Project, as_of: str | None, targets: list[str], driver: Runner
) -> dict[str, Recommendation]:
    """Say of each target whether to train it again, and why; one that was never published is judged by age alone."""
    found = _followed(project, as_of, targets, driver, open_store(project), brief=True)
    return {each.target: each.recommendation for each in found}


def as_json(found: list[MonitorResult]) -> dict[str, Any]:
    """Return what became of all targets as plain JSON values."""
    return {"targets": {each.target: each.to_json() for each in found}}


def _followed(
    project: Project,
    as_of: str | None,
    targets: list[str],
    driver: Runner,
    store: Store,
    brief: bool = False,
) -> list[MonitorResult]:
    driver.log("reading the sources")
    now = driver.step(load_snapshot)(project, as_of)
    registry = find_registry(project)
    return [
        driver.step(follow_target)(now, name, store, registry, driver, brief) for name in targets
    ]


def follow_target(
    now: Snapshot,
    name: str,
    store: Store,
    registry: Registry | None,
    driver: Runner,
    brief: bool = False,
) -> MonitorResult:
    """Return what became of one target's published scores; ``brief`` asks for the parts of the champion alone."""
    project, target = now.project, now.project.target_config(name)
    require_event_types(now, name)
    driver.log(f"{name}: following the published scores")
    nights = list_published_nights(store.runs(project.project), name, _as_of(now) or MAX_INSTANT, project.zone)
    champion = registry.champion(name) if registry else None
    versions = {night.version for night in nights} | ({str(champion.number)} if champion else set())
    terms = {version: _terms(registry, name, version, now) for version in versions}
    followed = follow_scores(
        store, (project.project, name), target, nights, (now.dataset, now.observed), terms
    )
    number = str(champion.number) if champion else None
    parts = _parts(now, name, followed.rows, number, brief)
    listed = follow_lists(
        store, (project.project, name), target, nights, (now.dataset, now.observed), terms
    )
    parts |= {} if brief else _lists(now, name, listed)
    compared = {
        v: compare_with_expectations(part, terms[v].expectations) for (kind, v), part in parts.items() if kind == "version"
    }
    latest = [
        c
        for (kind, v), part in parts.items()
        if kind == "recent"
        for c in compare_with_expectations(part, terms[v].expectations)
    ]
    age = _age(now, name, terms[number]) if number else None
    return MonitorResult(
        name,
        _as_of(now),
        now.observed if project.timed else None,
        number,
        followed,
        parts,
        compared,
        recommend_retraining(number, compared.get(number or "", []), latest, age),
        tuple(version for version in compared if not terms[version].expectations),
        tuple(_warnings(followed.rows, compared, number)),
    )


def _as_of(now: Snapshot) -> datetime | None:
    """Return the as-of; None where data without times was read as of its last row, which is no instant."""
    return now.as_of if now.project.timed or now.as_of != now.observed else None


def _warnings(
    rows: pa.Table, compared: dict[str, list[Comparison]], champion: str | None
) -> Iterator[str]:
    """Tell what is off of the champion and of the versions of the latest weeks; the others are history."""
    latest = sorted(pc.unique(rows["week"]).to_pylist())[-RECENT_WEEKS:]
    live = {
        *rows.filter(pc.is_in(rows["week"], pa.array(latest, pa.string())))[
            "model_version"
        ].to_pylist(),
        champion,
    }
    for version, found in compared.items():
        if version in live:
            yield from (f"version {version}: {each.sentence}" for each in found if each.is_off)


def _parts(
    now: Snapshot, name: str, rows: pa.Table, champion: str | None, brief: bool
) -> dict[tuple[str, str], RealisedOutcomes]:
    if not rows.num_rows:
        return {}
    lead = now.dataset.find_leads(rows["entity_id"])
    target = now.project.target_config(name)
    amount = realised(now.dataset, target, rows)
    masks = build_masks(
        rows, None if brief else _stage(now, rows), now.project.features.stages, champion
    )
    if brief:
        masks = {
            part: mask
            for part, mask in masks.items()
            if part in (("version", champion), ("recent", champion))
        }
    return measure_outcomes(
        rows, lead, masks, amount, total_weekly_capacity(now.dataset, now.project.capacity_config), target.learns_amount
    )


def _lists(now: Snapshot, name: str, rows: pa.Table) -> dict[tuple[str, str], RealisedOutcomes]:
    """Return what became of the leads on the weeks' lists: of those picked, and of those drawn at random."""
    rows = rows.filter(rows["label"].is_valid())
    listed = np.array(rows["listed"].to_pylist(), dtype=object)
    masks = {("list", kind): listed == kind for kind in (PICK, EXPLORE) if (listed == kind).any()}
    if not masks:
        return {}
    lead = now.dataset.find_leads(rows["entity_id"])
    target = now.project.target_config(name)
    return measure_outcomes(
        rows, lead, masks, realised(now.dataset, target, rows), None, target.learns_amount
    )


def _stage(now: Snapshot, rows: pa.Table) -> pa.Array | None:
    """Return each row's stage at its cutoff, by what was known then; None where there are no stages."""
    catalog = catalog_of(now.project, now.dataset, carried_columns(now.project))
    if not any(feature.name == STAGE for feature in catalog.features):
        return None
    matrix = build_features(now.dataset, rows.select(SPINE.names), catalog.keeping([STAGE]))
    return matrix[STAGE].combine_chunks()


def _terms(registry: Registry | None, target: str, version: str, now: Snapshot) -> VersionRecord:
    """Read what is kept with a version; nothing where it, or its files, are no longer there."""
    if registry is None or not version.isdigit():
        return VersionRecord()
    try:
        directory = registry.scorer_directory(registry.version(target, int(version)))
        metadata = ScorerMetadata.from_json(read_json(directory / SCORER_FILE)["meta"])
    except (ConfigError, DataError):
        return VersionRecord()
    return VersionRecord(
        parse_duration(metadata.horizon) if metadata.horizon else None,
        now.project.parse_instant(metadata.trained_as_of),
        now.project.parse_instant(metadata.observation_date),
        read_expectations(metadata.expectations or {}),
    )


def _age(now: Snapshot, name: str, terms: VersionRecord) -> ModelAge | None:
    """Return a champion's age; None where it is young, where any age is allowed, or where no time tells it."""
    target, allowed = now.project.target_config(name), now.project.checks.model_age.warn
    if (
        allowed is None
        or terms.trained_as_of is None
        or terms.observed_until is None
        or isinstance(target.outcome, ColumnOutcome)
    ):
        return None
    length = now.as_of - terms.trained_as_of
    if length <= allowed:
        return None
    cutoff = column_to_microseconds(build_training_spine(now.dataset, target, now.as_of)["cutoff"])
    horizon = target.horizon or timedelta(0)
    then, today = (
        _mature(cutoff, horizon, observed) for observed in (terms.observed_until, now.observed)
    )
    return ModelAge(length, allowed, then, today - then)


def _mature(cutoff: np.ndarray, horizon: timedelta, observed: datetime) -> int:
    return int((cutoff <= to_microseconds(observed - horizon)).sum())


def _write(folder: Path, text: str, ending: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{NAME}.{ending}", text.rstrip("\n") + "\n")
    except OSError as error:
        raise LeadscoreError(
            "cannot write the report",
            where=str(folder),
            found=str(error),
            fix="make room and run it again",
        ) from error
