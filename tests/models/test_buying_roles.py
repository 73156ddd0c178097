"""Which roles go with the outcome, against odds ratios from definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.buying_roles import (
    BUYING_ROLES,
    RoleRows,
    compute_odds_ratio,
    estimate_buying_roles,
    rank_winning_roles,
)


def draw(effect, rows=4000, seed=0):
    """Return rows of accounts of two cutoffs, where the first role multiplies the odds."""
    rng = np.random.default_rng(seed)
    engaged = rng.random((rows, 2)) < 0.4
    own = rng.random(rows) < 0.5
    people = engaged.sum(axis=1) + own
    odds = 0.1 * (1 + people) * np.where(engaged[:, 0], effect, 1)
    label = rng.random(rows) < odds / (1 + odds)
    return RoleRows(engaged, people, own, label, (np.arange(rows) // 2).astype(str))


def test_odds_ratio_of_a_published_example():
    """Admissions to Berkeley in 1973 by department, men against women: 0.9046968 (R, datasets)."""
    men = [(512, 313), (353, 207), (120, 205), (138, 279), (53, 138), (22, 351)]
    women = [(89, 19), (17, 8), (202, 391), (131, 244), (94, 299), (24, 317)]
    counts = [[other[::-1], own[::-1]] for other, own in zip(women, men, strict=True)]
    assert compute_odds_ratio(np.array(counts, float)) == pytest.approx(0.9046968, abs=1e-7)


@given(st.integers(0, 10_000))
def test_shares_and_odds_match_a_loop_over_strata(seed):
    rows = draw(2.0, 60, seed)
    found = estimate_buying_roles("close", ["a", "b"], rows)
    assert found.schema == BUYING_ROLES
    for code, row in enumerate(found.to_pylist()):
        above, below, cases, wins, others = 0.0, 0.0, 0, 0, 0.0
        for people in range(1, 5):
            for own in (False, True):
                at = (np.minimum(rows.people, 4) == people) & (rows.own == own)
                has = rows.engaged[:, code]
                a, b = (int((at & has & (rows.label == won)).sum()) for won in (True, False))
                c, d = (int((at & ~has & (rows.label == won)).sum()) for won in (True, False))
                if a + b + c + d:
                    above += a * d / (a + b + c + d)
                    below += b * c / (a + b + c + d)
                if a + b and c + d:
                    cases, wins, others = cases + a + b, wins + a, others + (a + b) * c / (c + d)
        assert row["odds_ratio"] == (pytest.approx(above / below) if above * below else None)
        assert row["rows"] == int((rows.engaged[:, code] & (rows.people > 0)).sum())
        assert row["share_engaged"] == (pytest.approx(wins / cases) if cases else None)
        assert row["share_others"] == (pytest.approx(others / cases) if cases else None)


def test_role_that_raises_the_odds_is_proven_and_the_other_is_not():
    found = estimate_buying_roles("close", ["a", "b"], draw(2.5))
    first, second = found.to_pylist()
    assert first["proven"] and first["odds_ratio_low"] < 2.5 < first["odds_ratio_high"]
    assert not second["proven"]
    assert rank_winning_roles(found, "close") == ["a"] and not rank_winning_roles(found, "x")


def test_roles_without_effect_are_rarely_proven():
    """Of all roles together, one in 20 companies has a proven one: half of the 10 %."""
    wrong = sum(
        any(estimate_buying_roles("close", ["a", "b"], draw(1.0, 600, seed))["proven"].to_pylist())
        for seed in range(60)
    )
    assert wrong <= 8


def test_rows_without_anybody_engaged_compare_nothing():
    none = RoleRows(*(np.zeros(shape, int) for shape in ((3, 1), 3, 3, 3)), np.array(list("abc")))
    (row,) = estimate_buying_roles("close", ["a"], none).to_pylist()
    assert (row["rows"], row["odds_ratio"], row["proven"]) == (0, None, False)
