"""Times without a contract, counted day by day from the states that a reader would have seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.lapses import find_contract_lapses
from models.contracts.past_renewals import ContractEvents
from models.contracts.terms import ContractTerms
from tests.models.contracts.made_contracts import make_events

TERMS = ContractTerms(20, 4)
payments = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 150), st.just(1.0)), min_size=1)
endings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 150)), max_size=8)


def renumber(rows: list[tuple[int, int, float]]) -> dict[int, int]:
    """Return numbers without gaps, as customers have them."""
    return {old: new for new, old in enumerate(sorted({row[0] for row in rows}))}


def watch_lapses(events: ContractEvents, end: int) -> list[tuple[int, int, int, bool]]:
    """Return the lapses by asking on each day who has left, and paid so many periods."""
    lapses = []
    for number in np.unique(events.payments.customer).tolist():
        begin = periods = None
        paid = set(events.payments.day[events.payments.customer == number].tolist())
        for day in range(end):
            # A payment on the day ends a lapse, before anybody looks in the evening.
            if begin is not None and day in paid:
                lapses.append((number, periods, day - begin, True))
                begin = None
            contracts = events.describe_day(day + 1)
            known = np.unique(contracts.periods.customer).tolist()
            if number in known and contracts.has_left[known.index(number)] and begin is None:
                begin, periods = day, int((contracts.periods.customer == number).sum())
        if begin is not None:
            lapses.append((number, periods, end - 1 - begin, False))
    return lapses


@given(payments, endings, st.integers(1, 160))
def test_lapses_are_those_that_were_seen_day_by_day(
    rows: list[tuple[int, int, float]], ended: list[tuple[int, int]], end: int
) -> None:
    numbers = renumber(rows)
    events = make_events(
        [(numbers[who], day, margin) for who, day, margin in rows],
        [(numbers[who], day) for who, day in ended if who in numbers],
        TERMS,
    )
    found = find_contract_lapses(events, end)
    assert [*zip(*(column.tolist() for column in found), strict=True)] == watch_lapses(events, end)


@given(payments, endings, st.integers(1, 160))
def test_days_after_the_end_change_no_lapse(
    rows: list[tuple[int, int, float]], ended: list[tuple[int, int]], end: int
) -> None:
    rows = [(0, 0, 1.0), *[row for row in rows if row[0] == 0]]
    mine = [row for row in ended if row[0] == 0]
    later = find_contract_lapses(make_events(rows, mine, TERMS), end)
    known = make_events(
        [row for row in rows if row[1] < end], [row for row in mine if row[1] < end], TERMS
    )
    for before, after in zip(find_contract_lapses(known, end), later, strict=True):
        assert np.array_equal(before, after)
