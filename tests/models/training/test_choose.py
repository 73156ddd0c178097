"""Choice of the learner: the default by number of outcomes, and a better one beyond noise."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.learning import EvaluationConfig
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.choose import FEW_OUTCOME_CLUSTERS, choose_learner
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings
from models.training.training_rows import TrainingTable

SETTINGS = TrainingSettings("win", timedelta(days=30), EvaluationConfig())


def make_table(positive_clusters, rows_per_cluster=3):
    """Return rows of so many accounts with the outcome, and of ten times as many without."""
    count = 11 * positive_clusters * rows_per_cluster
    cluster = np.arange(count) // rows_per_cluster
    label = (cluster < positive_clusters).astype(np.int64)
    ids = cluster.astype(str).astype(object)
    number = np.arange(count)
    return TrainingTable(pa.table({}), number, ids, ids, number, label, number)


def make_predictions(table, better=None, step=0.0):
    """Return equal predictions of both learners; those of ``better`` know the label by ``step``."""
    margins = {learner.name: np.full(len(table.label), -2.0) for learner in (LightGbm, Logistic)}
    if better is not None:
        margins[better.name] = margins[better.name] + step * (2 * table.label - 1)
    fold = np.ones(len(table.label), np.int64)
    return OutOfTimePredictions(table, fold, margins, margins, fold > 0, (), ())


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [(FEW_OUTCOME_CLUSTERS - 1, Logistic), (FEW_OUTCOME_CLUSTERS, LightGbm)],
)
def test_default_depends_on_the_accounts_with_the_outcome(clusters, expected):
    table = make_table(clusters)
    assert choose_learner(table, make_predictions(table), SETTINGS) is expected


@pytest.mark.parametrize(
    ("clusters", "better"), [(20, LightGbm), (20, Logistic), (200, LightGbm), (200, Logistic)]
)
def test_learner_that_is_better_beyond_noise_is_chosen(clusters, better):
    table = make_table(clusters)
    assert choose_learner(table, make_predictions(table, better, 1.0), SETTINGS) is better


def test_immature_rows_are_no_outcomes():
    table = make_table(FEW_OUTCOME_CLUSTERS)
    immature = np.where(np.arange(len(table.label)) < 3, -1, table.label)
    fewer = TrainingTable(
        table.matrix,
        table.row_number,
        table.entity_id,
        table.cluster,
        table.cutoff,
        immature,
        table.outcome_at,
    )
    assert choose_learner(fewer, make_predictions(table), SETTINGS) is Logistic
