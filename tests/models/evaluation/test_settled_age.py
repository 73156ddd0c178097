"""Age from which the rate of outcomes has settled, against loops and simulated companies."""

from datetime import timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.settled_age import (
    MIN_REFERENCE_ROWS,
    PROPOSED_AGES,
    SMALLEST_SHORTFALL,
    Z_EXTENT,
    Z_PROOF,
    find_settled_age,
)

DAY_US = 86_400_000_000


def wilson(hits, size, z):
    """Return the two roots of the score equation (p - rate)^2 = z^2 p (1 - p) / size."""
    rate = hits / size
    a, b, c = 1 + z * z / size, -(2 * rate + z * z / size), rate * rate
    root = sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def is_lower(young, old, z):
    if not young or not old:
        return False
    rate, reference = sum(young) / len(young), sum(old) / len(old)
    high, low = wilson(sum(young), len(young), z)[1], wilson(sum(old), len(old), z)[0]
    slack = sqrt((high - rate) ** 2 + (reference - low) ** 2)
    return rate + slack < (1 - SMALLEST_SHORTFALL) * reference


def settled_by_loops(leads):
    """Return the settled age of (age in µs, outcome) by plain loops."""
    starts = [timedelta(0), *PROPOSED_AGES[:-1]]
    for number in reversed(range(len(starts))):
        start = starts[number] / timedelta(microseconds=1)
        end = 2 * start or PROPOSED_AGES[0] / timedelta(microseconds=1)
        younger = [won for age, won in leads if age < end]
        cohort = [won for age, won in leads if start <= age < end]
        older = sorted((age, place, won) for place, (age, won) in enumerate(leads) if age >= end)
        older = [
            won
            for rank, (age, _, won) in enumerate(older)
            if age < 4 * end or rank < MIN_REFERENCE_ROWS
        ]
        proof = is_lower(cohort, older, Z_PROOF)
        if proof or (is_lower(younger, older, Z_PROOF) and is_lower(cohort, older, Z_EXTENT)):
            return PROPOSED_AGES[number]
    return timedelta(0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 5, 40, 300, 1500]), st.floats(0.01, 200))
def test_settled_age_equals_loops(seed, size, days):
    rng = np.random.default_rng(seed)
    age = (rng.uniform(-2, 400, size) ** 3 / 400**2 * DAY_US).astype(np.int64)
    won = (rng.random(size) < 0.4) & (rng.exponential(days, size) * DAY_US < age)
    leads = list(zip(age.tolist(), won.tolist(), strict=True))
    assert find_settled_age(age, won) == settled_by_loops(leads)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_rate_that_does_not_depend_on_age_has_settled(rate):
    settled = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        age = rng.integers(0, 700 * DAY_US, 4000)
        settled.append(find_settled_age(age, rng.random(4000) < rate))
    assert sum(age > timedelta(0) for age in settled) <= 5


@pytest.mark.parametrize("days", [2, 30, 90])
def test_age_of_outcomes_that_come_by_a_fixed_day_is_found(days):
    rng = np.random.default_rng(days)
    size = 600_000 // days
    age = rng.integers(0, 700 * DAY_US, size)
    won = (rng.random(size) < 0.3) & (rng.uniform(0, days, size) * DAY_US < age)
    # By two thirds of the days two thirds of the outcomes have come.
    assert timedelta(days=0.6 * days) <= find_settled_age(age, won) <= timedelta(days=1.5 * days)


def test_outcomes_that_all_come_late_are_waited_for():
    rng = np.random.default_rng(5)
    age = rng.integers(0, 700 * DAY_US, 20_000)
    won = (rng.random(20_000) < 0.3) & (age >= 30 * DAY_US)
    # Ten and twenty days old leads are alike: both have no outcome yet.
    assert find_settled_age(age, won) == timedelta(days=30)


def test_rate_that_falls_slowly_over_years_is_no_lack_of_maturity():
    rng = np.random.default_rng(1)
    age = rng.integers(0, 1400 * DAY_US, 20_000)
    won = rng.random(20_000) < 0.25 + 0.05 * age / (1400 * DAY_US)
    assert find_settled_age(age, won) == timedelta(0)
