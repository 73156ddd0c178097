"""Training of targets: snapshot → rows → challenger → evaluation → gate → champion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
from models.leakage.suspects import Suspect
from models.learners.amount_model import NO_AMOUNTS
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.segmented import Segmented
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from models.training.results import BacktestResult, TrainResult
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.reports.mlflow_artifacts import write_training_record
from pipelines.reports.mlflow_run import describe_run_start
from pipelines.results.run_cost import CostMeter
from pipelines.results.training import TargetTraining
from pipelines.runner import Runner, read_clock
from pipelines.training.audit import drop_suspects
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.evaluation_rows import check_segments
from pipelines.training.reference_profile import attach_reference_profile
from pipelines.training.segment_column import find_segment_column
from pipelines.training_data import (
    Snapshot,
    TrainingRows,
    build_training_rows,
    count_training_rows,
    load_snapshot,
)
from pipelines.workspace import open_workspace


def train_targets(
    project: Project, as_of: str | None, targets: list[str], runner: Runner
) -> list[TargetTraining]:
    """Train targets and promote each challenger that passes the gate; return one result per target.

    A target that fails does not stop the others: its result holds the error. Raises what reading
    the data raises, and WorkspaceBusy.
    """
    with open_workspace(project):
        runner.log("reading the sources")
        snapshot = runner.run(load_snapshot, project, as_of, read_clock())
        snapshot.log_warnings(runner.log)
        # A wrong segment is found before the training and not when its metrics are computed.
        check_segments(snapshot)
        find_segment_column(snapshot)
        registry = Registry(project.workspace_path, project.project)
        return [_train_target(snapshot, target, registry, runner) for target in targets]


def _train_target(
    snapshot: Snapshot, target: str, registry: Registry, runner: Runner
) -> TargetTraining:
    def log(line: str) -> None:
        runner.log(f"{target}: {line}")

    meter = CostMeter()
    try:
        # From here on MLflow shows the training, also if it fails.
        with registry.open_run(target, describe_run_start(snapshot, runner)) as run_id:
            log("rows and features")
            audited = runner.run(load_audited_rows, snapshot, target, log)
            trained = runner.run(train_challenger, snapshot, target, audited, log)
            log("evaluating")
            parts = (snapshot, target, audited, trained, registry, runner, run_id, meter)
            return runner.run(register_challenger, *parts)
    except LeadscoreError as error:
        return TargetTraining(target, {}, {}, {}, error=error)


@dataclass(frozen=True)
class AuditedRows:
    """The training rows of a target after the leakage audit.

    Attributes:
        rows: Rows without the features of suspected columns.
        suspects: Suspected columns among those that the config offers.
    """

    rows: TrainingRows
    suspects: tuple[Suspect, ...]


def load_audited_rows(snapshot: Snapshot, target: str, log: Callable[[str], None]) -> AuditedRows:
    """Return the training rows of a target after the audit, and log each suspect with its evidence.

    Raises DataError if no row is mature, and what building and auditing the rows raise.
    """
    offered = build_training_rows(snapshot, target)
    _require_mature_rows(snapshot, target, offered)
    rows, audit = drop_suspects(snapshot, target, offered)
    for limit in audit.limits:
        log(limit)
    for suspect in audit.suspects_in_use:
        state = "allowed" if suspect.allowed else "left out"
        log(f"{state}: {suspect.column}: {suspect.evidence}")
    log(f"{rows.matrix.num_rows:,} rows with {len(rows.catalog.features)} features")
    return AuditedRows(rows, audit.suspects_in_use)


def train_challenger(
    snapshot: Snapshot, target: str, audited: AuditedRows, log: Callable[[str], None]
) -> TrainResult:
    """Train the challenger of one target, with its reference profile and its amount model."""
    target_config, rows = snapshot.project.target_config(target), audited.rows
    metadata = ScorerMetadata.from_training(
        rows.catalog.to_json(),
        target_config.horizon,
        snapshot.as_of,
        snapshot.observed,
        [suspect.to_json() | {"allowed": suspect.allowed} for suspect in audited.suspects],
    )
    settings = replace(build_settings(snapshot, target, log), metadata=metadata)
    trained = train_scorer(rows.matrix, rows.labels, settings)
    trained = attach_reference_profile(trained, snapshot, target, rows)
    if target_config.learns_amount:
        log(trained.scorer.amount_model.sentence if trained.scorer.amount_model else NO_AMOUNTS)
    return trained


def build_settings(snapshot: Snapshot, target: str, log: Callable[[str], None]) -> TrainingSettings:
    """Return the training settings of one target; ``log`` receives one line per step."""
    project, dataset = snapshot.project, snapshot.dataset
    target_config = project.target_config(target)
    return TrainingSettings(
        target,
        # An outcome column has no horizon, but a training before a test window would not have known
        # the outcomes of leads that were younger than `mature_after` either.
        target_config.maturity,
        project.evaluation,
        dataset.ordered,
        snapshot.observed if project.follows_up(target) else None,
        learning=project.learning,
        log=log,
        segment_column=find_segment_column(snapshot),
    )


def register_challenger(
    snapshot: Snapshot,
    target: str,
    audited: AuditedRows,
    trained: TrainResult,
    registry: Registry,
    runner: Runner,
    run_id: str,
    meter: CostMeter,
) -> TargetTraining:
    """Evaluate a challenger, log it to its run, and promote it if it passes the gate.

    ``meter`` measures what the training costs.
    """
    rows, suspects = audited.rows, audited.suspects
    evaluation = evaluate_predictions(snapshot, target, rows, trained)
    # Stored with the model, so that published scores can be compared with the expected metrics even
    # if the MLflow run is deleted.
    metadata = replace(trained.scorer.metadata, expectations=evaluation.expectations)
    trained = replace(trained, scorer=replace(trained.scorer, metadata=metadata))
    champion = predict_with_champion(snapshot, target, trained, registry)
    searched = snapshot.project.learning.search is not None
    verdict = judge_challenger(
        trained.out_of_time,
        champion,
        searched=searched,
        global_model=trained.global_learner,
    )
    # A refused challenger is recorded as well: its report says why it was refused.
    with tempfile.TemporaryDirectory(prefix="leadscore-") as folder:
        record = write_training_record(
            Path(folder), snapshot, rows, trained, evaluation, verdict, suspects
        )
        version = registry.log_training(target, _add_cost(record, runner, meter), run_id)
    result = TargetTraining(
        target,
        count_training_rows(rows),
        evaluation.metrics,
        evaluation.baselines,
        verdict,
        version,
        trained,
        suspects,
        report=registry.report_address(version),
    )
    try:
        verdict.raise_if_refused(target)
    except GateRefused as refusal:
        return replace(result, error=refusal)
    return replace(result, version=registry.promote(target, version.number))


def _add_cost(record: TrainingRecord, runner: Runner, meter: CostMeter) -> TrainingRecord:
    """Return a record with the tags of its runner, and with what it cost among its metrics."""
    cost = {name: v for name, v in asdict(meter.read_cost()).items() if v is not None}
    tags = {**record.tags, **runner.tags}
    return replace(record, tags=tags, metrics={**record.metrics, **cost})


def _require_mature_rows(snapshot: Snapshot, target: str, rows: TrainingRows) -> None:
    if not pc.sum(rows.labels["mature"]).as_py():
        first = pc.min(rows.labels["cutoff"]).as_py()
        raise DataError(
            "no row is mature yet",
            where=f"target {target}",
            found=f"0 of {rows.labels.num_rows} rows; the first cutoff is {first.isoformat()}, "
            f"outcomes are complete through {snapshot.observed.isoformat()}",
            fix="wait until the horizon has passed, shorten it, or take a later --as-of",
        )


def predict_with_champion(
    snapshot: Snapshot, target: str, result: BacktestResult, registry: Registry
) -> np.ndarray | None:
    """Return the champion's probabilities for out-of-time rows, None without a champion.

    They are NaN for rows whose outcome the champion may have been trained on. A learner that trains
    on right-censored rows has seen all outcomes before its observation date; other learners have
    seen those of rows whose horizon ended before it.
    """
    version = registry.champion(target)
    if version is None:
        return None
    champion = Scorer.load(registry.scorer_directory(version))
    target_config = snapshot.project.target_config(target)
    horizon = target_config.horizon
    probability = np.full(result.out_of_time.num_rows, np.nan)
    if horizon is None or isinstance(target_config.outcome, ColumnOutcome):
        return probability
    # Rows that the champion was trained on would make it look better than on new rows.
    trains_on_censored = champion.learner in (Hazard.name, Blend.name, Segmented.name)
    observed = snapshot.project.parse_instant(champion.metadata.observation_date)
    seen_through = observed - (timedelta(0) if trains_on_censored else horizon)
    cutoff = result.out_of_time["cutoff"].cast(INSTANT)
    unseen = np.flatnonzero(pc.greater(cutoff, seen_through).to_numpy())
    if len(unseen):
        spine = result.out_of_time.select(SPINE.names).take(unseen)
        matrix = build_features(snapshot.dataset, spine, champion.catalog)
        probability[unseen] = champion.predict(matrix)["probability"].to_numpy()
    return probability
