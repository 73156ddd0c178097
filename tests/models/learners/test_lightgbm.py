"""All models: contributions sum to the margin, rows are independent, storage is exact."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from configs.errors import DataError
from models.learners import lightgbm
from models.learners.base_rate import BaseRate
from models.learners.blend import Blend
from models.learners.fit_input import FitInput
from models.learners.hazard import Hazard
from models.learners.kinds import MODELS_BY_NAME
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from tests.models.samples import fitted, fitted_kinds

CATEGORICAL = [3]


def sample(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers (one with gaps, one heavy-tailed), a constant, a category with gaps."""
    random = np.random.default_rng(seed)
    x = np.column_stack(
        [
            random.normal(size=rows),
            np.expm1(random.normal(size=rows) * 3),
            np.full(rows, 7.0),
            random.integers(0, 5, rows).astype(float),
        ]
    )
    x[random.random(rows) < 0.2, 0] = np.nan
    x[random.random(rows) < 0.2, 3] = np.nan
    odds = np.nan_to_num(x[:, 0]) + (x[:, 3] == 2) - 0.5
    return x, (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)


@pytest.fixture(autouse=True, scope="module")
def few_rounds():
    """Fit few trees, so that the tests are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 20)
        yield


@pytest.fixture(scope="module", params=sorted(MODELS_BY_NAME))
def model(request):
    return fitted(MODELS_BY_NAME[request.param], *sample(1500), CATEGORICAL)


def test_contributions_sum_to_the_margin(model):
    x, _ = sample(400, seed=2)
    parts = model.contributions(x)
    assert parts.shape == (400, 5)
    np.testing.assert_allclose(parts.sum(axis=1), model.margin(x), atol=1e-9)


def test_margins_are_independent_of_other_rows(model):
    x, _ = sample(300, seed=3)
    together = model.margin(x)
    alone = np.concatenate([model.margin(x[i : i + 1]) for i in range(len(x))])
    backwards = model.margin(x[::-1])[::-1]
    assert together.tobytes() == alone.tobytes() == backwards.tobytes()


def test_margins_of_an_empty_matrix_are_empty(model):
    assert model.margin(np.zeros((0, 4))).shape == (0,)
    assert model.contributions(np.zeros((0, 4))).shape == (0, 5)


def test_unknown_codes_and_gaps_are_accepted(model):
    strange = np.array([[np.nan] * 4, [1e300, -1e300, 0.0, 254.0]])
    assert np.isfinite(model.margin(strange)).all()


def test_saved_files_are_text_and_reproducible(model, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [model.file]
    text = (tmp_path / "a" / model.file).read_bytes()
    assert text == (tmp_path / "b" / model.file).read_bytes()
    text.decode("utf-8")


ELSEWHERE = """
import hashlib, pathlib, sys
import numpy as np
from models.learners import lightgbm
from models.learners.kinds import MODELS_BY_NAME
from tests.models.samples import fitted_kinds

lightgbm.ROUNDS = 5
here = pathlib.Path(sys.argv[1])
data = np.load(here / "data.npz")
for name, model in fitted_kinds(data["x"], data["y"], [3]).items():
    read = MODELS_BY_NAME[name].load(here / name)
    bits = read.margin(data["x"]).tobytes() + read.contributions(data["x"]).tobytes()
    print(hashlib.sha256(bits).hexdigest())
    (here / name / "again").mkdir()
    model.save(here / name / "again")
