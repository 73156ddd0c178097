"""Backtest of the training procedure at several origins; no model is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from configs.errors import LeadscoreError
from configs.schema import Project
from models.evaluation.gate import judge_challenger
from models.training.results import BacktestResult
from models.training.train import backtest_learners
from pipelines.results.backtest import TargetBacktest
from pipelines.results.predictions import build_predictions
from pipelines.runner import read_clock
from pipelines.table_file import require_output_path, write_tables
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.evaluation_rows import check_segments
from pipelines.training.segment_column import find_segment_column
from pipelines.training.train import build_settings, load_audited_rows, predict_with_champion
from pipelines.training_data import Snapshot, TrainingRows, count_training_rows, load_snapshot
from pipelines.workspace import find_registry

LogLine = Callable[[str], None]


def backtest_targets(
    project: Project, as_of: str | None, targets: list[str], log: LogLine, out: Path | None = None
) -> list[TargetBacktest]:
    """Test each target's training on the past; return one result per target.

    The predictions of all targets are written to ``out``, one row per test row. A target that fails
    does not stop the others: its result holds the error. Raises what reading the data raises, and
    ConfigError for an invalid ``out`` or segment.
    """
    # Wrong options are refused before the training, which takes minutes.
    if out is not None:
        require_output_path(out)
    log("reading the sources")
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    check_segments(snapshot)
    find_segment_column(snapshot)
    results = [_backtest_target(snapshot, target, log) for target in targets]
    tables = [result.predictions for result in results if result.predictions is not None]
    if out is not None and tables:
        # Targets differ in their optional columns (amount, stage); missing ones become null.
        all_rows = pa.concat_tables(tables, promote_options="default")
        columns = write_tables(out, [all_rows])
        log(f"{all_rows.num_rows:,} tested rows with {columns} columns in {out}")
    return results


def _backtest_target(snapshot: Snapshot, target: str, log: LogLine) -> TargetBacktest:
    try:
        log(f"{target}: rows and features")
        rows = load_audited_rows(snapshot, target, lambda line: log(f"{target}: {line}")).rows
        result = backtest_learners(
            rows.matrix,
            rows.labels,
            build_settings(snapshot, target, lambda line: log(f"{target}: {line}")),
        )
        log(f"{target}: measuring")
        return _evaluate_backtest(snapshot, target, rows, result)
    except LeadscoreError as error:
        return TargetBacktest(target, error=error)


def _evaluate_backtest(
    snapshot: Snapshot, target: str, rows: TrainingRows, result: BacktestResult
) -> TargetBacktest:
    evaluation = evaluate_predictions(snapshot, target, rows, result)
    # A backtest registers nothing, so it creates no registry either.
    registry = find_registry(snapshot.project)
    champion = predict_with_champion(snapshot, target, result, registry) if registry else None
    return TargetBacktest(
        target=target,
        rows=count_training_rows(rows),
        learner=result.learner,
        segments=result.segments,
        folds=result.folds,
        evaluation=evaluation,
        verdict=judge_challenger(
            result.out_of_time,
            champion,
            searched=snapshot.project.learning.search is not None,
            global_model=result.global_learner,
        ),
        predictions=build_predictions(target, result.out_of_time, evaluation.rows),
    )
