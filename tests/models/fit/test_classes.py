"""Classes, points and the grid, beside plain searches and counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.fit.classes import MIN_CLASS_SHARE, NO_LIMITS, choose_limits
from models.fit.grid import GridRows, build_grid_table, find_busy_limit
from models.fit.late_columns import describe_late_filling
from models.fit.points import fit_points


def search_limits(score, outcome, three):
    """Return the best limits by trying all sets of scores; None without any."""
    best = (0.0, None)
    for limits in itertools.combinations(np.unique(score), 1 + three):
        classes = np.searchsorted(limits, score, side="right")
        own = [classes == place for place in range(2 + three)]
        if min(mask.mean() for mask in own) < MIN_CLASS_SHARE:
            continue
        means = [outcome[mask].mean() for mask in own]
        if (np.diff(means) > 0).all():
            between = sum(mask.sum() * mean**2 for mask, mean in zip(own, means, strict=True))
            best = max(best, (between, limits), key=lambda pair: pair[0])
    return best[1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    levels=st.integers(1, 12),
    slope=st.floats(0, 3),
    three=st.booleans(),
)
def test_limits_are_the_best_of_all(seed, levels, slope, three):
    random = np.random.default_rng(seed)
    score = random.integers(0, levels, 200) / 4
    outcome = random.random(200) + slope * score
    expected = search_limits(score, outcome, three)
    limits = choose_limits(score, outcome, three)
    if expected is None:
        assert limits == NO_LIMITS
    else:
        assert limits == (expected[-1], expected[0] if three else -np.inf)
    classes = limits.classify_scores(score)
    means = [outcome[classes == place].mean() for place in np.unique(classes)]
    assert means == sorted(means, reverse=True)


def test_equal_scores_have_no_limits():
    assert choose_limits(np.ones(100), np.arange(100.0), True) == NO_LIMITS
    assert (NO_LIMITS.classify_scores(np.array([0.1, 1.0, 9.0])) == 1).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.05, 2.0))
def test_points_maximize_the_penalized_likelihood(seed, spread):
    random = np.random.default_rng(seed)
    has = random.random((3, 150)) < 0.4
    outcome = random.poisson(np.exp(0.2 + has[0] * 0.8 - has[1] * 0.4)).astype(float) + 0.01
    base, points = fit_points(has, outcome, spread)
    relative = outcome / outcome.mean()

    def cost(x):
        log_mean = x[0] + x[1:] @ has
        ridge = relative.var() / spread**2 * (x[1:] ** 2).sum() / 2
        return (np.exp(log_mean) - relative * log_mean).sum() + ridge

    best = minimize(cost, np.zeros(4), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose([base, *points], best.x, atol=1e-4)
    assert np.exp(base + points @ has).mean() == pytest.approx(1.0)


def test_correlated_values_do_not_count_twice():
    random = np.random.default_rng(4)
    first = random.random(4000) < 0.3
    outcome = (random.random(4000) < np.where(first, 0.4, 0.1)).astype(float)
    _, alone = fit_points(first[None], outcome, 1.0)
    _, twins = fit_points(np.stack([first, first]), outcome, 1.0)
    assert twins[0] == pytest.approx(twins[1])
    assert twins.sum() == pytest.approx(alone[0], rel=0.05)


def test_grid_counts_each_cell():
    random = np.random.default_rng(7)
    size = 3000
    rows = GridRows(
        fit_class=random.integers(0, 3, size),
        activities=random.poisson(2, size) * (random.random(size) < 0.7),
        is_customer=random.random(size) < 0.2,
        value=None,
        bucket=random.integers(0, 256, size),
    )
    busy = find_busy_limit(rows.activities)
    active = sorted(rows.activities[rows.activities > 0])
    assert busy == max(int(np.median(active)) + 1, 2)
    open_class, open_activities = np.array([0, 0, 2]), np.array([busy, 0, 1])
    table = build_grid_table(rows, busy, open_class, open_activities).to_pylist()
    assert [row["cell"] for row in table] == [f"{c}{n}" for c in "ABC" for n in (1, 2, 3)]
    for row in table:
        low, high = {1: (busy, 10**9), 2: (1, busy), 3: (0, 1)}[row["engagement"]]
        own = (rows.fit_class == "ABC".index(row["fit_class"])) & (rows.activities >= low)
        own &= rows.activities < high
        assert row["activities_from"] == low
        assert row["accounts"] == own.sum()
        assert row["customers"] == rows.is_customer[own].sum()
        assert row["win_rate"] == pytest.approx(rows.is_customer[own].mean())
        assert row["win_rate_low"] <= row["win_rate"] <= row["win_rate_high"]
        # The binomial interval, since rows do not depend on each other here.
        half = 1.645 * np.sqrt(0.16 / own.sum())
        assert row["win_rate_high"] - row["win_rate_low"] == pytest.approx(2 * half, rel=0.35)
    assert sum(row["accounts"] for row in table) == size
    opened = {row["cell"]: row["open_accounts"] for row in table if row["open_accounts"]}
    assert opened == {"A1": 1, "A3": 1, "C2": 1}


def test_empty_cell_has_no_rate():
    nothing = np.empty(0, np.int64)
    rows = GridRows(nothing, nothing, nothing > 0, None, nothing)
    table = build_grid_table(rows, 2, nothing, nothing).to_pylist()
    assert {row["win_rate"] for row in table} == {row["win_rate_low"] for row in table} == {None}


@pytest.mark.parametrize(
    ("customers", "others", "is_late"),
    [(1.0, 0.0, True), (0.6, 0.1, True), (0.9, 0.9, False), (0.6, 0.5, False), (0.1, 0.6, False)],
)
def test_column_that_customers_alone_have_is_late(customers, others, is_late):
    is_customer = np.arange(1000) % 5 == 0
    filled = np.empty(1000, bool)
    for mask, share in ((is_customer, customers), (~is_customer, others)):
        filled[mask] = np.arange(mask.sum()) < share * mask.sum()
    evidence = describe_late_filling(filled, is_customer)
    assert bool(evidence) == is_late
    if evidence:
        assert f"{customers:.1%} of the customers and in {others:.1%} of the others" in evidence


def test_few_customers_prove_no_late_filling():
    is_customer = np.arange(400) < 2
    filled = is_customer | (np.arange(400) % 3 == 0)
    assert describe_late_filling(filled, is_customer) is None
    assert describe_late_filling(filled, np.zeros(400, bool)) is None
