"""How long a win takes, and how far the plain median of those won so far is off."""

import numpy as np
import pytest

from models.funnel.cycle_table import build_cycle_table
from tests.models.funnel.histories import CREATED, LOST, WON, all_leads, make_history


def cycle_of(history):
    (row,) = build_cycle_table(history, all_leads(history)).to_pylist()
    return row


def test_cycle_by_hand():
    visits = [(0, CREATED, 0, 10, WON), (1, CREATED, 0, 20, LOST), (2, CREATED, 0, 40, WON)]
    row = cycle_of(make_history([*visits, (3, CREATED, 10, 80, WON), (4, CREATED, 0, None, None)]))
    assert [row[f"win_by_{days}"] for days in (30, 60, 90)] == pytest.approx([0.2, 0.4, 0.6])
    assert [row[f"lost_by_{days}"] for days in (30, 60, 90)] == pytest.approx([0.2] * 3)
    assert (row["p25"], row["p50"], row["p80"]) == (10.0, 40.0, 70.0)
    assert row["bias_of_naive"] == 0.0


def test_wins_so_far_are_the_fast_ones():
    """Half of all leads wins after 10 days, half after 60; leads come in daily for 100 days."""
    visits = []
    for lead in range(1000):
        start, wait = lead // 10, 60 if lead % 2 else 10
        end = start + wait if start + wait < 100 else None
        visits.append((lead, CREATED, start, end, None if end is None else WON))
    row = cycle_of(make_history(visits))
    assert row["win_by_90"] == pytest.approx(1.0)
    assert row["win_by_30"] == pytest.approx(0.5)
    assert (row["p25"], row["p50"], row["p80"]) == (10.0, 10.0, 60.0)
    # Of those won so far 69 % are fast ones.
    fast = np.mean([visit[3] - visit[2] == 10 for visit in visits if visit[3] is not None])
    assert fast > 0.65


def test_bias_of_the_plain_median_is_shown():
    visits = []
    for lead in range(1000):
        start, wait = lead // 10, 5 + 60 * (lead % 10) // 9
        end = start + wait if start + wait < 100 else None
        visits.append((lead, CREATED, start, end, None if end is None else WON))
    row = cycle_of(make_history(visits))
    # Half of all leads takes 31 days or less, half of those won so far 25.
    assert row["p50"] == 31.0
    assert row["p50_low"] <= 31.0 <= row["p50_high"]
    assert row["bias_of_naive"] == pytest.approx(25 / 31 - 1)


def test_nothing_won_has_no_cycle():
    row = cycle_of(make_history([(0, CREATED, 0, 20, LOST), (1, CREATED, 0, None, None)]))
    assert (row["p50"], row["p50_low"], row["bias_of_naive"]) == (None, None, None)
    assert (row["win_by_90"], row["lost_by_90"]) == (0.0, 0.5)
    assert 0.7 < row["win_by_90_high"] < 0.8
