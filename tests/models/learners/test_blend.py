"""Blend: shares are the best of all, and its margin is the weighted mean."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from configs.errors import DataError
from models.learners import lightgbm
from models.learners.blend import MIN_SHARE, Blend, compute_weighted_sum, fit_shares
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.training.blending import blend_margins, build_blend, fit_blend_shares
from tests.models.samples import fitted

KINDS = (LightGbm, Hazard, Logistic)


def sample(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two informative numbers and a category of noise."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.normal(size=(rows, 2)), random.integers(0, 3, rows)])
    return x, (random.random(rows) < 1 / (1 + np.exp(-x[:, 0] * x[:, 1] - x[:, 0]))).astype(
        np.int64
    )


@pytest.fixture(scope="module")
def parts():
    """Return one model of each kind that a blend may hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 20)
        return tuple(fitted(kind, *sample(1000), [2]) for kind in KINDS)


def log_losses(margin: np.ndarray, y: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(-margin))
    return -np.where(y == 1, np.log(chance), np.log(1 - chance))


def true_margins(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true log-odds and labels drawn from them."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=rows) * 2
    return truth, (random.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_the_best_of_a_fine_grid(seed):
    truth, y = true_margins(400, seed)
    random = np.random.default_rng(seed + 10)
    margins = [truth + noise * random.normal(size=400) for noise in random.uniform(0.3, 3, size=3)]
    found = fit_shares(margins, y)
    assert sum(found) == pytest.approx(1) and all(
        share == 0 or share >= MIN_SHARE for share in found
    )
    steps = np.arange(0, 1.01, 0.02)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9]
    best = min(
        grid, key=lambda split: log_losses(np.column_stack(margins) @ np.array(split), y).mean()
    )
    assert found == pytest.approx(best, abs=0.03)
    # Shares below the minimum cost next to nothing.
    loss = log_losses(np.column_stack(margins) @ np.array(found), y).mean()
    assert loss <= log_losses(np.column_stack(margins) @ np.array(best), y).mean() + 1e-4


def test_wrong_model_gets_no_share():
    """The other is underconfident: an overconfident one would be tempered by a wrong one."""
    truth, y = true_margins(2000, 3)
    assert fit_shares([0.8 * truth, -truth], y) == (1.0, 0.0)
    assert fit_shares([truth], y) == (1.0,)


def test_small_share_goes_to_the_others():
    """Two models agree, one slightly underconfident, one very overconfident.

    The best share of the second is 1 in 101.
    """
    truth, y = true_margins(2000, 5)
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
def test_shares_sum_to_one_for_any_models(seed, models, size):
    random = np.random.default_rng(seed)
    margins = [size * random.normal(size=60) for _ in range(models)]
    found = fit_shares(margins, random.integers(0, 2, 60))
    assert sum(found) == pytest.approx(1) and min(found) >= 0


def test_blend_is_the_weighted_mean_of_its_parts(parts):
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


def test_blend_of_one_part_equals_that_part(parts):
    x, _ = sample(100, seed=9)
    for part in parts:
        alone = Blend((part,), (1.0,))
        assert alone.margin(x).tobytes() == part.margin(x).tobytes()
        assert alone.contributions(x).tobytes() == part.contributions(x).tobytes()


def test_saved_blend_loads_with_every_bit(parts, tmp_path):
    """Several parts may be of one kind: the recent logistic regression has other weights."""
    line = fitted(Logistic, *sample(300, seed=4), [2])
    blend = Blend((*parts, line), (0.1, 0.2, 0.3, 0.4))
    blend.save(tmp_path)
    again = Blend.load(tmp_path)
    x, _ = sample(100, seed=9)
    assert again == blend
    assert again.margin(x).tobytes() == blend.margin(x).tobytes()
    assert again.contributions(x).tobytes() == blend.contributions(x).tobytes()


@pytest.mark.parametrize("damage", [{"learner": "pickle"}, {"share": "much"}, {"model": "none"}])
def test_damaged_part_is_a_data_error(parts, damage, tmp_path):
    Blend(parts[:1], (1.0,)).save(tmp_path)
    path = tmp_path / Blend.file
    path.write_text(json.dumps([{**json.loads(path.read_text())[0], **damage}]))
    with pytest.raises(DataError, match=Blend.file):
        Blend.load(tmp_path)


def test_models_without_a_share_are_left_out(parts):
    trees, hazard, line = parts
    names = dict(
        zip(
            (LightGbm.name, Hazard.name, Logistic.name, "recent"),
            (trees, hazard, line, line),
            strict=True,
        )
    )
    split = {LightGbm.name: 0.7, Hazard.name: 0.0, Logistic.name: 0.0, "recent": 0.3}
    assert build_blend(names, split) == Blend((trees, line), (0.7, 0.3))
    x, _ = sample(100, seed=9)
    margins = {name: model.margin(x) for name, model in names.items()}
    np.testing.assert_allclose(
        build_blend(names, split).margin(x), blend_margins(margins, split), atol=1e-12
    )


def test_blend_shares_use_the_parts_that_were_fitted():
    truth, y = true_margins(400, 6)
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
