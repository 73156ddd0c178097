"""The part of a row's log-odds that belongs to no feature."""

import numpy as np
import pytest

from models.learners.kinds import MODELS_BY_NAME
from pipelines.reports.evaluation_record import find_base_value
from tests.models.samples import fitted_kinds


@pytest.fixture(scope="module")
def kinds():
    """Return a model of each kind, and rows of which some are far outside the training range."""
    random = np.random.default_rng(3)
    x = np.column_stack([random.normal(size=(600, 2)), random.integers(0, 3, 600)])
    y = (random.random(600) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    rows = np.vstack([x, x[:50] * [50.0, -50.0, 1.0]])
    rows[::7, 1] = np.nan
    return fitted_kinds(x, y, [2]), rows


@pytest.mark.parametrize("name", MODELS_BY_NAME)
def test_base_value_of_each_kind_is_that_of_every_row(kinds, name):
    models, rows = kinds
    column = models[name].contributions(rows)[:, -1]
    assert find_base_value(column) == column[0]
    assert find_base_value(models[name].contributions(rows[::-1])[:, -1]) == pytest.approx(
        column[0], abs=1e-12
    )


def test_base_value_that_differs_by_row_is_none():
    assert find_base_value(np.array([0.5, 0.5, 0.5 + 1e-6])) is None
