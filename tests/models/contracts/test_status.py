"""Paid periods, states of contracts and decided renewals against a plain reading of the log."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.months import list_contract_months
from models.contracts.past_renewals import ContractEvents
from models.contracts.status import count_decisions
from models.contracts.terms import ContractTerms, find_paid_periods
from models.customers.retention import MONTH_DAYS
from tests.models.contracts.made_contracts import make_events, read_plainly

SHORT = ContractTerms(30, 10)
PAYMENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 299), st.just(5.0)), min_size=1, max_size=60
)
ENDINGS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 299)), max_size=6)


def renumber(payments: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Return payments of customers whose numbers have no gaps."""
    numbers = {old: new for new, old in enumerate(sorted({row[0] for row in payments}))}
    return [(numbers[customer], day, margin) for customer, day, margin in payments]


@given(PAYMENTS, ENDINGS, st.integers(1, 320))
def test_contracts_are_those_of_a_plain_reading(
    payments: list[tuple[int, int, float]], ended: list[tuple[int, int]], end: int
) -> None:
    payments = renumber(payments)
    contracts = make_events(payments, ended, SHORT).describe_day(end)
    expected, kept, lost = [], [0] * 40, [0] * 40
    for customer in sorted({row[0] for row in payments if row[1] < end}):
        periods, days = read_plainly(
            [d for c, d, _ in payments if c == customer and d < end], SHORT
        )
        start, contract, number = periods[-1]
        notices = [day for c, day in ended if c == customer and days[-1] < day < end]
        gone = bool(notices) or start + 40 < end
        expected.append((number, contract, start + 30, max(notices, default=-1), gone))
        for (begin, own, place), after in zip(periods, [*periods[1:], (0, 0, 0)], strict=True):
            if begin + 40 < end:
                (kept if after[1] == own else lost)[place] += 1
    columns = [contracts.number, contracts.contract, contracts.due, contracts.ended]
    assert [*zip(*(c.tolist() for c in [*columns, contracts.has_left]), strict=True)] == expected
    decisions = count_decisions(contracts)
    size = len(decisions.kept)
    assert decisions.kept.tolist() == kept[1 : size + 1] and not any(kept[size + 1 :])
    assert decisions.lost.tolist() == lost[1 : size + 1] and not any(lost[size + 1 :])
    # A customer in grace is no loss, and one who paid before its grace is over no renewal yet.
    assert not (contracts.in_grace & contracts.has_left).any()
    undecided = (contracts.periods.start + 40 >= end).sum()
    assert decisions.count + undecided == len(contracts.periods.start)


@given(PAYMENTS, ENDINGS, st.integers(1, 320))
def test_events_on_or_after_the_day_change_nothing(
    payments: list[tuple[int, int, float]], ended: list[tuple[int, int]], end: int
) -> None:
    payments = [(0, 0, 5.0), *renumber(payments)]
    known = [row for row in payments if row[1] < end]
    if {row[0] for row in known} != {*range(len({row[0] for row in known}))}:
        return
    before = make_events(known, [row for row in ended if row[1] < end], SHORT).describe_day(end)
    after = make_events(payments, ended, SHORT).describe_day(end)
    for name in ("number", "contract", "due", "ended", "has_left", "in_grace"):
        assert getattr(before, name).tolist() == getattr(after, name).tolist(), name
    first, second = count_decisions(before), count_decisions(after)
    assert (first.kept.tolist(), first.lost.tolist()) == (
        second.kept.tolist(),
        second.lost.tolist(),
    )


@pytest.mark.parametrize(
    ("days", "ended", "end", "expected"),
    [
        ([0], [], 365, (1, False, False)),
        ([0], [], 366, (1, False, True)),  # the due day was seen without a payment
        ([0], [], 395, (1, False, True)),
        ([0], [], 396, (1, True, False)),  # the last day of the grace was seen too
        ([0, 395], [], 396, (2, False, False)),
        ([0, 396], [], 397, (1, False, False)),  # a new contract
        ([0, 182], [], 183, (1, False, False)),  # a payment in the first half belongs to it
        ([0, 183], [], 184, (2, False, False)),
        ([0], [100], 101, (1, True, False)),
        ([0], [100], 100, (1, False, False)),
        ([0, 365], [100], 366, (2, False, False)),  # the payment continues the contract
    ],
)
def test_contract_of_a_made_customer(
    days: list[int], ended: list[int], end: int, expected: tuple[int, bool, bool]
) -> None:
    events = make_events([(0, day, 1.0) for day in days], [(0, day) for day in ended])
    contracts = events.describe_day(end)
    found = (contracts.number[0], contracts.has_left[0], contracts.in_grace[0])
    assert found == expected


def test_contracts_that_may_be_older_than_the_log_decide_nothing() -> None:
    rows = [(0, 100, 1.0), (1, 396, 1.0), (2, 900, 1.0), (2, 1265, 1.0)]
    since = ContractTerms(365, 30, since=0)
    late = make_events(rows, terms=since).describe_day(3_000)
    assert count_decisions(late).lost.tolist() == [1, 1]
    assert count_decisions(make_events(rows).describe_day(3_000)).lost.tolist() == [2, 1]


@given(PAYMENTS, st.integers(1, 320))
def test_contract_months_are_those_of_a_plain_reading(
    payments: list[tuple[int, int, float]], end: int
) -> None:
    payments = renumber(payments)
    events: ContractEvents = make_events(payments, terms=SHORT)
    marks, stop = list_contract_months(events, end)
    found = {(int(c), int(d)) for c, d in zip(marks.customer, marks.day, strict=True)}
    expected = {(c, d) for c, d, _ in payments if d < stop}
    for customer in {row[0] for row in payments if row[1] < end}:
        own = [d for c, d, _ in payments if c == customer and d < end]
        periods, _ = read_plainly(own, SHORT)
        runs = set()
        for (start, contract, _), after in zip(periods, [*periods[1:], (0, 0, 0)], strict=True):
            over = after[0] if after[1] == contract else start + SHORT.period
            runs |= set(range(start, over))
        first = periods[0][0]
        expected |= {
            (customer, day) for day in range(first + MONTH_DAYS, stop, MONTH_DAYS) if day in runs
        }
    assert found == expected
    assert marks.margin.sum() == pytest.approx(sum(m for _, d, m in payments if d < stop))


def test_periods_hold_all_margins() -> None:
    events = make_events([(0, 0, 10.0), (0, 90, 3.0), (0, 360, 8.0), (1, 5, 7.0)])
    periods = find_paid_periods(events.payments, events.terms)
    assert periods.margin.tolist() == [13.0, 8.0, 7.0]
    assert periods.late.tolist() == [0, -5, 0]
    assert np.array_equal(periods.as_purchases().day, periods.start)
