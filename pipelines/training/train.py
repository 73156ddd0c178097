"""The wiring of a training: data → rows → challenger → gate → champion, for each target."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from configs.errors import DataError, GateRefused, LeadscoreError
from configs.schema import Project
from configs.targets import ColumnOutcome
from features.build import build_features
from features.contracts import INSTANT, SPINE
from models.evaluation.gate import judge_challenger
from models.leakage.leakage import Suspect
from models.learners.amount_model import NO_AMOUNTS
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.registry.registry import Registry
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from models.training.results import BacktestResult, TrainResult
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.reports.mlflow_artifacts import write_training_record
from pipelines.results.training import TargetTraining
from pipelines.runner import Runner
from pipelines.training.audit import drop_suspects
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.evaluation_rows import check_segments
from pipelines.training.reference_profile import attach_reference_profile
from pipelines.training_data import (
    Snapshot,
    TrainingRows,
    build_training_rows,
    count_training_rows,
    load_snapshot,
)
from pipelines.workspace import open_workspace


def train_targets(
    project: Project, as_of: str | None, targets: list[str], driver: Runner
) -> list[TargetTraining]:
    """Train the targets and promote each challenger that passes the gate; return one Training a target.

    A target that fails does not keep the others from being trained: its error stands in its Training. Raises what
    reading the data raises, and WorkspaceBusy.
    """
    with open_workspace(project):
        driver.log("reading the sources")
        now = driver.run(load_snapshot, project, as_of)
        check_segments(now)
        registry = Registry(project.workspace_path, project.project)
        return [_train_target(now, name, registry, driver) for name in targets]


def _train_target(now: Snapshot, name: str, registry: Registry, driver: Runner) -> TargetTraining:
    try:
        driver.log(f"{name}: rows and features")
        audited = driver.run(
            load_audited_rows, now, name, lambda line: driver.log(f"{name}: {line}")
        )
        trained = driver.run(
            train_challenger, now, name, audited, lambda line: driver.log(f"{name}: {line}")
        )
        driver.log(f"{name}: judging")
        return driver.run(register_challenger, now, name, audited, trained, registry, driver)
    except LeadscoreError as error:
        return TargetTraining(name, {}, {}, {}, error=error)


@dataclass(frozen=True)
class AuditedRows:
    """A target's rows without the features of suspects, and the suspects among the columns offered."""

    rows: TrainingRows
    suspects: tuple[Suspect, ...]


def load_audited_rows(now: Snapshot, name: str, note: Callable[[str], None]) -> AuditedRows:
    """Return a target's rows to learn from; ``note`` is told of each suspect and why it is left out."""
    offered = build_training_rows(now, name)
    _require_mature_rows(now, name, offered)
    rows, suspects = drop_suspects(now, name, offered)
    for suspect in suspects:
        fate = "allowed" if suspect.allowed else "left out"
        note(f"{fate}: {suspect.column}: {suspect.evidence}")
    note(f"{rows.matrix.num_rows:,} rows with {len(rows.catalog.features)} features")
    return AuditedRows(rows, tuple(suspects))


def train_challenger(
    now: Snapshot, name: str, audited: AuditedRows, note: Callable[[str], None]
) -> TrainResult:
    """Train the challenger of one target."""
    target, rows = now.project.target_config(name), audited.rows
    metadata = ScorerMetadata.from_training(
        rows.catalog.to_json(),
        target.horizon,
        now.as_of,
        now.observed,
        [suspect.to_json() | {"allowed": suspect.allowed} for suspect in audited.suspects],
    )
    trained = train_scorer(
        rows.matrix, rows.labels, replace(build_settings(now, name, note), metadata=metadata)
    )
    trained = attach_reference_profile(trained, now, name, rows)
    if target.learns_amount:
        note(trained.scorer.amount_model.sentence if trained.scorer.amount_model else NO_AMOUNTS)
    return trained


def build_settings(now: Snapshot, name: str, note: Callable[[str], None]) -> TrainingSettings:
    """Return how one target is learnt and tested; ``note`` is told each step in words."""
    horizon = now.project.target_config(name).horizon or timedelta(0)
    return TrainingSettings(
        name,
        horizon,
        now.project.evaluation,
        now.dataset.ordered,
        now.observed if now.dataset.timed else None,
        learning=now.project.learning,
        log=note,
    )


def register_challenger(
    now: Snapshot,
    name: str,
    audited: AuditedRows,
    trained: TrainResult,
    registry: Registry,
    driver: Runner,
) -> TargetTraining:
    """Judge a challenger, keep its story, and promote it if it passes."""
    rows, suspects = audited.rows, audited.suspects
    found = evaluate_predictions(now, name, rows, trained)
    # Kept with the model, so that the scores it publishes can be held against it whatever becomes of the run.
    metadata = replace(trained.scorer.metadata, expectations=found.expectations)
    trained = replace(trained, scorer=replace(trained.scorer, metadata=metadata))
    verdict = judge_challenger(
        trained.out_of_time, predict_with_champion(now, name, trained, registry)
    )
    counts = count_training_rows(rows)
    with tempfile.TemporaryDirectory(prefix="leadscore-") as folder:
        told = write_training_record(Path(folder), now, rows, trained, found, verdict, suspects)
        version = registry.log_training(name, replace(told, tags={**told.tags, **driver.tags}))
    result = TargetTraining(
        name, counts, found.metrics, found.baselines, verdict, version, trained, suspects
    )
    try:
        verdict.raise_if_refused(name)
    except GateRefused as refusal:
        return replace(result, error=refusal)
    return replace(result, version=registry.promote(name, version.number))


def _require_mature_rows(now: Snapshot, name: str, rows: TrainingRows) -> None:
    if not pc.sum(rows.labels["mature"]).as_py():
        first = pc.min(rows.labels["cutoff"]).as_py()
        raise DataError(
            "no row is mature yet",
            where=f"target {name}",
            found=f"0 of {rows.labels.num_rows} rows; the first cutoff is {first.isoformat()}, "
            f"outcomes are complete through {now.observed.isoformat()}",
            fix="wait until the horizon has passed, shorten it, or take a later --as-of",
        )


def predict_with_champion(
    now: Snapshot, name: str, trained: BacktestResult, registry: Registry
) -> np.ndarray | None:
    """Return the champion's probabilities for the challenger's out-of-time rows, NaN where it had learnt from them.

    A model that learns from young rows as far as they were followed has learnt from all before its observation date.
    """
    version = registry.champion(name)
    if version is None:
        return None
    champion = Scorer.load(registry.scorer_directory(version))
    horizon = now.project.target_config(name).horizon
    probability = np.full(trained.out_of_time.num_rows, np.nan)
    if horizon is None or isinstance(now.project.target_config(name).outcome, ColumnOutcome):
        return probability
    follows = champion.learner in (Hazard.name, Blend.name)
    seen_through = now.project.parse_instant(champion.metadata.observation_date) - (
        timedelta(0) if follows else horizon
    )
    cutoff = trained.out_of_time["cutoff"].cast(INSTANT)
    unseen = np.flatnonzero(pc.greater(cutoff, seen_through).to_numpy())
    if len(unseen):
        spine = trained.out_of_time.select(SPINE.names).take(unseen)
        matrix = build_features(now.dataset, spine, champion.catalog)
        probability[unseen] = champion.predict(matrix)["probability"].to_numpy()
    return probability