"""


def test_models_are_identical_in_another_process_with_one_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(lightgbm, "ROUNDS", 5)
    monkeypatch.setitem(lightgbm.DEFAULT_PARAMETERS, "num_threads", 2)
    x, y = sample(1200, seed=4)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    expected = []
    for name, model in fitted_kinds(x, y, CATEGORICAL).items():
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
        expected.append(
            hashlib.sha256(model.margin(x).tobytes() + model.contributions(x).tobytes()).hexdigest()
        )
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == expected
    for name, kind in MODELS_BY_NAME.items():
        first, again = (tmp_path / name / kind.file, tmp_path / name / "again" / kind.file)
        assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("kind", [LightGbm, Hazard, Logistic, Blend])
def test_model_finds_a_known_effect(kind):
    x, y = sample(4000)
    later, truth = sample(4000, seed=9)
    margin = fitted(kind, x, y, CATEGORICAL).margin(later)
    odds = np.nan_to_num(later[:, 0]) + (later[:, 3] == 2) - 0.5
    assert np.corrcoef(margin, odds)[0, 1] > 0.9
    assert abs(1 / (1 + np.exp(-margin)) - truth).mean() < abs(truth.mean() - truth).mean()


@pytest.mark.parametrize("kind", [LightGbm, Hazard, Logistic, Blend])
def test_model_can_be_fitted_on_six_rows(kind):
    x, _ = sample(6)
    model = fitted(kind, x, np.array([0, 1, 0, 1, 0, 0]), CATEGORICAL)
    assert np.isfinite(model.margin(x)).all()
    np.testing.assert_allclose(model.contributions(x).sum(axis=1), model.margin(x), atol=1e-9)


@pytest.mark.parametrize("kind", MODELS_BY_NAME.values())
def test_equal_weights_change_nothing(kind):
    x, y = sample(800)
    unweighted = fitted(kind, x, y, CATEGORICAL)
    same = fitted(kind, x, y, CATEGORICAL, weight=np.ones(800))
    np.testing.assert_allclose(same.margin(x), unweighted.margin(x), atol=1e-6)


@pytest.mark.parametrize("kind", [LightGbm, Hazard, Logistic, Blend])
def test_rows_without_weight_have_no_effect(kind):
    """Half of the rows say the opposite and have no weight."""
    x, y = sample(4000)
    weighted = np.arange(4000) < 2000
    labels = np.where(weighted, y, 1 - y)
    margin = fitted(kind, x, labels, CATEGORICAL, weight=2.0 * weighted).margin(x)
    alone = fitted(kind, x[weighted], y[weighted], CATEGORICAL).margin(x)
    assert np.corrcoef(margin, alone)[0, 1] > 0.9


def test_parameters_replace_the_chosen_ones():
    x, y = sample(800)
    few = {"num_iterations": 3, "num_leaves": 2}
    model = LightGbm.fit(FitInput(x, CATEGORICAL, 1, parameters=few), y)
    assert model.text.count("\nTree=") == 3
    assert model.text.count("\nnum_leaves=2\n") == 3


def test_base_rate_is_the_share_of_outcomes():
    model = BaseRate.fit(
        FitInput(np.zeros((10, 1)), [], 0), np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    )
    margin = model.margin(np.zeros((3, 1)))
    np.testing.assert_allclose(1 / (1 + np.exp(-margin)), 0.2)


@pytest.mark.parametrize("kind", MODELS_BY_NAME.values())
@pytest.mark.parametrize("content", [None, "", "{", "not a model", '{"a": 1}', "[]"])
def test_absent_or_damaged_file_is_a_data_error(kind, content, tmp_path):
    if content is not None:
        (tmp_path / kind.file).write_text(content)
    with pytest.raises(DataError, match=kind.file):
        kind.load(tmp_path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_truncated_trees_are_a_data_error(part, tmp_path):
    fitted(LightGbm, *sample(1500), CATEGORICAL).save(tmp_path)
    text = (tmp_path / LightGbm.file).read_text()
    trees = text[: text.index("end of trees")]
    (tmp_path / LightGbm.file).write_text(trees[: int(part * len(trees))])
    with pytest.raises(DataError, match=LightGbm.file):
        LightGbm.load(tmp_path)


def test_trees_predict_and_explain_without_lightgbm(tmp_path):
    """Importing LightGBM takes longer than scoring many a data set."""
    fitted(LightGbm, *sample(1500), CATEGORICAL).save(tmp_path)
    code = "import sys, numpy; from pathlib import Path\n"
    code += "from models.learners.lightgbm import LightGbm\n"
    code += f"model, x = LightGbm.load(Path({str(tmp_path)!r})), numpy.zeros((2, 4))\n"
    code += "print(model.margin(x), model.contributions(x), 'lightgbm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
