"""The biggest leak, and the chances of a win that it is valued by."""

import numpy as np
import pytest

from models.funnel.funnel_table import build_funnel_table, estimate_stages
from models.funnel.leaks import (
    build_leak_table,
    compute_move_values,
    compute_win_chances,
    find_leaks,
)
from tests.models.funnel.histories import CREATED, LOST, MQL, OFFER, WON, all_leads, make_history

# From created, mql and offer to created, mql, offer, won, lost, gone.
FINAL = np.array(
    [
        [0.0, 0.5, 0.0, 0.0, 0.5, 0.0],
        [0.0, 0.0, 0.8, 0.0, 0.1, 0.1],
        [0.0, 0.5, 0.0, 0.25, 0.0, 0.0],
    ]
)


def test_win_chances_follow_returns():
    # x = 0.8 y and y = 0.5 x + 0.25, so y = 0.25 / 0.6.
    offer = 0.25 / 0.6
    assert compute_win_chances(FINAL, WON) == pytest.approx([0.4 * offer, 0.8 * offer, offer])


def test_move_is_valued_by_the_chances_it_adds():
    offer = 0.25 / 0.6
    expected = [0.8 * offer - 0.4 * offer, offer - 0.8 * offer, 1 - offer]
    assert compute_move_values(FINAL, WON) == pytest.approx(expected)


def test_states_that_are_never_left_keep_the_equations_solvable():
    loop = np.array([[0.0, 1.0, 0, 0, 0, 0], [1.0, 0.0, 0, 0, 0, 0], [0.0] * 6])
    assert compute_win_chances(loop, WON).tolist() == [0.0, 0.0, 0.0]


def make_quarters(shares):
    """Return visits of 200 leads a quarter; in each, a share of them reaches mql, half wins."""
    visits = []
    for quarter, share in enumerate(shares):
        for place in range(200):
            lead, start = len({visit[0] for visit in visits}), quarter * 90 + place * 40 // 200
            moved = place % 10 < share * 10
            visits.append((lead, CREATED, start, start + 5, MQL if moved else LOST))
            if moved:
                won = place % 20 < 10
                visits.append((lead, MQL, start + 5, start + 8, WON if won else LOST))
    return visits


def test_leak_is_the_stage_that_was_better_once():
    history = make_history(make_quarters([0.3, 0.8, 0.5]), as_of=270)
    staged = estimate_stages(history, all_leads(history))
    (leak,) = find_leaks(staged)
    assert (leak.stage, leak.now, leak.best) == ("created", pytest.approx(0.5), pytest.approx(0.8))
    assert leak.best_from.date().isoformat() == "1970-04-01"
    # 60 of 200 more would move on, of which half wins, and 53 % of all leads do so anyway.
    chance = staged.estimates.point.final[MQL, WON]
    moved = staged.estimates.point.final[CREATED, MQL]
    assert leak.added == pytest.approx(0.3 * 200 * chance * (1 - moved))
    assert 0 < leak.added_low < leak.added < leak.added_high


def test_leak_and_change_compare_one_share():
    """Where the best quarter is the one before, both say the same of the same leads."""
    history = make_history(make_quarters([0.3, 0.8, 0.5]), as_of=270)
    staged = estimate_stages(history, all_leads(history))
    leak = build_leak_table(find_leaks(staged)).to_pylist()[0]
    row = build_funnel_table(history, all_leads(history), staged).to_pylist()[0]
    assert leak["now_30d"] - leak["best_30d"] == pytest.approx(row["change_vs_previous_cohort"])
    # Both quarters are named from their first day.
    assert [leak[name].date().isoformat() for name in ("best_from", "now_from")] == [
        "1970-04-01", "1970-06-30"
    ]  # fmt: skip


def test_small_cohorts_make_no_leak():
    few = [(lead, CREATED, day, day + 2, OFFER) for lead, day in enumerate([5, 120, 125])]
    history = make_history(few, as_of=180)
    assert find_leaks(estimate_stages(history, all_leads(history))) == []
