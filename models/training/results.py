"""Results of a training: out-of-time predictions as a table, and a description of the folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT, SPINE
from features.tools.instants import from_microseconds
from models.calibration import to_probability
from models.clusters import CLUSTER, number_keys
from models.learners.kinds import MODELS_BY_NAME
from models.scorer import Scorer
from models.segments.segment_rows import SegmentRow
from models.training.folds import Fold
from models.training.predict import OutOfTimePredictions
from models.training.training_rows import TrainingTable

# Grain: one row per out-of-time row, ordered by fold and row. ``probability`` is the calibrated
# probability of the chosen model, ``cluster`` the number of the account, or of the entity without
# one (``TrainingTable.cluster``), ``uncalibrated`` its raw one. ``as_shipped`` is true where the
# calibrator was fitted as the scorer's is, on out-of-time rows of other folds, and false where
# these are too few, so that it was fitted inside the fold's train rows. A column follows for each
# model that was tried, by its name, calibrated where it is a candidate. All come from models and
# calibrators that were not fitted on the row.
OUT_OF_TIME = pa.schema(
    [
        *SPINE,
        pa.field(CLUSTER, pa.int64(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("fold", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("uncalibrated", pa.float64(), nullable=False),
        pa.field("as_shipped", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class BacktestResult:
    """Out-of-time result of a procedure.

    Attributes:
        out_of_time: Predictions, OUT_OF_TIME and a column for each model.
        folds: Description of each fold as JSON values, see ``describe_folds``.
        learner: Name of the chosen learner.
        global_learner: Learner of the global model where segments leave it; empty elsewhere.
        segments: Rows of the table ``segments``; empty where all rows have one model.
    """

    out_of_time: pa.Table
    folds: list[dict[str, Any]]
    learner: str
    global_learner: str = field(default="", kw_only=True)
    segments: tuple[SegmentRow, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class TrainResult(BacktestResult):
    """Out-of-time result together with the scorer that was fitted on all mature rows.

    Attributes:
        scorer: The final scorer.
    """

    scorer: Scorer


def tabulate_predictions(predictions: OutOfTimePredictions, learner: str) -> pa.Table:
    """Return OUT_OF_TIME of the chosen learner, and a probability column for each model."""
    rows = predictions.rows
    columns = {
        "entity_id": rows.entity_id,
        "cutoff": pa.array(rows.cutoff).cast(INSTANT),
        CLUSTER: number_keys(pa.array(rows.cluster)),
        "label": rows.label.astype(np.int8),
        "fold": predictions.fold,
        "probability": to_probability(predictions.calibrated[learner]),
        "uncalibrated": to_probability(predictions.raw[learner]),
        "as_shipped": predictions.as_shipped,
    }
    table = pa.table([columns[name] for name in OUT_OF_TIME.names], schema=OUT_OF_TIME)
    # In the order of MODELS_BY_NAME, so that the columns do not depend on the order of fitting.
    for name in MODELS_BY_NAME:
        if name in predictions.calibrated:
            field = pa.field(name, pa.float64(), nullable=False)
            table = table.append_column(
                field, pa.array(to_probability(predictions.calibrated[name]))
            )
    return table


def describe_folds(table: TrainingTable, folds: list[Fold]) -> list[dict[str, Any]]:
    """Return number, train rows and test rows of each fold as JSON values.

    Of both kinds of rows: first and last cutoff (``from``, ``to``, ISO 8601 UTC), and the number
    of rows, entities and outcomes.
    """
    return [
        {
            "fold": number,
            "train": _describe_rows(table, fold.train),
            "test": _describe_rows(table, fold.test),
        }
        for number, fold in enumerate(folds, 1)
    ]


def _describe_rows(table: TrainingTable, index: np.ndarray) -> dict[str, Any]:
    cutoff = table.cutoff[index]
    return {
        "from": from_microseconds(cutoff.min()).isoformat(),
        "to": from_microseconds(cutoff.max()).isoformat(),
        "rows": int(index.size),
        "entities": len(set(table.entity_id[index])),
        "outcomes": int(table.label[index].sum()),
    }
