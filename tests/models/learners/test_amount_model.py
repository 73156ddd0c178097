"""Amount model: a known dependence is found, noise is not, and storage keeps every bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_tweedie_deviance

from models.learners.amount_model import AmountModel, AmountRows, compute_tweedie_deviance


def outcomes(entities, seed=0, doubles=True, rows=3, unit=100.0):
    """Return rows of entities, a few each, whose amount doubles with the first column, or not.

    All rows of an entity have its amount; a tenth of the amounts are zero. The second column is
    noise.
    """
    rng = np.random.default_rng(seed)
    entity = np.repeat(np.arange(entities), rng.integers(1, rows + 1, entities))
    large = rng.integers(0, 2, entities)
    amount = unit * np.exp(0.4 * rng.standard_normal(entities)) * (2.0**large if doubles else 1.0)
    amount[rng.random(entities) < 0.1] = 0.0
    order = rng.integers(0, 300, entities)[entity] + np.arange(len(entity)) % 5
    x = np.column_stack([large[entity].astype(float), rng.normal(size=len(entity))])
    return AmountRows(x, amount[entity], np.array([f"E{number}" for number in entity]), order)


def each_entity(rows):
    """Return the first row of each entity."""
    return rows.take(np.unique(rows.entity_id, return_index=True)[1])


@pytest.mark.parametrize("seed", range(3))
def test_trees_find_an_amount_that_doubles(seed):
    found = AmountModel.fit(outcomes(800, seed), [])
    new = each_entity(outcomes(4000, seed + 50))
    expected = found.predict_amounts(new.x)
    for large in (0.0, 1.0):
        group = new.x[:, 0] == large
        assert expected[group].mean() == pytest.approx(new.amount[group].mean(), rel=0.08)
    assert (
        found.trial.tree_deviance < found.trial.mean_deviance and "trees are used" in found.sentence
    )


def test_noise_is_predicted_as_the_mean():
    has_trees = [
        AmountModel.fit(outcomes(300, seed, doubles=False), []).trees is not None
        for seed in range(20)
    ]
    assert sum(has_trees) <= 3, "one in twenty is expected by chance"


@pytest.mark.parametrize(("seed", "doubles"), [(1, True), (2, False)])
def test_level_is_the_mean_over_entities(seed, doubles):
    rows = outcomes(400, seed, doubles)
    found = AmountModel.fit(rows, [])
    mean = each_entity(rows).amount.mean()
    names, code = np.unique(rows.entity_id, return_inverse=True)
    votes = [found.predict_amounts(rows.x)[code == entity].mean() for entity in range(len(names))]
    assert (found.entities, found.mean) == (len(names), pytest.approx(mean))
    assert np.mean(votes) == pytest.approx(mean)


def test_mean_is_used_for_few_entities_negative_and_zero_amounts():
    few = outcomes(49)
    assert AmountModel.fit(few, []).trees is None and AmountModel.fit(few, []).trial is None
    rows = outcomes(400)
    for amount in (np.where(rows.order == rows.order.max(), -1.0, rows.amount), 0 * rows.amount):
        found = AmountModel.fit(AmountRows(rows.x, amount, rows.entity_id, rows.order), [])
        assert (
            found.trees is None
            and found.trial is None
            and "the mean is used for all leads" in found.sentence
        )
        mean = each_entity(AmountRows(rows.x, amount, rows.entity_id, rows.order)).amount.mean()
        assert found.predict_amounts(rows.x[:3]) == pytest.approx([mean] * 3, rel=0.02)


def test_mean_is_used_without_features():
    rows = outcomes(400)
    found = AmountModel.fit(replace(rows, x=np.empty((len(rows.amount), 0))), [])
    assert found.trees is None and found.level == found.mean
    assert found.predict_amounts(np.empty((2, 0))) == pytest.approx([found.mean] * 2)


def test_fit_without_amounts_returns_none():
    assert AmountModel.fit(outcomes(60).take(np.zeros(0, int)), []) is None


def test_rows_of_an_outcome_stay_on_one_side_of_the_trial():
    """A column that identifies the entity predicts its amount, and no other amount."""
    rng = np.random.default_rng(4)
    entity = np.tile(np.arange(200), 6)
    amount = 100 * np.exp(rng.standard_normal(200))[entity]
    rows = AmountRows(
        entity[:, None].astype(float), amount, entity.astype(str), np.repeat(np.arange(6), 200)
    )
    found = AmountModel.fit(rows, [])
    assert found.trees is None
    alone = AmountModel.fit(AmountRows(rows.x, amount, np.arange(1200).astype(str), rows.order), [])
    assert alone.trees is not None, "as 1,200 entities, rows of one outcome are recognised"


def test_trial_is_decided_by_later_entities():
    """A dependence that is reversed in the later half is not used."""
    rows = outcomes(600, rows=1)
    middle = np.sort(rows.order)[len(rows.order) // 2]
    x = np.where((rows.order >= middle)[:, None], 1 - rows.x, rows.x)
    found = AmountModel.fit(AmountRows(x, rows.amount, rows.entity_id, rows.order), [])
    later = rows.take(rows.order >= middle)
    assert found.trees is None and found.trial.tree_deviance > found.trial.mean_deviance
    assert found.trial.entities == len(later.amount) and found.trial.observed == pytest.approx(
        later.amount.mean()
    )
    assert found.trial.expected == pytest.approx(rows.take(rows.order < middle).amount.mean())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(1e-3, 1e9)), min_size=1, max_size=20))
def test_deviance_equals_that_of_scikit_learn(pairs):
    amount, expected = np.array(pairs).T
    ours, theirs = (
        compute_tweedie_deviance(amount, expected).mean(),
        mean_tweedie_deviance(amount, expected, power=1.5),
    )
    assert ours == pytest.approx(
        theirs, rel=1e-6, abs=1e-6 * np.sqrt(max(amount.max(), expected.max()))
    )


def test_predictions_scale_with_the_unit_of_the_amount():
    cents, euros = (AmountModel.fit(outcomes(300, unit=unit), []) for unit in (10_000.0, 100.0))
    x = outcomes(50, seed=9).x
    assert cents.trees is not None and cents.predict_amounts(x) == pytest.approx(
        100 * euros.predict_amounts(x)
    )


def test_model_is_reproducible_and_round_trips_through_json():
    for rows in (outcomes(300), outcomes(30)):
        found, x = AmountModel.fit(rows, []), outcomes(50, seed=9).x
        text = json.dumps(found.to_json(), allow_nan=False)
        again = AmountModel.from_json(json.loads(text))
        assert again == found and (again.predict_amounts(x) == found.predict_amounts(x)).all()
        assert json.dumps(AmountModel.fit(rows, []).to_json()) == text
