"""Time until the win of an open lead, by its stage and its age in it."""

import numpy as np
import pytest

from features.tools.instants import US_PER_DAY
from models.funnel.stage_cycle import build_stage_cycle
from models.funnel.win_times import estimate_win_times, number_spells
from models.survival import landmarks
from tests.models.funnel.histories import CREATED, LOST, MQL, OFFER, WON, make_history

VISITS = [
    # Won in 10 days, by way of an offer.
    (0, CREATED, 0, 4, OFFER),
    (0, OFFER, 4, 10, WON),
    # Won in 30 days, after it came back from the offer.
    (1, CREATED, 0, 5, OFFER),
    (1, OFFER, 5, 15, MQL),
    (1, MQL, 15, 20, OFFER),
    (1, OFFER, 20, 30, WON),
    (2, CREATED, 0, 50, LOST),
    (3, CREATED, 60, None, None),
]


@pytest.fixture(autouse=True)
def _every_age(monkeypatch):
    monkeypatch.setattr(landmarks, "MIN_AT_RISK", 1)


def chance(history, stage, age, horizon):
    times = estimate_win_times(history)
    horizon_us = round(horizon * US_PER_DAY)
    return times.chance_within(np.array([stage]), np.array([age]) * US_PER_DAY, horizon_us)[0]


def days(history, stage, age, share):
    times = estimate_win_times(history)
    return times.quantile_days(np.array([stage]), np.array([age]) * US_PER_DAY, share)[0]


def test_chances_by_hand():
    history = make_history(VISITS)
    # Four leads were created, one of them is observed for 40 days only.
    assert chance(history, CREATED, 0, 11) == pytest.approx(1 / 4)
    assert chance(history, CREATED, 0, 31) == pytest.approx(2 / 4)
    # At an offer for 0 days there were three visits: won after 6, 25 and 10 days.
    assert [chance(history, OFFER, 0, h) for h in (6.5, 10.5, 25.5)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )
    assert chance(history, MQL, 0, 16) == 1
    # Of those that stay for 6 days without a stage one was lost later, and one is open.
    assert chance(history, CREATED, 6, 99) == 0
    assert (days(history, OFFER, 0, 0.5), days(history, OFFER, 0, 0.8)) == (10, 25)
    assert np.isnan(days(history, CREATED, 6, 0.5))


def test_chance_ever_is_that_within_all_time():
    times = estimate_win_times(make_history(VISITS))
    stage, age = np.array([CREATED, CREATED, OFFER, MQL]), np.array([0, 6, 0, 0]) * US_PER_DAY
    assert times.chance_ever(stage, age).tolist() == pytest.approx([2 / 4, 0, 1, 1])


def test_horizon_is_half_open():
    history = make_history(VISITS)
    assert chance(history, OFFER, 0, 6) == 0
    times = estimate_win_times(history)
    horizons = np.array([6 * US_PER_DAY, 6 * US_PER_DAY + 1])
    shares = times.chance_within(np.array([OFFER] * 2), np.zeros(2, np.int64), horizons)
    assert shares.tolist() == pytest.approx([0, 1 / 3])


def test_stage_without_a_visit_has_no_chance():
    history = make_history([(0, CREATED, 0, 10, WON)])
    assert np.isnan(chance(history, OFFER, 0, 10))
    assert np.isnan(days(history, OFFER, 0, 0.5))


def test_visits_count_from_their_creation_and_before_the_end_of_observation():
    # Lead 0 was created on day 3 of its offer: it is known only because it was not lost before.
    visits = [(0, OFFER, 0, 9, WON), (1, OFFER, 0, 2, LOST), (2, OFFER, 0, 8, LOST)]
    history = make_history(visits, created=[3, 0, 0])
    assert chance(history, OFFER, 0, 99) == 0
    assert chance(history, OFFER, 3, 99) == pytest.approx(1 / 2)
    # What happened in the last ten days may be missing, so that it is no evidence yet.
    late = [(0, OFFER, 70, 95, WON), (1, OFFER, 70, 80, LOST)]
    assert chance(make_history(late), OFFER, 0, 99) == pytest.approx(1 / 2)
    assert chance(make_history(late, delay=10), OFFER, 0, 99) == 0


def test_visits_belong_to_their_spell():
    history = make_history(VISITS)
    assert number_spells(history).tolist() == [0, 0, 1, 1, 1, 1, 2, 3]


def test_cycle_from_each_stage_by_hand():
    """Days count from the begin of each visit to a stage, over all later ones."""
    rows = build_stage_cycle(make_history(VISITS)).to_pylist()
    assert [(row["segment_by"], row["segment"]) for row in rows] == [
        ("stage", "created"), ("stage", "mql"), ("stage", "offer")
    ]  # fmt: skip
    created, mql, offer = rows
    assert (created["p25"], created["p80"]) == (10.0, 30.0)
    assert (mql["p50"], mql["win_by_30"], mql["bias_of_naive"]) == (15.0, 1.0, 0.0)
    # After 6, 10 and 25 days.
    assert (offer["p25"], offer["p50"], offer["p80"]) == (6.0, 10.0, 25.0)
    assert created["lost_by_60"] == pytest.approx(0.5)


def test_cycle_from_a_stage_agrees_with_the_chances_of_leads_that_come_to_it():
    history = make_history(VISITS)
    for place, row in enumerate(build_stage_cycle(history).to_pylist()):
        assert row["p50"] == pytest.approx(days(history, place, 0, 0.5))
        # A win at the horizon itself comes too late there.
        assert row["win_by_30"] == pytest.approx(chance(history, place, 0, 30 + 1e-6))
