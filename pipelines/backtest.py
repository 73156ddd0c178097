"""A training's procedure tested on the past, origin by origin; no model is kept and nothing goes to MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from configs.schema import Project
from models import training
from models.gate import Verdict, judge
from models.training import Tried
from pipelines.findings import Findings, findings
from pipelines.rows import Snapshot, TrainingRows, snapshot
from pipelines.story import count_rows
from pipelines.table_file import check_place, write_tables
from pipelines.tested import STAGE, Tested, check_segments
from pipelines.train import audited_rows, champion_says, settings_of
from pipelines.workspace import registry_of

Note = Callable[[str], None]


@dataclass(frozen=True)
class Backtest:
    """What became of one target: its figures and what the gate would say, or why there are none.

    ``folds`` describes the origins as ``Tried.folds`` does. ``predictions`` has one row a tested row: target, the
    OUT_OF_TIME columns, and what the figures of parts are made by.
    """

    target: str
    rows: dict[str, int] = field(default_factory=dict)
    learner: str = ""
    folds: list[dict[str, Any]] = field(default_factory=list)
    findings: Findings | None = None
    verdict: Verdict | None = None
    predictions: pa.Table | None = None
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        if self.findings is None or self.verdict is None:
            nothing: dict[str, Any] = {"rows": self.rows, "metrics": {}, "baselines": {}}
            return nothing | {"gate": {"passed": False, "tests": []}, "error": str(self.error)}
        found = self.findings.to_json()
        folds = [fold | found["folds"][str(fold["fold"])] for fold in self.folds]
        head = {"rows": self.rows, "learner": self.learner}
        return head | found | {"folds": folds, "gate": self.verdict.to_json()}


def backtest(
    project: Project, as_of: str | None, targets: list[str], note: Note, out: Path | None = None
) -> list[Backtest]:
    """Test each target's training on the past and write the predictions to ``out``; return one Backtest a target.

    A target that fails does not keep the others from being tested: its error stands in its Backtest. Raises what
    reading the data raises, and ConfigError for a wrong place of ``out`` or a wrong segment.
    """
    if out is not None:
        check_place(out)
    note("reading the sources")
    now = snapshot(project, as_of)
    check_segments(now)
    results = [_test(now, name, note) for name in targets]
    tables = [result.predictions for result in results if result.predictions is not None]
    if out is not None and tables:
        whole = pa.concat_tables(tables, promote_options="default")
        columns = write_tables(out, [whole])
        note(f"{whole.num_rows:,} tested rows with {columns} columns in {out}")
    return results


def _test(now: Snapshot, name: str, note: Note) -> Backtest:
    try:
        note(f"{name}: rows and features")
        rows = audited_rows(now, name, lambda line: note(f"{name}: {line}")).rows
        tried = training.backtest(
            rows.matrix, rows.labels, settings_of(now, name, lambda line: note(f"{name}: {line}"))
        )
        note(f"{name}: measuring")
        return _measured(now, name, rows, tried)
    except LeadscoreError as error:
        return Backtest(name, error=error)


def _measured(now: Snapshot, name: str, rows: TrainingRows, tried: Tried) -> Backtest:
    found = findings(now, name, rows, tried)
    registry = registry_of(now.project)
    champion = champion_says(now, name, tried, registry) if registry else None
    return Backtest(
        target=name,
        rows=count_rows(rows),
        learner=tried.learner,
        folds=tried.folds,
        findings=found,
        verdict=judge(tried.out_of_time, champion),
        predictions=_predictions(name, tried.out_of_time, found.tested),
    )


def _predictions(name: str, out_of_time: pa.Table, tested: Tested) -> pa.Table:
    columns: dict[str, Any] = {"target": pa.repeat(name, out_of_time.num_rows)}
    columns |= dict(zip(out_of_time.column_names, out_of_time.columns, strict=True))
    columns |= {"batch": tested.batch}
    columns |= {f"unseen_{of}": mask for of, mask in tested.unseen.items()}
    columns |= {} if tested.amount is None else {"amount": tested.amount}
    columns |= {} if tested.expected is None else {"expected_amount": tested.expected}
    columns |= {} if tested.stage is None else {STAGE: tested.stage}
    return pa.table(columns | {f"segment_{column}": values for column, values in tested.segments.items()})
