"""Shares are the best of all there are, and a blend is the mean that they say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from configs.errors import DataError
from models.encoding import Encoding
from models.learners import lightgbm
from models.learners.blend import MIN_SHARE, Blend, compute_weighted_sum, fit_shares
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.blending import blend_margins, build_blend, fit_blend_shares
from models.training.fit import FittedModels
from tests.models.samples import fitted

KINDS = (LightGbm, Hazard, Logistic)


def sample(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers that tell and a category that does not."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.normal(size=(rows, 2)), random.integers(0, 3, rows)])
    return x, (random.random(rows) < 1 / (1 + np.exp(-x[:, 0] * x[:, 1] - x[:, 0]))).astype(
        np.int64
    )


@pytest.fixture(scope="module")
def parts():
    """One model of each kind that a blend may hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 20)
        return tuple(fitted(kind, *sample(1000), [2]) for kind in KINDS)


def log_losses(margin: np.ndarray, y: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(-margin))
    return -np.where(y == 1, np.log(chance), np.log(1 - chance))


def told(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and what they gave."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=rows) * 2
    return truth, (random.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_the_best_of_a_fine_grid(seed):
    truth, y = told(400, seed)
    random = np.random.default_rng(seed + 10)
    margins = [truth + noise * random.normal(size=400) for noise in random.uniform(0.3, 3, size=3)]
    found = fit_shares(margins, y)
    assert sum(found) == pytest.approx(1) and all(
        share == 0 or share >= MIN_SHARE for share in found
    )
    steps = np.arange(0, 1.01, 0.02)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9]
    best = min(
        grid, key=lambda each: log_losses(np.column_stack(margins) @ np.array(each), y).mean()
    )
    assert found == pytest.approx(best, abs=0.03)
    # What is too little for a share of its own costs next to nothing.
    held = log_losses(np.column_stack(margins) @ np.array(found), y).mean()
    assert held <= log_losses(np.column_stack(margins) @ np.array(best), y).mean() + 1e-4


def test_a_model_that_is_wrong_gets_no_share():
    """The other is too careful: one that was too sure would be tempered by a little of anything."""
    truth, y = told(2000, 3)
    assert fit_shares([0.8 * truth, -truth], y) == (1.0, 0.0)
    assert fit_shares([truth], y) == (1.0,)


def test_a_share_of_next_to_nothing_goes_to_the_others():
    """Both say the same, one a little too carefully and one much too surely: the best share of this one is 1 in 101."""
    truth, y = told(2000, 5)
    slope = minimize_scalar(lambda size: log_losses(size * truth, y).mean(), (0.5, 1.5)).x
    margins = [(slope - 0.01) * truth, (slope + 1.0) * truth]
    loss = [
        log_losses(np.column_stack(margins) @ [1 - share, share], y).mean()
        for share in np.arange(30) / 1000
    ]
    assert np.argmin(loss) == 10
    assert fit_shares(margins, y) == (1.0, 0.0)


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.integers(2, 4), st.floats(0.1, 1e6))
def test_shares_are_a_split_whatever_the_models_say(seed, models, size):
    random = np.random.default_rng(seed)
    margins = [size * random.normal(size=60) for _ in range(models)]
    found = fit_shares(margins, random.integers(0, 2, 60))
    assert sum(found) == pytest.approx(1) and min(found) >= 0


def test_a_blend_is_the_weighted_mean_of_all_its_parts(parts):
    x, _ = sample(200, seed=8)
    for split in [(0.5, 0.2, 0.3), (1.0, 0.0, 0.0), (0.0, 0.25, 0.75)]:
        blend = Blend(parts, split)
        margin = np.sum(
            [share * part.margin(x) for share, part in zip(split, parts, strict=True)], axis=0
        )
        added = np.sum(
            [share * part.contributions(x) for share, part in zip(split, parts, strict=True)],
            axis=0,
        )
        np.testing.assert_allclose(blend.margin(x), margin, atol=1e-12)
        np.testing.assert_allclose(blend.contributions(x), added, atol=1e-12)


def test_a_blend_of_one_part_is_that_part(parts):
    x, _ = sample(100, seed=9)
    for part in parts:
        alone = Blend((part,), (1.0,))
        assert alone.margin(x).tobytes() == part.margin(x).tobytes()
        assert alone.contributions(x).tobytes() == part.contributions(x).tobytes()


def test_a_stored_blend_comes_back_with_every_bit(parts, tmp_path):
    """Several parts may be of one kind: the second line of a blend has learnt from other weights."""
    line = fitted(Logistic, *sample(300, seed=4), [2])
    blend = Blend((*parts, line), (0.1, 0.2, 0.3, 0.4))
    blend.save(tmp_path)
    again = Blend.load(tmp_path)
    x, _ = sample(100, seed=9)
    assert again == blend
    assert again.margin(x).tobytes() == blend.margin(x).tobytes()
    assert again.contributions(x).tobytes() == blend.contributions(x).tobytes()


@pytest.mark.parametrize("damage", [{"learner": "pickle"}, {"share": "much"}, {"model": "none"}])
def test_a_damaged_part_is_a_data_error(parts, damage, tmp_path):
    Blend(parts[:1], (1.0,)).save(tmp_path)
    path = tmp_path / Blend.file
    path.write_text(json.dumps([{**json.loads(path.read_text())[0], **damage}]))
    with pytest.raises(DataError, match=Blend.file):
        Blend.load(tmp_path)


def test_models_without_a_share_are_not_asked_at_night(parts):
    trees, hazard, line = parts
    names = dict(
        zip(
            (LightGbm.name, Hazard.name, Logistic.name, "recent"),
            (trees, hazard, line, line),
            strict=True,
        )
    )
    learnt = FittedModels(Encoding(()), names, {})
    split = {LightGbm.name: 0.7, Hazard.name: 0.0, Logistic.name: 0.0, "recent": 0.3}
    assert build_blend(learnt, split) == Blend((trees, line), (0.7, 0.3))
    x, _ = sample(100, seed=9)
    margins = {name: model.margin(x) for name, model in names.items()}
    np.testing.assert_allclose(
        build_blend(learnt, split).margin(x), blend_margins(margins, split), atol=1e-12
    )


def test_the_shares_of_a_procedure_are_those_of_the_parts_it_has():
    truth, y = told(400, 6)
    random = np.random.default_rng(0)
    margins = {
        "base_rate": 0 * truth,
        "logistic": truth + random.normal(size=400),
        "lightgbm": truth,
    }
    found = fit_blend_shares(margins, y)
    assert found == dict(
        zip(("lightgbm", "logistic"), fit_shares([truth, margins["logistic"]], y), strict=True)
    )
    np.testing.assert_array_equal(
        blend_margins(margins, found),
        compute_weighted_sum([margins[name] for name in found], list(found.values())),
    )
