"""Monitoring pipeline: published scores, their outcomes, expected metrics, retraining advice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import parse_duration
from configs.errors import ConfigError, DataError, LeadscoreError
from configs.loading.workspace_place import OUTCOMES_FILE, REPORT_FOLDER
from configs.schema import Project
from configs.targets import ColumnOutcome
from features.build import build_features
from features.contracts import SPINE
from features.definitions.catalog import build_catalog
from features.sources import list_carried_columns
from features.spine import build_training_spine
from features.tools.atomic_file import write_atomically
from features.tools.instants import MAX_INSTANT, column_to_microseconds, to_microseconds
from features.tools.json_values import format_json
from models.clusters import number_keys
from models.registry.registry import Registry
from models.scorer import SCORER_FILE, read_scorer_json
from models.scorer_metadata import ScorerMetadata
from pipelines.as_of import is_in_future, parse_as_of
from pipelines.event_names import require_event_types
from pipelines.qualification.night import follow_target_handovers
from pipelines.reports.markdown import render_monitor_markdown
from pipelines.results.monitoring import MonitorResult
from pipelines.runner import Runner, read_clock
from pipelines.training.amounts import compute_realised_amounts
from pipelines.training.evaluation_rows import STAGE
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.workspace import find_registry, open_store
from serve.monitoring.expectations import (
    Comparison,
    ModelAge,
    Recommendation,
    compare_with_expectations,
    read_expectations,
    recommend_retraining,
)
from serve.monitoring.grade_order import GradeOrder, compare_grades
from serve.monitoring.outcomes import (
    OutcomeData,
    VersionRecord,
    follow_lists,
    follow_scores,
    list_published_nights,
)
from serve.monitoring.realised import RECENT_WEEKS, RealisedOutcomes, build_masks, measure_outcomes
from serve.scoring.weekly_lists import EXPLORE, PICK, total_weekly_capacity
from serve.store.store import Store


def monitor_targets(
    project: Project, as_of: str | None, targets: list[str], runner: Runner
) -> list[MonitorResult]:
    """Follow the published scores of the targets and write ``reports/outcomes.json`` and ``.md``.

    Takes no lock, since it changes neither scores nor models.

    Raises ConfigError for an as-of in the future and if no score of any of the targets was
    published, and the errors of reading the data.
    """
    parse_as_of(project, as_of, read_clock())
    store = open_store(project)
    ledger = store.runs(project.project)
    published = set(ledger.filter(pc.field("status") == "published")["target"].to_pylist())
    if not published & set(targets):
        raise ConfigError(
            "no scores were published",
            where=store.address,
            found=f"no run of {', '.join(targets)}",
            fix=f"run `leadscore score {project.path}` first",
        )
    results = _follow_targets(project, as_of, targets, runner, store)
    path = project.workspace_path / REPORT_FOLDER / OUTCOMES_FILE
    _write_report(path, format_json(outcomes_to_json(results), indent=1))
    _write_report(path.with_suffix(".md"), render_monitor_markdown(project, results))
    return results


def recommend_for_targets(
    project: Project, as_of: str | None, targets: list[str], runner: Runner
) -> dict[str, Recommendation]:
    """Return for each target whether to train it again, and why.

    A target without published scores is judged by the age of its champion alone.
    """
    results = _follow_targets(project, as_of, targets, runner, open_store(project), brief=True)
    return {result.target: result.recommendation for result in results}


def outcomes_to_json(results: list[MonitorResult]) -> dict[str, Any]:
    """Return the results of all targets as JSON values."""
    return {"targets": {result.target: result.to_json() for result in results}}


def _follow_targets(
    project: Project,
    as_of: str | None,
    targets: list[str],
    runner: Runner,
    store: Store,
    brief: bool = False,
) -> list[MonitorResult]:
    """Follow each target on one snapshot of the data."""
    runner.log("reading the sources")
    snapshot = runner.run(load_snapshot, project, as_of, read_clock())
    snapshot.log_warnings(runner.log)
    registry = find_registry(project)
    return [
        runner.run(follow_target, snapshot, target, store, registry, runner, brief)
        for target in targets
    ]


def follow_target(
    snapshot: Snapshot,
    target: str,
    store: Store,
    registry: Registry | None,
    runner: Runner,
    brief: bool = False,
) -> MonitorResult:
    """Follow the published scores of one target.

    With ``brief``, only the parts of the champion are measured: all its rows, and the recent ones.
    """
    project, target_config = snapshot.project, snapshot.project.target_config(target)
    require_event_types(project, snapshot.dataset, target, snapshot.as_of)
    runner.log(f"{target}: following the published scores")
    # Without times the as-of is only an order and excludes no night.
    nights = list_published_nights(
        store.runs(project.project), target, _resolve_as_of(snapshot) or MAX_INSTANT, project.zone
    )
    champion = registry.champion(target) if registry else None
    # A champion that has not published yet is included, since its age is judged as well.
    versions = {night.version for night in nights} | ({str(champion.number)} if champion else set())
    records = {
        version: _read_version_record(registry, target, version, snapshot) for version in versions
    }
    names, observed = (project.project, target), OutcomeData(snapshot.dataset, snapshot.observed)
    followed = follow_scores(store, names, target_config, nights, observed, records)
    rows = followed.rows
    number = str(champion.number) if champion else None
    parts = _measure_parts(snapshot, target, rows, number, brief)
    if not brief:
        listed = follow_lists(store, names, target_config, nights, observed, records)
        parts |= _measure_lists(snapshot, target, listed)
    compared, recent = (_compare_parts(kind, parts, records) for kind in ("version", "recent"))
    return MonitorResult(
        target,
        _resolve_as_of(snapshot),
        snapshot.observed if project.timed else None,
        number,
        followed,
        parts,
        compared,
        _recommend_training(snapshot, target, rows, compared, recent, records, number),
        tuple(version for version in compared if not records[version].expectations),
        tuple(_list_warnings(rows, compared, number)),
        () if brief else tuple(_compare_grades(snapshot, rows)),
        **({} if brief else {"handovers": follow_target_handovers(snapshot, target, store)}),
    )


def _recommend_training(
    snapshot: Snapshot,
    target: str,
    rows: pa.Table,
    compared: dict[str, list[Comparison]],
    recent: dict[str, list[Comparison]],
    records: dict[str, VersionRecord],
    champion: str | None,
) -> Recommendation:
    """Return whether to train the target again, by the outcomes of the champion's rows.

    ``compared`` are the comparisons of all rows by version, ``recent`` those of the latest rows.
    """
    if champion is None:
        return recommend_retraining(None, [], [], None)
    return recommend_retraining(
        champion,
        compared.get(champion, []),
        recent.get(champion, []),
        _find_champion_age(snapshot, target, records[champion]),
        _find_future_training(snapshot, records[champion]),
        _compare_grades(snapshot, rows, champion),
    )


def _compare_grades(
    snapshot: Snapshot, rows: pa.Table, version: str | None = None
) -> list[GradeOrder]:
    """Compare the grades of labelled FOLLOWED rows, of all versions or of one."""
    if version is not None:
        rows = rows.filter(pc.equal(rows["model_version"], version))
    label, probability = (rows[name].to_numpy().astype(float) for name in ("label", "probability"))
    lead = snapshot.dataset.find_leads(rows["entity_id"])
    return compare_grades(rows["grade"].to_pylist(), label, probability, lead)


def _compare_parts(
    kind: str,
    parts: dict[tuple[str, str], RealisedOutcomes],
    records: dict[str, VersionRecord],
) -> dict[str, list[Comparison]]:
    """Compare each part of a kind that is named after a model version, by version."""
    return {
        version: compare_with_expectations(part, records[version].expectations)
        for (part_kind, version), part in parts.items()
        if part_kind == kind
    }


def _resolve_as_of(snapshot: Snapshot) -> datetime | None:
    """Return the as-of; None if it is only the order of the last row of data without times."""
    return snapshot.as_of if snapshot.project.timed or snapshot.as_of != snapshot.observed else None


def _list_warnings(
    rows: pa.Table, compared: dict[str, list[Comparison]], champion: str | None
) -> Iterator[str]:
    """Yield each metric that is off, of the champion and of versions published in recent weeks."""
    # ISO weeks sort like time as texts.
    latest = sorted(pc.unique(rows["week"]).to_pylist())[-RECENT_WEEKS:]
    recent = rows.filter(pc.is_in(rows["week"], pa.array(latest, pa.string())))
    # Versions that are out of use are history: their metrics raise no warning.
    live = {*recent["model_version"].to_pylist(), champion}
    for version, comparisons in compared.items():
        if version in live:
            yield from (f"version {version}: {c.sentence}" for c in comparisons if c.is_off)


def _measure_parts(
    snapshot: Snapshot, target: str, rows: pa.Table, champion: str | None, brief: bool
) -> dict[tuple[str, str], RealisedOutcomes]:
    """Return the realised outcomes of each part of the rows used, by (kind, name)."""
    if not rows.num_rows:
        return {}
    lead = snapshot.dataset.find_leads(rows["entity_id"])
    target_config = snapshot.project.target_config(target)
    amount = compute_realised_amounts(snapshot.dataset, target_config, rows)
    masks = build_masks(
        rows,
        None if brief else _find_stages(snapshot, rows),
        snapshot.project.features.stages,
        champion,
    )
    # The recommendation needs the champion alone; the other parts would only take time.
    if brief:
        masks = {
            part: mask
            for part, mask in masks.items()
            if part in (("version", champion), ("recent", champion))
        }
    return measure_outcomes(
        rows,
        lead,
        masks,
        amount,
        total_weekly_capacity(snapshot.dataset, snapshot.project.capacity_config),
        target_config.learns_amount,
        number_keys(snapshot.dataset.find_clusters(rows["entity_id"])),
    )


def _measure_lists(
    snapshot: Snapshot, target: str, rows: pa.Table
) -> dict[tuple[str, str], RealisedOutcomes]:
    """Return the realised outcomes of listed leads: picked ones, and those drawn at random."""
    rows = rows.filter(rows["label"].is_valid())
    listed = np.array(rows["listed"].to_pylist(), dtype=object)
    masks = {("list", kind): listed == kind for kind in (PICK, EXPLORE) if (listed == kind).any()}
    if not masks:
        return {}
    lead = snapshot.dataset.find_leads(rows["entity_id"])
    target_config = snapshot.project.target_config(target)
    # All leads of a list are to be worked, so no capacity applies within it.
    return measure_outcomes(
        rows,
        lead,
        masks,
        compute_realised_amounts(snapshot.dataset, target_config, rows),
        None,
        target_config.learns_amount,
        number_keys(snapshot.dataset.find_clusters(rows["entity_id"])),
    )


def _find_stages(snapshot: Snapshot, rows: pa.Table) -> pa.Array | None:
    """Return each row's stage at its cutoff, point-in-time; None if no stages are configured."""
    columns = list_carried_columns(snapshot.project)
    catalog = build_catalog(snapshot.project, snapshot.dataset, columns)
    if not any(feature.name == STAGE for feature in catalog.features):
        return None
    matrix = build_features(snapshot.dataset, rows.select(SPINE.names), catalog.select([STAGE]))
    return matrix[STAGE].combine_chunks()


