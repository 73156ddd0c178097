"""Each model: contributions sum to the margin, rows stand alone, storage keeps every bit."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from configs.errors import DataError
from models.learners import lightgbm, logistic
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
    """Two numbers (one with gaps, one heavy-tailed), one constant, one category with gaps."""
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
    """Trees enough to learn something, few enough to be quick."""
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


def test_a_row_alone_has_the_same_margin_as_among_others(model):
    x, _ = sample(300, seed=3)
    together = model.margin(x)
    alone = np.concatenate([model.margin(x[i : i + 1]) for i in range(len(x))])
    backwards = model.margin(x[::-1])[::-1]
    assert together.tobytes() == alone.tobytes() == backwards.tobytes()


def test_no_rows_have_no_margins(model):
    assert model.margin(np.zeros((0, 4))).shape == (0,)
    assert model.contributions(np.zeros((0, 4))).shape == (0, 5)


def test_a_code_never_learnt_and_gaps_everywhere_are_accepted(model):
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
from models.learners.kinds import KINDS
from tests.models.samples import fitted_kinds

lightgbm.ROUNDS = 5
here = pathlib.Path(sys.argv[1])
data = np.load(here / "data.npz")
for name, model in fitted_kinds(data["x"], data["y"], [3]).items():
    read = KINDS[name].load(here / name)
    print(hashlib.sha256(read.margin(data["x"]).tobytes() + read.contributions(data["x"]).tobytes()).hexdigest())
    (here / name / "again").mkdir()
    model.save(here / name / "again")
"""


def test_another_process_with_one_thread_reads_and_learns_the_same_bits(tmp_path, monkeypatch):
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
def test_it_learns_what_is_there(kind):
    x, y = sample(4000)
    later, truth = sample(4000, seed=9)
    margin = fitted(kind, x, y, CATEGORICAL).margin(later)
    odds = np.nan_to_num(later[:, 0]) + (later[:, 3] == 2) - 0.5
    assert np.corrcoef(margin, odds)[0, 1] > 0.9
    assert abs(1 / (1 + np.exp(-margin)) - truth).mean() < abs(truth.mean() - truth).mean()


@pytest.mark.parametrize("kind", [LightGbm, Hazard, Logistic, Blend])
def test_a_handful_of_rows_is_enough_to_answer(kind):
    x, _ = sample(6)
    model = fitted(kind, x, np.array([0, 1, 0, 1, 0, 0]), CATEGORICAL)
    assert np.isfinite(model.margin(x)).all()
    np.testing.assert_allclose(model.contributions(x).sum(axis=1), model.margin(x), atol=1e-9)


def test_logistic_agrees_with_plain_gradient_descent():
    """An independent oracle: the same penalised likelihood on a hand-made design, solved another way."""
    random = np.random.default_rng(5)
    x = np.column_stack([random.normal(size=300), random.integers(0, 2, 300)])
    y = (random.random(300) < 1 / (1 + np.exp(-x[:, 0] - x[:, 1]))).astype(np.int64)
    center = np.median(x[:, 0])
    ratio = (x[:, 0] - center) / np.abs(x[:, 0] - center).mean()
    curve = np.sign(ratio) * np.log1p(np.abs(ratio))
    design = np.column_stack([curve / curve.std(), x[:, 1] == 0, x[:, 1] == 1]).astype(float)
    weights, bias = np.zeros(3), 0.0
    for _ in range(8_000):
        pull = 1 / (1 + np.exp(-design @ weights - bias)) - y
        weights -= 0.004 * (design.T @ pull + weights / logistic.INVERSE_PENALTY)
        bias -= 0.004 * pull.sum()
    model = Logistic.fit(FitInput(x, [1], 0), y)
    np.testing.assert_allclose(model.margin(x), design @ weights + bias, atol=3e-3)


@pytest.mark.parametrize("kind", MODELS_BY_NAME.values())
def test_rows_of_one_weight_all_count_alike(kind):
    x, y = sample(800)
    plain = fitted(kind, x, y, CATEGORICAL)
    same = fitted(kind, x, y, CATEGORICAL, weight=np.ones(800))
    np.testing.assert_allclose(same.margin(x), plain.margin(x), atol=1e-6)


def test_a_row_of_weight_two_is_two_rows_to_the_logistic_regression():
    x, y = sample(600)
    twice = np.arange(600) % 3 == 0
    weighed = logistic._ridge(*design_of(x, y), 1.0 + twice)
    doubled = logistic._ridge(
        *design_of(np.concatenate([x, x[twice]]), np.concatenate([y, y[twice]])), None
    )
    np.testing.assert_allclose(weighed[0], doubled[0], atol=2e-3)
    np.testing.assert_allclose(weighed[1], doubled[1], atol=2e-3)


def design_of(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indicators only, which are not scaled: a scale would be of the rows, not of their weights."""
    codes = np.nan_to_num(x[:, 3], nan=5.0)
    return (codes[:, None] == np.arange(6)).astype(np.float32), y, np.zeros(0, dtype=np.int64)


@pytest.mark.parametrize("kind", [LightGbm, Hazard, Logistic, Blend])
def test_rows_of_no_weight_teach_nothing(kind):
    """Half of the rows tell the opposite of the other half; only those that weigh are believed."""
    x, y = sample(4000)
    believed = np.arange(4000) < 2000
    told = np.where(believed, y, 1 - y)
    margin = fitted(kind, x, told, CATEGORICAL, weight=2.0 * believed).margin(x)
    alone = fitted(kind, x[believed], y[believed], CATEGORICAL).margin(x)
    assert np.corrcoef(margin, alone)[0, 1] > 0.9


def test_parameters_take_the_place_of_those_lightgbm_would_be_given():
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
def test_an_absent_or_damaged_file_is_a_data_error(kind, content, tmp_path):
    if content is not None:
        (tmp_path / kind.file).write_text(content)
    with pytest.raises(DataError, match=kind.file):
        kind.load(tmp_path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_text_of_trees_that_is_cut_off_is_a_data_error(part, tmp_path):
    fitted(LightGbm, *sample(1500), CATEGORICAL).save(tmp_path)
    whole = (tmp_path / LightGbm.file).read_text()
    trees = whole[: whole.index("end of trees")]
    (tmp_path / LightGbm.file).write_text(trees[: int(part * len(trees))])
    with pytest.raises(DataError, match=LightGbm.file):
        LightGbm.load(tmp_path)


def test_trees_predict_and_explain_without_lightgbm(tmp_path):
    """Its import takes longer than many a night's scoring."""
    fitted(LightGbm, *sample(1500), CATEGORICAL).save(tmp_path)
    code = "import sys, numpy; from pathlib import Path; from models.learners.lightgbm import LightGbm\n"
    code += f"model, x = LightGbm.load(Path({str(tmp_path)!r})), numpy.zeros((2, 4))\n"
    code += "print(model.margin(x), model.contributions(x), 'lightgbm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
