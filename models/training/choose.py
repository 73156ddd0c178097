"""Choice of the learner, by out-of-time log loss."""

from __future__ import annotations

from models.calibration import Z90, compute_clustered_error, compute_log_loss
from models.learners.protocol import Model
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings


def choose_learner(predictions: OutOfTimePredictions, settings: TrainingSettings) -> type[Model]:
    """Return the candidate with the lowest log loss; the first stays unless one is clearly better.

    Clearly better means beyond noise: 1.645 standard errors of the mean difference, clustered by
    account, or entity without one (one-sided 95 %).
    """
    default, *others = [
        learner for learner in settings.learners if learner.name in predictions.calibrated
    ]
    loss = {
        learner: compute_log_loss(predictions.calibrated[learner.name], predictions.rows.label)
        for learner in (default, *others)
    }
    gain = {learner: loss[default] - loss[learner] for learner in others}
    cluster = predictions.rows.cluster
    better = [
        learner
        for learner in others
        if gain[learner].mean() > Z90 * compute_clustered_error(gain[learner], cluster)
    ]
    # The mean loss decides among those that are proven; their mutual differences are not tested.
    return min(better, key=lambda learner: loss[learner].mean(), default=default)