def _read_version_record(
    registry: Registry | None, target: str, version: str, snapshot: Snapshot
) -> VersionRecord:
    """Return the record of a model version; an empty one if the version or its files are gone."""
    if registry is None or not version.isdigit():
        return VersionRecord()
    try:
        directory = registry.scorer_directory(registry.version(target, int(version)))
        metadata = ScorerMetadata.from_json(read_scorer_json(directory / SCORER_FILE)["meta"])
    # A version that was deleted from the registry must not stop the report on the others.
    except (ConfigError, DataError):
        return VersionRecord()
    return VersionRecord(
        parse_duration(metadata.horizon) if metadata.horizon else None,
        snapshot.project.parse_instant(metadata.trained_as_of),
        snapshot.project.parse_instant(metadata.observation_date),
        read_expectations(metadata.expectations or {}),
    )


def _find_champion_age(snapshot: Snapshot, target: str, record: VersionRecord) -> ModelAge | None:
    """Return the champion's age if it exceeds the limit; None if not, or if it is unknown."""
    target_config = snapshot.project.target_config(target)
    max_age = snapshot.project.checks.model_age.warn
    # Without maturity, no rows of an outcome column can be counted as matured since.
    is_column = isinstance(target_config.outcome, ColumnOutcome)
    if (
        max_age is None
        or record.trained_as_of is None
        or record.observed_until is None
        or (is_column and not target_config.maturity)
    ):
        return None
    # A young model needs no count of the rows that have matured, which reads the whole spine.
    age = snapshot.as_of - record.trained_as_of
    if age <= max_age:
        return None
    spine = build_training_spine(snapshot.dataset, target_config, snapshot.as_of)
    cutoff = column_to_microseconds(spine["cutoff"])
    horizon = target_config.maturity
    at_training, current = (
        _count_mature(cutoff, horizon, observed)
        for observed in (record.observed_until, snapshot.observed)
    )
    return ModelAge(age, max_age, at_training, current - at_training)


def _find_future_training(snapshot: Snapshot, record: VersionRecord) -> datetime | None:
    """Return the as-of of a model's training if it lies after the clock, else None."""
    trained = record.trained_as_of
    if trained is None or not snapshot.project.timed:
        return None
    return trained if is_in_future(snapshot.project, trained, snapshot.clock) else None


def _count_mature(cutoff: np.ndarray, horizon: timedelta, observed: datetime) -> int:
    """Return the number of cutoffs (microseconds) whose horizon ends by ``observed``."""
    return int((cutoff <= to_microseconds(observed - horizon)).sum())


def _write_report(path: Path, text: str) -> None:
    """Write one report file atomically; raise LeadscoreError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.rstrip("\n") + "\n")
    except OSError as error:
        raise LeadscoreError(
            "cannot write the report",
            where=str(path.parent),
            found=str(error),
            fix="free disk space, then run it again",
        ) from error
