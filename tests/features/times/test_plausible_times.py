"""Instants far from all others, against a search over all gaps written by the rule's words."""

from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrivals import Arrivals
from features.times.plausible_times import PlausibleSpan, find_core

DENSE = [date(2023, 1, 1).toordinal() + day for day in range(400)]


def core_by_words(days, rows):
    """Return the days of the core: the longest run, grown over gaps that are not far."""
    runs = [[days[0]]]
    for before, day in pairwise(days):
        if day - before >= 365:
            runs.append([])
        runs[-1].append(day)
    count = dict(zip(days, rows, strict=True))
    # The most days, then the most rows; at a tie the first, as `max` gives it.
    core = max(runs, key=lambda run: (len(run), sum(count[day] for day in run)))
    if sum(count[day] for day in core) < 20:
        return days
    while True:
        span, pause = core[-1] - core[0] + 1, max(np.diff(core), default=0)
        below, above = [d for d in days if d < core[0]], [d for d in days if d > core[-1]]

        def far(gap, beyond, span=span, pause=pause):
            few = len(beyond) <= 3 and gap >= max(span / 4, 3 * pause)
            return few or gap >= max(3650, 2 * span)

        grown = []
        if below and not far(core[0] - below[-1], below):
            grown += next(run for run in runs if below[-1] in run)
        if above and not far(above[0] - core[-1], above):
            grown += next(run for run in runs if above[0] in run)
        if not grown:
            return core
        core = sorted(core + grown)


pieces = st.tuples(
    st.integers(693_600, 803_000), st.integers(1, 6), st.integers(1, 200), st.integers(1, 30)
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=5))
def test_core_is_that_of_the_words(parts):
    count = {}
    for start, days, step, rows in parts:
        for day in range(days):
            count[start + day * step] = rows
    days = sorted(count)
    low, high = find_core(np.array(days), np.array([count[day] for day in days]))
    assert days[low : high + 1] == core_by_words(days, [count[day] for day in days])


def span_of(*days):
    """Return the first and the last plausible date of one row on each day, None for no limit."""
    instants = [datetime.fromordinal(day).replace(tzinfo=UTC) for day in days]
    column = pa.chunked_array([pa.array(instants, pa.timestamp("us", "UTC"))])
    span = PlausibleSpan.from_arrivals([Arrivals.from_instants(column)])
    return tuple(
        None if bound is None else datetime.fromtimestamp(bound / 1e6, UTC).date()
        for bound in (span.first, span.last)
    )


FIRST, LAST = date(2023, 1, 1), date.fromordinal(DENSE[-1])


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ([date(1970, 1, 1)], (FIRST, None)),
        ([date(1900, 1, 1), date(1970, 1, 1)], (FIRST, None)),
        ([date(1970, 1, 1)] * 100, (FIRST, None)),
        ([date(2026, 6, 1)], (None, LAST)),
        ([date(1970, 1, 1), date(2099, 12, 31), date(2099, 12, 30)], (FIRST, LAST)),
        # A wrong century, on many days.
        ([date.fromordinal(day - 36_525) for day in DENSE[:60]], (FIRST, None)),
        # Old customers, and three weeks after the end: within reach.
        ([date(2022, 6, 1)], (None, None)),
        ([date.fromordinal(DENSE[-1] + 21)], (None, None)),
        ([date(2008 + year, 3, 1) for year in range(15)], (None, None)),
        # A real log before a real pause of three years.
        ([date.fromordinal(date(2018, 1, 1).toordinal() + day) for day in range(300)], (None,) * 2),
    ],
)
def test_few_days_far_from_all_others_are_implausible(odd, expected):
    assert span_of(*DENSE, *(day.toordinal() for day in odd)) == expected


def test_tiny_data_is_not_judged():
    days = [date(2024, 1, day).toordinal() for day in (1, 2, 3)]
    assert span_of(date(1970, 1, 1).toordinal(), *days) == (None, None)
    assert span_of() == (None, None)


def test_import_on_one_day_is_a_bulk():
    assert span_of(date(1970, 1, 1).toordinal(), *[DENSE[0]] * 200) == (FIRST, None)


@pytest.mark.parametrize(("imported", "is_far"), [(1, True), (30, True), (31, False), (60, False)])
def test_most_rows_of_a_source_are_no_mistake(imported, is_far):
    """Leads that were created on the day of an import, years before the log begins."""

    def arrive(days):
        instants = np.array([day * 86_400_000_000 for day in days], np.int64)
        return Arrivals.from_instants(pa.chunked_array([pa.array(instants)]))

    log = arrive(range(17_000, 17_400))
    span = PlausibleSpan.from_arrivals([log, arrive([15_000] * imported + [17_100] * 30)])
    assert (span.first is not None) == is_far


def test_single_row_of_a_source_is_judged_by_the_others():
    instants = [pa.chunked_array([pa.array([0], pa.int64())])]
    instants.append(pa.chunked_array([pa.array(np.arange(17_000, 17_400) * 86_400_000_000)]))
    assert PlausibleSpan.from_arrivals([Arrivals.from_instants(part) for part in instants]).first
