"""Outcomes within an account, against a loop over accounts and simulated companies."""

import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.accounts import WithinAccountDependence


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0.001, 0.999)), min_size=1, max_size=30),
    st.floats(0, 2),
)
def test_probability_of_any_outcome_equals_a_loop(rows, added_share):
    _, group = np.unique([account for account, _ in rows], return_inverse=True)
    probability = np.array([own for _, own in rows])
    dependence = WithinAccountDependence(added_share)
    result = dependence.any_outcome_probability(group, probability, group.max() + 1)
    members = defaultdict(list)
    for place, own in zip(group.tolist(), probability.tolist(), strict=True):
        members[place].append(own)
    for place, own in members.items():
        independent = 1 - np.prod([1 - p for p in own])
        expected = (
            own[0]
            if len(own) == 1
            else min(max(own) + added_share * (independent - max(own)), sum(own), 1)
        )
        assert result[place] == pytest.approx(expected, abs=1e-8) and 0 < result[place] < 1


def company(seed, correlated, accounts=1500, nights=4):
    """Return leads of accounts that buy as one (``correlated``) or independently.

    Account, night, calibrated probability and label of each row.
    """
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, accounts)
    account = np.repeat(np.arange(accounts), size)
    chance = np.repeat(rng.uniform(0.05, 0.4, accounts), size)
    rows = []
    for night in range(nights):
        luck = np.repeat(rng.random(accounts), size) if correlated else rng.random(len(account))
        rows.append((account, np.full(len(account), night), chance, (luck < chance).astype(float)))
    account, night, chance, label = (np.concatenate(part) for part in zip(*rows, strict=True))
    return np.array([f"A{number}" for number in account]), night, chance, label


def test_dependence_of_accounts_that_buy_as_one_is_fitted():
    found = WithinAccountDependence.fit(*company(1, correlated=True))
    assert found.independent > 1.3 * found.observed, "independence predicts far too many"
    assert found.added_share == pytest.approx(0, abs=0.1) and found.expected == pytest.approx(
        found.observed, rel=0.06
    )
    account, night, chance, label = company(2, correlated=True)
    _, group = np.unique(
        [f"{a} {n}" for a, n in zip(account, night, strict=True)], return_inverse=True
    )
    happened = np.bincount(group, label) > 0
    assert found.any_outcome_probability(group, chance, group.max() + 1).mean() == pytest.approx(
        happened.mean(), rel=0.05
    )


def test_dependence_of_independent_leads_is_one():
    found = WithinAccountDependence.fit(*company(3, correlated=False))
    assert found.added_share == 1 and found.expected == pytest.approx(found.independent)
    assert found.observed == pytest.approx(found.independent, rel=0.05)


def test_dependence_needs_an_account_of_several_leads():
    account = np.array(["a", "b", "c"])
    found = WithinAccountDependence.fit(
        account, np.zeros(3), np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 0.0])
    )
    assert found == WithinAccountDependence()
    assert (
        WithinAccountDependence.fit(account[:0], np.zeros(0), np.zeros(0), np.zeros(0))
        == WithinAccountDependence()
    )


def test_dependence_round_trips_through_json():
    found = WithinAccountDependence.fit(*company(1, correlated=True, accounts=300))
    stored = json.loads(json.dumps(found.to_json()))
    assert sorted(stored) == ["accounts", "adds", "alone", "expected", "happened"]
    assert WithinAccountDependence.from_json(stored) == found
