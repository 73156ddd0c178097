"""Recurring margins of past and simulated quarters against logs that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.recurring import QUARTER_DAYS, draw_recurring, list_recurring_margins
from models.contracts.renewal_forecast import RenewalForecast, measure_delays, measure_exits
from models.contracts.renewal_rates import SameRate
from models.contracts.terms import ContractTerms
from models.customers.margins import MarginModel
from models.purchases.gamma_gamma import GammaGamma
from tests.models.contracts.made_contracts import make_events

TERMS = ContractTerms(30, 10)
RATE = 0.7
LATE, LEFT = np.array([-6, -2, 0, 0, 1, 3, 4, 9]), np.array([-12, -5, 10, 10])
# Not due yet; early payments possible; in grace; renewed; ended; lost.
PAYMENTS = [(0, 95, 20.0), (1, 71, 20.0), (2, 64, 20.0), (3, 61, 20.0), (3, 90, 20.0)]
PAYMENTS += [(4, 80, 20.0), (5, 10, 20.0)]
ENDINGS = [(4, 90)]
END, EDGES = 100, (125, 190)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 199), st.integers(1, 9)), min_size=1),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 199)), max_size=4),
)
def test_recurring_margin_is_that_of_the_contracts_that_run(
    rows: list[tuple[int, int, int]], ended: list[tuple[int, int]]
) -> None:
    rows = [*((number, 0, 1) for number in range(4)), *rows]
    events = make_events(rows, ended, TERMS)
    edges = np.array([50, 100, 150, 200])
    purchases = list_recurring_margins(events, edges)
    found = {
        (int(c), int(d)): m
        for c, d, m in zip(purchases.customer, purchases.day, purchases.margin, strict=True)
    }
    expected = {}
    for edge in edges.tolist():
        contracts = events.describe_day(edge)
        periods = contracts.periods
        for number in range(4):
            last = np.flatnonzero(periods.customer == number)[-1]
            if not contracts.has_left[number]:
                expected[number, edge - 1] = periods.margin[last] * QUARTER_DAYS / 30
    assert found == {key: pytest.approx(value) for key, value in expected.items()}


def simulate(customer: int, size: int) -> list[tuple[list[int], int | None]]:
    """Return futures of a customer as (days of payments, day of the ending), as was seen so far."""
    random = np.random.default_rng(customer)
    late = np.concatenate([np.repeat(LATE, 11), np.arange(11)])
    left = np.append(LEFT, TERMS.grace)
    start = max(day for number, day, _ in PAYMENTS if number == customer)
    futures: list[tuple[list[int], int | None]] = []
    while len(futures) < size:
        time, days, ended = start, [], None
        while time < EDGES[1]:
            due = time + TERMS.period
            if random.random() >= RATE:
                last = int(random.choice(left))
                ended = due + last if last < TERMS.grace else None
                break
            time = due + int(random.choice(late))
            days.append(time)
        seen = days[0] >= END if days else ended is None or ended >= END
        if seen:
            futures.append((days, ended))
    return futures


def test_draws_are_those_of_logs_that_are_written_out() -> None:
    contracts = make_events(PAYMENTS, ENDINGS, TERMS).describe_day(END)
    forecast = RenewalForecast(
        SameRate(RATE, 100.0), measure_delays(LATE, TERMS), measure_exits(LEFT, TERMS), contracts
    )
    # The margins hardly vary, so that the mean shows whose contract runs.
    margins = MarginModel(GammaGamma(1e6, 1e6, 20.0 * (1e6 - 1) / 1e6), 1.0, 0.0)
    histories, rows = contracts.summarize_periods(), np.arange(6)
    draws = np.concatenate(
        [
            draw_recurring(forecast, margins, histories, rows, EDGES, np.full(6, seed, np.uint32))
            for seed in range(60)
        ],
        axis=2,
    )
    assert not draws[:, 4:].any()
    for customer in range(4):
        size = 3_000
        rows_of = [(number, day, m) for number, day, m in PAYMENTS if number == customer]
        own = [(day, margin) for _, day, margin in rows_of]
        payments, endings = [], []
        for number, (days, ended) in enumerate(simulate(customer, size)):
            payments += [(number, day, margin) for day, margin in own]
            payments += [(number, day, 20.0) for day in days]
            endings += [(number, ended)] if ended is not None else []
        events = make_events(payments, endings, TERMS)
        for place, edge in enumerate(EDGES):
            runs = list_recurring_margins(events, np.array([edge]))
            total = runs.margin.sum() / size
            error = 4 * 20 * QUARTER_DAYS / 30 * 0.5 / np.sqrt(size)
            assert draws[place, customer].mean() == pytest.approx(total, abs=error)
            shares = len(runs.margin) / size
            assert (draws[place, customer] > 0).mean() == pytest.approx(shares, abs=0.035)
