"""Models of companies with buying committees, and how good they are out of time."""

from datetime import timedelta

from models.clusters import number_clusters
from models.evaluation.metrics import evaluate_rows, paired_log_loss_gain
from models.learners.lightgbm import LightGbm
from models.training.results import tabulate_predictions
from models.training.settings import TrainingSettings
from models.training.train import predict_out_of_time

# Begin the names of the features that a buying group has.
GROUP = ("account_role_", "account_engaged_people_", "account_top_share_")


def predict_rows(project, rows, without=()):
    """Return the out-of-time predictions of LightGBM, without features of these prefixes."""
    names = [n for n in rows.matrix.column_names if not n.startswith(tuple(without) or ("\0",))]
    assert bool(without) == (len(names) < len(rows.matrix.column_names))
    settings = TrainingSettings(
        "close", timedelta(days=30), project.evaluation, learners=(LightGbm,)
    )
    folds = predict_out_of_time(rows.matrix.select(names), rows.labels, settings)
    return tabulate_predictions(folds, "lightgbm")


def compare_predictions(better, worse):
    """Return the gain in log loss of predictions of the same rows, with its interval."""
    keys = ["entity_id", "cutoff", "label"]
    assert better.select(keys) == worse.select(keys)
    pair = (table["probability"].to_numpy() for table in (better, worse))
    return paired_log_loss_gain(better["label"].to_numpy(), *pair, number_clusters(better))


def measure_auc(predicted):
    """Return the ROC AUC of predictions, with its interval."""
    label, probability = (predicted[name].to_numpy() for name in ("label", "probability"))
    clusters = number_clusters(predicted)
    return evaluate_rows(label, probability, clusters, stratum=predicted["fold"])["roc_auc"]
