"""Returns after a lapse, counted customer by customer and day by day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.customers import win_back
from models.customers.win_back import (
    RETURN_DAYS,
    check_returns,
    estimate_win_backs,
    find_lapses,
    predict_return_orders,
)
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from models.purchases.purchase_model import fit_purchases
from tests.models.customers.simulated import simulate_purchases

LAPSE = 60


def make_purchases(days_of: list[list[int]]) -> Purchases:
    rows = [(number, day) for number, days in enumerate(days_of) for day in days]
    customer, day = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return merge_days(customer, day, np.ones(len(day)))


def count_lapses(days_of: list[list[int]], end: int) -> list[tuple[int, int, int, bool]]:
    """Return the lapses by a walk through the days of every customer."""
    rows = []
    for customer, days in enumerate(days_of):
        own = sorted({day for day in days if day < end})
        start = purchases = last = None
        for day in range(min(own, default=end), end):
            if day in own:
                if start is not None:
                    rows.append((customer, purchases, day - start, True))
                start, last = None, day
                purchases = sum(other <= day for other in own)
            elif last is not None and day - last == LAPSE:
                start = day
        if start is not None:
            rows.append((customer, purchases, end - 1 - start, False))
    return rows


HISTORIES = st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=5), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(50, 420))
def test_lapses_are_those_of_a_walk_through_the_days(days_of: list[list[int]], end: int) -> None:
    found = find_lapses(make_purchases(days_of), end, LAPSE)
    expected = count_lapses(days_of, end)
    assert [tuple(row) for row in zip(*(c.tolist() for c in found), strict=True)] == expected


@settings(max_examples=30, deadline=None)
@given(HISTORIES, st.integers(100, 300))
def test_nothing_on_or_after_the_end_changes_a_lapse(days_of: list[list[int]], end: int) -> None:
    before = [[day for day in days if day < end] for days in days_of]
    if not any(before):
        return
    known = find_lapses(make_purchases(before), end, LAPSE)
    later = find_lapses(make_purchases(days_of), end, LAPSE)
    # Customers are numbered alike: those without an earlier purchase have no lapse.
    for own, other in zip(known, later, strict=True):
        assert own.tolist() == other.tolist()


def walk_chance(days: np.ndarray, returned: np.ndarray, clock: int) -> float:
    """Return the product limit by a loop over days and lapses."""
    stays = 1.0
    for day in range(clock + 1, clock + RETURN_DAYS + 1):
        at_risk = sum(int(d) >= day for d in days)
        ends = sum(int(d) == day and bool(r) for d, r in zip(days, returned, strict=True))
        stays *= 1 - ends / at_risk
    return 1 - stays


def test_chance_is_the_product_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    purchases = simulate_purchases(800, 500, 3)
    lapses = find_lapses(purchases, 500, LAPSE)
    monkeypatch.setattr(win_back, "MIN_RETURNS", 10)
    clock = np.array([0, 0, 0, 40, 100])
    bought = np.array([1, 2, 9, 1, 3])
    chances = estimate_win_backs(lapses, bought, clock)
    classes = np.searchsorted((1, 3), lapses.purchases)
    for place in range(5):
        own = classes == np.searchsorted((1, 3), bought[place])
        assert lapses.returned[own].sum() >= 10
        expected = walk_chance(lapses.days[own], lapses.returned[own], int(clock[place]))
        assert chances.chance[place] == pytest.approx(expected)
        assert chances.low[place] < chances.chance[place] < chances.high[place]


def test_chance_that_too_few_can_show_is_missing() -> None:
    lapses = find_lapses(simulate_purchases(800, 500, 3), 500, LAPSE)
    longest = int(lapses.days.max())
    chances = estimate_win_backs(lapses, np.array([1, 1]), np.array([0, longest - 20]))
    assert np.isfinite(chances.chance).tolist() == [True, False]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Returns at a constant rate, censored after a random time."""
    generator, truth, held = np.random.default_rng(5), 1 - np.exp(-RETURN_DAYS * 0.002), 0
    for _ in range(200):
        back, seen = generator.geometric(1 - np.exp(-0.002), 400), generator.integers(0, 500, 400)
        days, returned = np.minimum(back, seen), back <= seen
        one = np.ones(400, np.int64)
        lapses = win_back.Lapses(np.arange(400), one, days, returned)
        chances = estimate_win_backs(lapses, np.array([1]), np.array([30]))
        held += bool(chances.low[0] <= truth <= chances.high[0])
    # Nine tenths of 200, within three standard errors.
    assert 167 <= held <= 193


def test_model_is_better_where_customers_behave_as_it_says() -> None:
    purchases = simulate_purchases(3_000, 700, 8)
    check = check_returns(purchases, 700, LAPSE)
    assert check is not None and check.customers > 500
    assert check.better == win_back.MODEL
    assert abs(check.expected[win_back.MODEL] - check.returned) < 4 * np.sqrt(check.returned)
    assert check_returns(purchases.select_before(150), 150, LAPSE) is None


def test_clock_is_better_where_customers_come_back_after_a_set_time() -> None:
    """Half of those who lapse come back about a hundred days later, whatever they bought."""
    generator = np.random.default_rng(2)
    days_of = []
    for start in generator.integers(0, 900, 1_500):
        day, days = int(start), list[int]()
        while day < 900:
            days.append(day)
            if generator.random() < 0.4:
                if generator.random() < 0.5:
                    break
                day += LAPSE + int(generator.integers(90, 110))
            else:
                day += int(generator.integers(10, 30))
        days_of.append(days)
    check = check_returns(make_purchases(days_of), 900, LAPSE)
    assert check is not None and check.better == win_back.CLOCK
    assert abs(check.expected[win_back.CLOCK] - check.returned) < 4 * np.sqrt(check.returned)


def test_orders_of_a_return_are_more_than_the_return() -> None:
    histories = summarize_purchases(simulate_purchases(400, 500, 4), 500)
    fitted = fit_purchases(histories).select("pareto_nbd")
    orders = predict_return_orders(fitted, histories)
    assert (orders > 1).all()
    # Who bought more often before its silence brings more after it.
    frequent = histories.repeats / (histories.age + 1)
    assert orders[frequent > np.median(frequent)].mean() > orders.mean()
