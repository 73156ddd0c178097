"""How a target is learnt: what the config asks for is done, and what cannot be done is left out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from configs.learning import Evaluation, Learning
from models.learners.blend import Blend
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.fold_pipeline import RECENT_LINE, Settings, calibrators, learn, wanted
from models.training.training import train
from models.training.training_rows import Known, Rows
from tests.models.training.test_training import company

SETTINGS = Settings("close", timedelta(days=14), Evaluation(folds=2))


def known(leads: int = 80) -> Known:
    whole = Rows.of(*company(leads))
    return Known.at(whole, whole.mature, None, 0)


def test_a_search_is_told_and_kept_in_the_scorer():
    told = []
    search = Learning.model_validate({"search": {"trials": 3, "limit": "60s"}})
    settings = replace(SETTINGS, learning=search, learners=(LightGbm,), progress=told.append)
    found = train(*company(80), settings).scorer.meta["search"]["report"]
    assert found["trials"] == 3
    assert found["sentence"] in told


def test_weights_of_the_config_reach_the_learners():
    names = {LightGbm.name, Logistic.name}
    plain = learn(known(), names, SETTINGS)
    faded = learn(known(), names, replace(SETTINGS, learning=Learning(recency_half_life=0.1)))
    assert all(plain.models[name] != faded.models[name] for name in names)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_recent_line_needs_an_order(ordered):
    found = learn(known(), wanted((Blend,)), replace(SETTINGS, ordered=ordered)).models
    assert set(found) == {LightGbm.name, Logistic.name} | ({RECENT_LINE} if ordered else set())


def test_with_too_few_rows_held_back_trees_are_the_whole_blend():
    whole = Rows.of(*company(12))
    assert calibrators(whole, whole.mature, SETTINGS) == ({}, {LightGbm.name: 1.0})
