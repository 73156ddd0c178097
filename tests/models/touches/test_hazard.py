"""Chances by touch number against plain counts, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration import compute_wilson_interval
from models.touches.choice import TouchValues, choose_touches, estimate_chances
from models.touches.hazard import TouchOutcomes, estimate_touch_rates
from tests.models.touches.plain import count_by_number, follow_leads
from tests.models.touches.test_sequences import HORIZON, QUIET, build

KINDS = ("touch", "touch", "touch", "reply", "opt_out", "end")


def draw_events(leads: int, seed: int) -> list[tuple[int, int, str, int]]:
    """Return random events of leads over 60 days."""
    rng = np.random.default_rng(seed)
    size = leads * 6
    columns = (rng.integers(leads, size=size), rng.integers(60, size=size))
    kinds, channels = rng.choice(KINDS, size), rng.integers(2, size=size)
    return [
        (int(lead), int(at), str(kind), int(via))
        for lead, at, kind, via in zip(*columns, kinds, channels, strict=True)
    ]


def make_outcomes(leads: int = 400, max_number: int = 9) -> TouchOutcomes:
    """Return the outcomes of random events; leads 2n and 2n + 1 share an account."""
    sequences, _ = build(draw_events(leads, 3))
    return TouchOutcomes.from_sequences(sequences, np.arange(leads) // 2, max_number)


def test_counts_by_number_equal_plain_loops() -> None:
    outcomes = make_outcomes()
    rows = follow_leads(draw_events(400, 3), HORIZON, QUIET, 70)
    rates = outcomes.estimate_replies(outcomes.number, 10)
    expected = count_by_number(rows)
    assert len(expected) > 3
    for number, (size, count) in expected.items():
        assert (rates.size[number], rates.count[number]) == (size, count)
        assert rates.rate[number] == count / size
    assert rates.size.sum() == sum(size for size, _ in expected.values())


def test_numbers_from_the_last_on_are_counted_together() -> None:
    every, clipped = make_outcomes(), make_outcomes(max_number=3)
    sizes = np.bincount(every.number)
    assert np.bincount(clipped.number).tolist() == [0, *sizes[1:3], sizes[3:].sum()]


def test_naive_share_leaves_out_those_who_never_replied() -> None:
    outcomes = make_outcomes()
    answered = {row for row, hit in zip(outcomes.sequence, outcomes.replied, strict=True) if hit}
    assert outcomes.find_answered().tolist() == [row in answered for row in outcomes.sequence]


def test_interval_of_independent_rows_is_that_of_wilson() -> None:
    rng = np.random.default_rng(1)
    outcome = rng.random(500) < 0.1
    rates = estimate_touch_rates(np.zeros(500, int), outcome, np.arange(500), 1)
    # The linearised variance has 499 in its denominator.
    effective = 500 * 499 / 500
    low, high = compute_wilson_interval(rates.rate, np.array([effective]))
    assert (rates.low[0], rates.high[0]) == pytest.approx((low[0], high[0]))


def test_leads_of_one_account_that_answer_together_count_once() -> None:
    rng = np.random.default_rng(2)
    single = rng.random(300) < 0.2
    once = estimate_touch_rates(np.zeros(300, int), single, np.arange(300), 1)
    double = estimate_touch_rates(np.zeros(600, int), np.repeat(single, 2), np.arange(600) // 2, 1)
    assert double.rate[0] == once.rate[0]
    assert (double.low[0], double.high[0]) == pytest.approx((once.low[0], once.high[0]))
    none = estimate_touch_rates(np.zeros(600, int), np.zeros(600, bool), np.arange(600) // 2, 1)
    assert none.high[0] == pytest.approx(
        compute_wilson_interval(np.zeros(1), np.array([300.0]))[1][0]
    )


def test_chance_of_a_rare_number_is_that_of_the_numbers_from_one_with_enough() -> None:
    number = np.repeat([1, 2, 3, 4], [100, 60, 20, 15])
    rng = np.random.default_rng(4)
    replied = rng.random(195) < 0.3
    zeros = np.zeros(195, int)
    outcomes = TouchOutcomes(number, zeros, zeros, zeros, np.arange(195), replied, replied & False)
    values = TouchValues(np.array([1.0]), 10.0, 5.0)
    chances = estimate_chances(outcomes, values, 6, min_at_risk=30)
    assert chances.reply.size.tolist() == [[100, 60, 35, 35, 35, 35]]
    assert chances.first.tolist() == [[1, 2, 3, 3, 3, 3]]
    assert chances.is_single.tolist() == [[True, True, False, False, False, False]]
    assert chances.reply.count[0, 2] == replied[number >= 3].sum()


def test_touches_stop_where_they_cost_more_than_they_bring() -> None:
    number = np.repeat([1, 2], 100)
    channel = np.tile([0, 1], 100)
    replied = (np.arange(200) % 10 < 4) & (number == 1) & (channel == 0)
    replied |= (np.arange(200) % 10 == 1) & (channel == 1)
    opted_out = (np.arange(200) % 50 == 3) & (channel == 1)
    zeros = np.zeros(200, int)
    outcomes = TouchOutcomes(number, channel, zeros, zeros, np.arange(200), replied, opted_out)
    values = TouchValues(np.array([1.0, 2.5]), 20.0, 10.0)
    choice = choose_touches(estimate_chances(outcomes, values, 2, 10), values)
    # By hand: 0.4 · 20 − 1; and 0.2 · 20 − 2.5 − 0.04 · 10 of the other channel.
    assert choice.place.tolist() == [0, 1]
    assert choice.net_value.tolist() == pytest.approx([7.0, 1.1])
    assert not choice.stops.any()
    dear = TouchValues(np.array([1.0, 5.0]), 20.0, 10.0)
    assert choose_touches(estimate_chances(outcomes, dear, 2, 10), dear).stops.tolist() == [
        False,
        True,
    ]


def test_channel_without_a_cost_or_with_few_touches_is_not_proposed() -> None:
    outcomes = make_outcomes()
    values = TouchValues(np.array([np.nan, 1.0]), None, 0.0)
    assert estimate_chances(outcomes, values, 9, 10).channels.tolist() == [1]
    assert not len(estimate_chances(outcomes, values, 9, 10_000).channels)
