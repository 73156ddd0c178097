"""Choice of the learner, by out-of-time log loss."""

from __future__ import annotations

import numpy as np

from models.calibration import Z90, compute_clustered_error, compute_log_loss
from models.learners.logistic import Logistic
from models.learners.protocol import Model
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings
from models.training.training_rows import TrainingTable

# With outcomes of fewer accounts, or of leads without one, no difference of learners can be proven
# out of time, and the logistic regression was better than the trees on simulated companies: see
# docs/benchmarks.md, "Small companies".
FEW_OUTCOME_CLUSTERS = 100


def choose_learner(
    table: TrainingTable, predictions: OutOfTimePredictions, settings: TrainingSettings
) -> type[Model]:
    """Return the candidate with the lowest log loss, if it is clearly better than the default.

    Clearly better means beyond noise: 1.645 standard errors of the mean difference, clustered by
    account, or entity without one (one-sided 95 %). ``table`` are all rows of the training.
    """
    candidates = [
        learner for learner in settings.learners if learner.name in predictions.calibrated
    ]
    default = _choose_default(table, candidates)
    loss = {
        learner: compute_log_loss(predictions.calibrated[learner.name], predictions.rows.label)
        for learner in candidates
    }
    gain = {
        learner: loss[default] - loss[learner] for learner in candidates if learner is not default
    }
    cluster = predictions.rows.cluster
    better = [
        learner
        for learner in gain
        if gain[learner].mean() > Z90 * compute_clustered_error(gain[learner], cluster)
    ]
    # The mean loss decides among those that are proven; their mutual differences are not tested.
    return min(better, key=lambda learner: loss[learner].mean(), default=default)


def _choose_default(table: TrainingTable, candidates: list[type[Model]]) -> type[Model]:
    """Return the first candidate; with few outcomes the logistic regression, if it is one."""
    clusters = [len(np.unique(table.cluster[table.label == label])) for label in (0, 1)]
    few = min(clusters) < FEW_OUTCOME_CLUSTERS
    return Logistic if few and Logistic in candidates else candidates[0]
