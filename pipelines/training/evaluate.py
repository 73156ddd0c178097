"""What the out-of-time predictions of one target say: figures of all rows, of each baseline, and of the rows' parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import Predicted, evaluate_parts, reliability
from models.evaluation.sliced_metrics import Part, breakdown, by_value
from models.learners.kinds import KINDS
from models.training.training import Tried
from pipelines.results.evaluation import Findings, Tested
from pipelines.training.evaluation_rows import tested_rows
from pipelines.training_data import Snapshot, TrainingRows

Key = tuple[str, str]


def findings(now: Snapshot, name: str, rows: TrainingRows, tried: Tried) -> Findings:
    """Return the figures of a training's out-of-time rows; raises what ``tested_rows`` raises."""
    table = tried.out_of_time
    tested = tested_rows(now, name, rows, table)
    everything = np.ones(table.num_rows, bool)
    baselines = {
        learner: evaluate_parts(_predicted(table, learner, tested), {"all": everything})["all"]
        for learner in KINDS
        if learner in table.column_names
    }
    challenger = _predicted(table, "probability", tested)
    parts = breakdown(challenger, dict(_masks(tested, table, now.project.features.stages)))
    return Findings(
        metrics=baselines.get(tried.learner)
        or evaluate_parts(challenger, {"all": everything})["all"],
        baselines=baselines,
        unseen=_of(parts, "unseen"),
        folds=_of(parts, "fold"),
        segments={column: _of(parts, f"segment {column}") for column in tested.segments},
        stages=_of(parts, "stage"),
        reliability=reliability(challenger.label, challenger.probability, challenger.entity_id),
        tested=tested,
    )


def _predicted(table: pa.Table, column: str, tested: Tested) -> Predicted:
    # Rows are ranked within their fold, whose model is its own.
    label, probability, fold = (table[name].to_numpy() for name in ("label", column, "fold"))
    value = None if tested.expected is None else probability * tested.expected
    return Predicted(
        label, probability, tested.entity, fold, tested.batch, tested.capacity, tested.amount, value
    )


def _masks(
    tested: Tested, table: pa.Table, stages: tuple[str, ...]
) -> Iterator[tuple[Key, np.ndarray]]:
    for of, mask in tested.unseen.items():
        yield ("unseen", of), mask
    fold = table["fold"].to_numpy()
    for number in np.unique(fold):
        yield ("fold", str(number)), fold == number
    for column, values in tested.segments.items():
        for value, mask in by_value(values.to_pylist()).items():
            yield (f"segment {column}", value), mask
    if tested.stage is not None:
        for value, mask in by_value(tested.stage.to_pylist(), stages).items():
            yield ("stage", value), mask


def _of(parts: dict[Key, Part], kind: str) -> dict[str, Part]:
    return {name: part for (of, name), part in parts.items() if of == kind}
