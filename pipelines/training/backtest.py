"""A training's procedure tested on the past, origin by origin; no model is kept and nothing goes to MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from configs.schema import Project
from models.evaluation.gate import judge_challenger
from models.training.results import BacktestResult
from models.training.train import backtest_learners
from pipelines.results.backtest import TargetBacktest
from pipelines.results.evaluation import EvaluationRows
from pipelines.table_file import require_output_path, write_tables
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.evaluation_rows import STAGE, check_segments
from pipelines.training.train import build_settings, load_audited_rows, predict_with_champion
from pipelines.training_data import Snapshot, TrainingRows, count_training_rows, load_snapshot
from pipelines.workspace import find_registry

Note = Callable[[str], None]


def backtest_targets(
    project: Project, as_of: str | None, targets: list[str], note: Note, out: Path | None = None
) -> list[TargetBacktest]:
    """Test each target's training on the past and write the predictions to ``out``; return one Backtest a target.

    A target that fails does not keep the others from being tested: its error stands in its Backtest. Raises what
    reading the data raises, and ConfigError for a wrong place of ``out`` or a wrong segment.
    """
    if out is not None:
        require_output_path(out)
    note("reading the sources")
    now = load_snapshot(project, as_of)
    check_segments(now)
    results = [_backtest_target(now, name, note) for name in targets]
    tables = [result.predictions for result in results if result.predictions is not None]
    if out is not None and tables:
        whole = pa.concat_tables(tables, promote_options="default")
        columns = write_tables(out, [whole])
        note(f"{whole.num_rows:,} tested rows with {columns} columns in {out}")
    return results


def _backtest_target(now: Snapshot, name: str, note: Note) -> TargetBacktest:
    try:
        note(f"{name}: rows and features")
        rows = load_audited_rows(now, name, lambda line: note(f"{name}: {line}")).rows
        tried = backtest_learners(
            rows.matrix,
            rows.labels,
            build_settings(now, name, lambda line: note(f"{name}: {line}")),
        )
        note(f"{name}: measuring")
        return _evaluate_backtest(now, name, rows, tried)
    except LeadscoreError as error:
        return TargetBacktest(name, error=error)


def _evaluate_backtest(
    now: Snapshot, name: str, rows: TrainingRows, tried: BacktestResult
) -> TargetBacktest:
    found = evaluate_predictions(now, name, rows, tried)
    registry = find_registry(now.project)
    champion = predict_with_champion(now, name, tried, registry) if registry else None
    return TargetBacktest(
        target=name,
        rows=count_training_rows(rows),
        learner=tried.learner,
        folds=tried.folds,
        evaluation=found,
        verdict=judge_challenger(tried.out_of_time, champion),
        predictions=_build_predictions(name, tried.out_of_time, found.rows),
    )


def _build_predictions(name: str, out_of_time: pa.Table, tested: EvaluationRows) -> pa.Table:
    columns: dict[str, Any] = {"target": pa.repeat(name, out_of_time.num_rows)}
    columns |= dict(zip(out_of_time.column_names, out_of_time.columns, strict=True))
    columns |= {"batch": tested.batch}
    columns |= {f"unseen_{of}": mask for of, mask in tested.unseen.items()}
    columns |= {} if tested.amount is None else {"amount": tested.amount}
    columns |= {} if tested.expected is None else {"expected_amount": tested.expected}
    columns |= {} if tested.stage is None else {STAGE: tested.stage}
    return pa.table(
        columns | {f"segment_{column}": values for column, values in tested.segments.items()}
    )
