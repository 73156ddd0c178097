"""How a target is learnt: what the config asks for is done, and what cannot be done is left out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from configs.learning import EvaluationConfig, Learning
from models.learners.blend import Blend
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.blending import RECENT_LOGISTIC, list_models_to_fit
from models.training.calibrate import fit_fold_calibrators
from models.training.fit import fit_models
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from models.training.training_rows import AvailableRows, TrainingTable
from tests.models.training.test_training import company

SETTINGS = TrainingSettings("close", timedelta(days=14), EvaluationConfig(folds=2))


def known(leads: int = 80) -> AvailableRows:
    whole = TrainingTable.from_tables(*company(leads))
    return AvailableRows.from_cutoff(whole, whole.mature_rows, None, 0)


def test_a_search_is_told_and_kept_in_the_scorer():
    told = []
    search = Learning.model_validate({"search": {"trials": 3, "limit": "60s"}})
    settings = replace(SETTINGS, learning=search, learners=(LightGbm,), progress=told.append)
    found = train_scorer(*company(80), settings).scorer.metadata.search["report"]
    assert found["trials"] == 3
    assert found["sentence"] in told


def test_weights_of_the_config_reach_the_learners():
    names = {LightGbm.name, Logistic.name}
    plain = fit_models(known(), names, SETTINGS)
    faded = fit_models(known(), names, replace(SETTINGS, learning=Learning(recency_half_life=0.1)))
    assert all(plain.models[name] != faded.models[name] for name in names)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_recent_line_needs_an_order(ordered):
    found = fit_models(
        known(), list_models_to_fit((Blend,)), replace(SETTINGS, ordered=ordered)
    ).models
    assert set(found) == {LightGbm.name, Logistic.name} | ({RECENT_LOGISTIC} if ordered else set())


def test_with_too_few_rows_held_back_trees_are_the_whole_blend():
    whole = TrainingTable.from_tables(*company(12))
    assert fit_fold_calibrators(whole, whole.mature_rows, SETTINGS) == ({}, {LightGbm.name: 1.0})
