"""Ablation: out-of-time metrics without each family of features, and with each family alone.

Every run goes through the folds as a training does, on the same rows, with LightGBM alone. A family
that others can replace costs little when it is left out, however informative it is alone: so both
are measured (Covert, Lundberg & Lee 2021, Explaining by removing: a unified framework for model
explanation, JMLR 22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from features.contracts import SPINE
from models.calibration import to_probability
from models.evaluation.metrics import Estimate, evaluate_rows, paired_log_loss_gain
from models.learners.base_rate import BaseRate
from models.learners.lightgbm import LightGbm
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings, discard_message
from models.training.train import predict_out_of_time

AblationMode = Literal["all", "without", "only", "none"]
# Mode, family and number of offered features.
TrialSubject = tuple[AblationMode, str, int]


@dataclass(frozen=True)
class AblationTrial:
    """Metrics of one run.

    Attributes:
        mode: All features, those without or only those of a family, or none (the base rate).
        family: The family; empty where the mode has none.
        feature_count: Columns of the matrix that were offered to the learner.
        roc_auc: ROC AUC.
        log_loss: Log loss in nats a row.
        difference: Log loss minus that with all features on the same rows, in nats a row; above 0
            is worse than with all features.
    """

    mode: AblationMode
    family: str
    feature_count: int
    roc_auc: Estimate
    log_loss: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        return {
            "kept": self.mode,
            "family": self.family or None,
            "features": self.feature_count,
            "roc_auc": self.roc_auc.to_json(),
            "log_loss": self.log_loss.to_json(),
            "difference": self.difference.to_json(),
        }


def run_ablation(
    matrix: pa.Table, labels: pa.Table, settings: TrainingSettings, families: Mapping[str, str]
) -> list[AblationTrial]:
    """Return the trials: all features, without each family, only each family, none.

    ``matrix`` and ``labels`` are those of ``train_scorer``. ``families`` gives the family of every
    feature column, and the order of the families. Where no offered column varies among the train
    rows, the run is the base rate. Raise the errors of ``predict_out_of_time`` for all features.
    """
    present = [name for name in families if name in matrix.column_names]
    plan = list(_plan_trials(list(dict.fromkeys(families[name] for name in present))))
    settings.log(f"1 of {len(plan) + 1}: all features")
    quiet = replace(settings, learners=(LightGbm,), log=discard_message)
    all_features = predict_out_of_time(matrix, labels, quiet)
    subject: TrialSubject = ("all", "", len(present))
    trials = [_summarize_trial(all_features, LightGbm.name, all_features, subject)]
    for number, (mode, family) in enumerate(plan, 2):
        settings.log(f"{number} of {len(plan) + 1}: {mode} {family}")
        names = [name for name in present if (families[name] == family) == (mode == "only")]
        offered = matrix.select([*SPINE.names, *names])
        predictions, learner = _predict_or_base_rate(offered, labels, quiet, all_features)
        subject = (mode, family, len(names))
        trials.append(_summarize_trial(predictions, learner, all_features, subject))
    subject = ("none", "", 0)
    return [*trials, _summarize_trial(all_features, BaseRate.name, all_features, subject)]


def _plan_trials(families: list[str]) -> Iterator[tuple[AblationMode, str]]:
    yield from (("without", family) for family in families)
    yield from (("only", family) for family in families)


def _predict_or_base_rate(
    matrix: pa.Table,
    labels: pa.Table,
    settings: TrainingSettings,
    all_features: OutOfTimePredictions,
) -> tuple[OutOfTimePredictions, str]:
    """Return predictions and the learner that made them; the base rate where no feature varies."""
    try:
        return predict_out_of_time(matrix, labels, settings), LightGbm.name
    except DataError:
        # Rows, labels and folds were valid with all features, so the cause can only be that no
        # offered column varies.
        return all_features, BaseRate.name


def _summarize_trial(
    predictions: OutOfTimePredictions,
    learner: str,
    all_features: OutOfTimePredictions,
    subject: TrialSubject,
) -> AblationTrial:
    rows = all_features.rows
    label, cluster = rows.label, rows.cluster.astype(str)
    probability = _get_probability(predictions, learner)
    reference = _get_probability(all_features, LightGbm.name)
    metrics = evaluate_rows(label, probability, cluster, stratum=all_features.fold)
    difference = paired_log_loss_gain(label, reference, probability, cluster)
    return AblationTrial(*subject, metrics["roc_auc"], metrics["log_loss"], difference)


def _get_probability(predictions: OutOfTimePredictions, learner: str) -> np.ndarray:
    return to_probability(predictions.calibrated[learner])
