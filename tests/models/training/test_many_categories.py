"""Many categories, from the matrix to the choice: the gain, noise, and who is not tried."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from configs.learning import EvaluationConfig
from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.learners.target_encoding import TargetEncodedTrees
from models.training.settings import TrainingSettings
from models.training.train import backtest_learners, train_scorer
from tests.models.learners.test_target_encoding import draw_crm

NAMES = ("campaign", "product", "region", "visits")


def make_tables(levels=200, effect=1.0, rows=14_000, seed=1, permute=False):
    """Return a matrix and labels of leads that came over 500 days, one row each."""
    x, y = draw_crm(levels, seed, effect, rows)
    if permute:
        y = np.random.default_rng(seed).permutation(y)
    cutoff = np.sort(np.random.default_rng(seed).integers(0, 500, rows)) * US_PER_DAY
    spine = {
        "entity_id": [f"L{row}" for row in range(rows)],
        "cutoff": pa.array(cutoff, INSTANT),
    }
    texts = {
        name: pa.array(column.astype(np.int64)).cast(pa.string())
        for name, column in zip(NAMES, x.T[:3], strict=False)
    }
    outcome_at = pa.array(cutoff + 3 * US_PER_DAY, INSTANT, mask=y == 0)
    labels = {
        "mature": np.ones(rows, bool),
        "label": pa.array(y, pa.int8()),
        "outcome_at": outcome_at,
    }
    matrix = pa.table({**spine, **texts, NAMES[3]: x[:, 3]})
    return matrix, pa.table({**spine, **labels}).cast(LABELS)


def make_settings(ordered=True):
    evaluation = EvaluationConfig(folds=2, share=0.4)
    return TrainingSettings("close", timedelta(days=30), evaluation, ordered)


def measure_aucs(table):
    fold, label = table["fold"].to_numpy(), table["label"].to_numpy()
    return {
        name: np.mean(
            [roc_auc_score(label[fold == f], table[name].to_numpy()[fold == f]) for f in (1, 2)]
        )
        for name in ("lightgbm", TargetEncodedTrees.name)
    }


@pytest.mark.parametrize("ordered", [True, False])
def test_target_encoding_is_chosen_for_pairs_of_many_categories(ordered):
    result = backtest_learners(*make_tables(), make_settings(ordered))
    auc = measure_aucs(result.out_of_time)
    assert result.learner == TargetEncodedTrees.name
    assert auc[TargetEncodedTrees.name] - auc["lightgbm"] >= 0.02


def test_permuted_outcomes_choose_lightgbm_and_rank_by_chance():
    result = backtest_learners(*make_tables(permute=True), make_settings())
    assert result.learner == "lightgbm"
    # Four standard errors of the AUC of two folds of 2,800 rows.
    assert abs(measure_aucs(result.out_of_time)[TargetEncodedTrees.name] - 0.5) < 0.04


def test_target_encoding_is_not_tried_with_few_categories():
    matrix, labels = make_tables()
    few = matrix.drop_columns(["campaign", "product"])
    columns = backtest_learners(few, labels, make_settings()).out_of_time.column_names
    assert TargetEncodedTrees.name not in columns and "lightgbm" in columns


def test_scorer_with_target_encoding_explains_attributes_and_is_stored(tmp_path):
    matrix, labels = make_tables()
    scorer = train_scorer(matrix, labels, make_settings()).scorer
    assert scorer.learner == TargetEncodedTrees.name
    part = matrix.slice(0, 200)
    total = scorer.explain(part).sum(axis=1)
    probability = scorer.predict(part)["probability"].to_numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), probability, atol=1e-9)
    assert set(scorer.encoding.names) == set(NAMES)
    scorer.save(tmp_path)
    assert type(scorer).load(tmp_path).predict(part).equals(scorer.predict(part))
