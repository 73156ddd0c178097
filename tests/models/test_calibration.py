"""Calibrators correct proven errors only; bands hold the truth at their nominal rate."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import (
    AffineCalibrator,
    ProbabilityBand,
    compute_log_loss,
    compute_wilson_interval,
    fit_calibrator,
    to_log_odds,
    to_probability,
)


def draw(rows: int, slope: float, intercept: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return margins, and labels whose true log-odds are ``slope * margin + intercept``."""
    random = np.random.default_rng(seed)
    margin = random.normal(-1.5, 1.2, rows)
    return margin, (random.random(rows) < 1 / (1 + np.exp(-(slope * margin + intercept)))).astype(
        np.int64
    )


def grid_search(margin: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Return the posterior mode by brute force."""
    best, center, width = (1.0, 0.0), (1.0, 0.0), 3.0
    for _ in range(12):
        found = []
        for a in np.linspace(max(center[0] - width, 0.01), center[0] + width, 13):
            for b in np.linspace(center[1] - width, center[1] + width, 13):
                odds = a * margin + b
                cost = np.sum(np.log1p(np.exp(odds)) - label * odds) + ((a - 1) ** 2 + b**2) / 2
                found.append((cost, a, b))
        best = min(found)[1:]
        center, width = best, width / 2.5
    return best


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.7), (2.0, -1.0)])
def test_affine_finds_the_posterior_mode(slope, intercept):
    margin, label = draw(400, slope, intercept)
    found = AffineCalibrator.fit(margin, label)
    assert (found.slope, found.intercept) == pytest.approx(grid_search(margin, label), abs=1e-3)


def test_affine_slope_stays_positive():
    margin, label = draw(3000, -1.0, 0.0)
    assert 0 < AffineCalibrator.fit(margin, label).slope < 0.02


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1)), min_size=1, max_size=30))
def test_affine_is_finite_and_positive_for_any_rows(rows):
    found = AffineCalibrator.fit(np.array([m for m, _ in rows]), np.array([y for _, y in rows]))
    assert found.slope > 0
    assert math.isfinite(found.slope) and math.isfinite(found.intercept)


def test_calibrator_corrects_an_overconfident_model():
    margin, label = draw(20_000, 0.5, 0.4)
    found = fit_calibrator(margin, label, np.arange(len(margin)), np.arange(len(margin)))
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(0.4, abs=0.1)
    assert found == AffineCalibrator.fit(margin, label)


def test_calibrator_is_identity_if_the_later_half_disagrees():
    early, early_label = draw(2000, 1.0, 1.5)
    late, late_label = draw(2000, 1.0, 0.0, seed=1)
    margin, label = np.concatenate([early, late]), np.concatenate([early_label, late_label])
    assert fit_calibrator(margin, label, np.arange(4000), np.arange(4000)) == AffineCalibrator()


def test_calibrator_is_not_proven_by_many_rows_of_few_entities():
    """A gain beyond noise for independent rows is within noise for copies of a few rows."""
    margin, label = (np.tile(part, 20) for part in draw(60, 0.7, 0.2))
    order = np.repeat([0, 1], 600)
    assert fit_calibrator(margin, label, order, np.arange(1200)) != AffineCalibrator()
    assert fit_calibrator(margin, label, order, np.arange(1200) % 60) == AffineCalibrator()


def test_calibrator_uses_order_not_position():
    margin, label = draw(4000, 0.6, 0.3)
    mixed = np.random.default_rng(0).permutation(4000)
    reference = fit_calibrator(margin, label, np.arange(4000), np.arange(4000))
    other = fit_calibrator(margin[mixed], label[mixed], np.arange(4000)[mixed], mixed)
    assert (reference.slope, reference.intercept) == pytest.approx(
        (other.slope, other.intercept), rel=1e-6
    )


@pytest.mark.parametrize(("positives", "negatives"), [(49, 500), (500, 49)])
def test_calibrator_needs_fifty_of_each(positives, negatives):
    label = np.repeat([1, 0], [positives, negatives])
    rows = np.arange(len(label))
    assert fit_calibrator(np.full(len(label), 3.0), label, rows, rows) == AffineCalibrator()


def test_calibrator_is_identity_for_rows_of_one_instant():
    margin, label = draw(2000, 0.3, 2.0)
    assert fit_calibrator(margin, label, np.zeros(2000), np.arange(2000)) == AffineCalibrator()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_probability_is_inside_its_bounds_and_invertible(margins):
    margin = np.array(margins)
    chance = to_probability(margin)
    assert ((chance > 0) & (chance < 1)).all()
    near = np.abs(margin) < 20
    np.testing.assert_allclose(to_log_odds(chance)[near], margin[near], atol=1e-6)


@given(st.lists(st.tuples(st.floats(-25, 25), st.integers(0, 1)), min_size=1, max_size=20))
def test_log_loss_is_the_textbook_formula(rows):
    margin, label = np.array([m for m, _ in rows]), np.array([y for _, y in rows])
    expected = [
        -math.log(p if y else 1 - p) for p, y in zip(to_probability(margin), label, strict=True)
    ]
    np.testing.assert_allclose(compute_log_loss(margin, label), expected, rtol=1e-4, atol=1e-12)


def test_wilson_solves_the_score_equation():
    """Each end is a rate at 1.645 of its own standard errors from the observation."""
    for hits, size in [(0, 10), (3, 10), (50, 400), (10, 10)]:
        for end in compute_wilson_interval(np.array([hits / size]), np.array([size])):
            assert (hits / size - end[0]) ** 2 == pytest.approx(
                1.6448536269514722**2 * end[0] * (1 - end[0]) / size, abs=1e-12
            )


CHANCES = st.lists(
    st.tuples(st.floats(1e-9, 1 - 1e-9), st.integers(0, 1), st.integers(0, 40), st.floats(0, 40)),
    min_size=1,
    max_size=200,
)


@settings(max_examples=50)
@given(CHANCES, st.lists(st.floats(1e-12, 1 - 1e-12), min_size=2, max_size=20))
def test_band_encloses_the_probability_and_rises_with_it(rows, asked):
    chance, label, entity, disagreement = (np.array(column) for column in zip(*rows, strict=True))
    band = ProbabilityBand.fit(chance, label, entity, disagreement)
    asked = np.sort(np.array(asked))
    low, high = band.interval(asked)
    assert ((low > 0) & (low <= asked) & (asked <= high) & (high < 1)).all()
    assert (np.diff(low) >= -1e-9).all() and (np.diff(high) >= -1e-9).all()
    assert ProbabilityBand.from_json(json.loads(json.dumps(band.to_json()))) == band


def test_band_of_a_calibrated_model_has_nominal_coverage():
    held = []
    for seed in range(40):
        margin, label = draw(2000, 1.0, 0.0, seed)
        chance = to_probability(margin)
        low, high = ProbabilityBand.fit(chance, label, np.arange(2000), np.zeros(2000)).interval(
            np.linspace(0.05, 0.6, 12)
        )
        held.append((low <= np.linspace(0.05, 0.6, 12)) & (np.linspace(0.05, 0.6, 12) <= high))
    assert np.mean(held) > 0.9


def test_band_of_a_biased_model_covers_the_true_rate():
    inside = []
    asked = np.linspace(0.08, 0.5, 10)
    truth = to_probability(to_log_odds(asked) + 0.6)
    for seed in range(40):
        margin, label = draw(3000, 1.0, 0.6, seed)
        low, high = ProbabilityBand.fit(
            to_probability(margin), label, np.arange(3000), np.zeros(3000)
        ).interval(asked)
        inside.append((low <= truth) & (truth <= high))
    assert np.mean(inside) > 0.85


def test_band_of_few_entities_is_wide():
    margin, label = draw(2000, 1.0, 0.0)
    chance = to_probability(margin)
    many = ProbabilityBand.fit(chance, label, np.arange(2000), np.zeros(2000)).interval(
        np.array([0.2])
    )
    few = ProbabilityBand.fit(chance, label, np.arange(2000) % 20, np.zeros(2000)).interval(
        np.array([0.2])
    )
    assert few[1] - few[0] > 1.5 * (many[1] - many[0])


def interval_without_disagreement(chance, label, asked):
    """Return Wilson's interval about the isotonic rates of twenty bins, by plain loops.

    Each lead has one row.
    """
    place = np.searchsorted(np.quantile(chance, np.arange(1, 20) / 20), chance, side="right")
    rate = [[label[place == k].mean(), int((place == k).sum())] for k in range(20)]
    pools = []
    for value, size in rate:
        pools.append([value, size, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (low, few, bins), (high, more, others) = pools[-2:]
            pools[-2:] = [[(low * few + high * more) / (few + more), few + more, bins + others]]
    rising = [value for value, _, bins in pools for _ in range(bins)]
    ends = [
        compute_wilson_interval(np.array([value]), np.array([size]))
        for value, (_, size) in zip(rising, rate, strict=True)
    ]
    center = [to_log_odds(chance[place == k]).mean() for k in range(20)]
    low = [to_log_odds(min(ends[j][0][0] for j in range(k, 20))) - center[k] for k in range(20)]
    high = [to_log_odds(max(ends[j][1][0] for j in range(k + 1))) - center[k] for k in range(20)]
    at = to_log_odds(asked)
    return to_probability(at + np.interp(at, center, low)), to_probability(
        at + np.interp(at, center, high)
    )


def test_band_without_disagreement_is_wilsons_interval_of_the_rates():
    margin, label = draw(4000, 1.0, 0.3)
    chance, asked = to_probability(margin), np.linspace(0.03, 0.6, 30)
    found = ProbabilityBand.fit(chance, label, np.arange(4000), np.zeros(4000)).interval(asked)
    low, high = interval_without_disagreement(chance, label, asked)
    np.testing.assert_allclose(found[0], np.minimum(low, asked), rtol=1e-9)
    np.testing.assert_allclose(found[1], np.maximum(high, asked), rtol=1e-9)


@pytest.mark.parametrize("unseen", [0.3, 0.8])
def test_band_with_disagreement_holds_nine_leads_in_ten(unseen):
    """Two models disagree as much as the hidden effect is large.

    So the truth is as far from one model as the models are from each other.
    """
    random = np.random.default_rng(5)
    held, naive = [], []
    for _ in range(10):
        margin = random.normal(-1.5, 1.2, 6000)
        truth = to_probability(margin + unseen * random.normal(size=6000))
        label = (random.random(6000) < truth).astype(np.int64)
        chance = to_probability(AffineCalibrator.fit(margin, label).apply(margin))
        disagreement = np.abs(unseen * random.normal(size=6000))
        for inside, size in ((held, disagreement), (naive, np.zeros(6000))):
            low, high = ProbabilityBand.fit(chance, label, np.arange(6000), size).interval(chance)
            inside.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.87 < np.mean(held) < 0.95
    assert np.mean(naive) < np.mean(held) - 0.1


def test_disagreement_widens_the_band_locally():
    margin, label = draw(4000, 1.0, 0.0)
    chance = to_probability(margin)
    reference = ProbabilityBand.fit(chance, label, np.arange(4000), np.zeros(4000))
    wide = ProbabilityBand.fit(chance, label, np.arange(4000), 2.0 * (chance > 0.4))
    for asked, factor in ((0.05, (0.99, 1.01)), (0.6, (2.0, 20.0))):
        own, other = (
            float(np.diff(band.interval(np.array([asked])), axis=0)[0, 0])
            for band in (reference, wide)
        )
        assert factor[0] < other / own < factor[1]
