"""Fitting: the config is applied, and models that the rows do not allow are left out."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.learning import EvaluationConfig, Learning
from models.learners.base_rate import BaseRate
from models.learners.blend import Blend
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.blending import RECENT_LOGISTIC, list_models_to_fit
from models.training.calibrate import FoldCalibration, fit_fold_calibration
from models.training.fit import fit_models
from models.training.selection import MAX_FEATURES
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from models.training.training_rows import AvailableRows, TrainingTable
from tests.models.training.test_train import company

SETTINGS = TrainingSettings("close", timedelta(days=14), EvaluationConfig(folds=2))


def make_available(leads: int = 80) -> AvailableRows:
    table = TrainingTable.from_tables(*company(leads))
    return AvailableRows.from_cutoff(table, table.mature_rows, None, 0)


def test_search_is_logged_and_stored_in_the_scorer():
    lines = []
    search = Learning.model_validate({"search": {"trials": 3, "limit": "60s"}})
    settings = replace(SETTINGS, learning=search, learners=(LightGbm,), log=lines.append)
    found = train_scorer(*company(80), settings).scorer.metadata.search["report"]
    assert found["trials"] == 3
    assert found["sentence"] in lines


def test_weights_of_the_config_reach_the_learners():
    names = {LightGbm.name, Logistic.name}
    reference = fit_models(make_available(), names, SETTINGS)
    faded = fit_models(
        make_available(), names, replace(SETTINGS, learning=Learning(recency_half_life=0.1))
    )
    assert all(reference.models[name] != faded.models[name] for name in names)


@pytest.mark.parametrize("ordered", [True, False])
def test_recent_logistic_needs_an_order(ordered):
    found = fit_models(
        make_available(), list_models_to_fit((Blend,)), replace(SETTINGS, ordered=ordered)
    ).models
    assert set(found) == {LightGbm.name, Logistic.name} | ({RECENT_LOGISTIC} if ordered else set())


def test_blend_is_logistic_alone_with_too_few_calibration_rows():
    table = TrainingTable.from_tables(*company(12))
    assert fit_fold_calibration(table, table.mature_rows, SETTINGS) == FoldCalibration(
        {}, {Logistic.name: 1.0}
    )


def test_columns_with_a_default_effect_are_always_offered():
    random = np.random.default_rng(0)
    label = np.arange(400) % 4 == 0
    columns = {f"n{j}": label + 0.1 * random.normal(size=400) for j in range(MAX_FEATURES + 10)}
    columns |= {"any_age": random.normal(size=400), "noise": random.normal(size=400)}
    ids = np.arange(400).astype(str).astype(object)
    number = np.arange(400)
    table = TrainingTable(pa.table(columns), number, ids, ids, number, label.astype(int), number)
    fitted = fit_models(
        AvailableRows.from_cutoff(table, number, None, 0), {BaseRate.name}, SETTINGS
    )
    assert "any_age" in fitted.encoding.names
    assert "noise" not in fitted.encoding.names
