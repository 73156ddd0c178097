"""The end of the data: no single row moves it, and small logs end with their last row."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.contracts import EVENTS, LEADS, Dataset
from features.times.data_end import find_data_end, find_midnight_after
from tests.features.logs import dataset, moments

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def log(times, **fields):
    """Return a data set of one event at each time."""
    rows = [
        {"entity_id": "a", "event_time": t, "available_at": t, "event_type": "visit"} for t in times
    ]
    events = pa.Table.from_pylist(rows, schema=EVENTS)
    return Dataset(LEADS.empty_table(), events, (), "", **fields)


def end_by_words(times, zone):
    """Return the end of the data by the rule's words."""
    days = Counter(t.astimezone(zone).date() for t in times)
    lone = [day for day, rows in days.items() if rows == 1]
    times = sorted(times)
    if len(days) >= 10 and len(lone) <= max(3, 0.05 * len(days)):
        last = max(day for day, rows in days.items() if rows > 1)
        second = [t for t in times if t.astimezone(zone).date() == last][-2]
        return second.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    return times[-1]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 95)), min_size=1, max_size=60),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_end_is_that_of_the_words(rows, name):
    times = [START + day * DAY + quarter * timedelta(minutes=15) for day, quarter in rows]
    assert find_data_end(log(times), ZoneInfo(name)) == end_by_words(times, ZoneInfo(name))


DENSE = [START + day * DAY + hour * HOUR for day in range(30) for hour in (9, 9.5, 15, 15.25)]
CLEAN = log(DENSE)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.integers(-70 * 8766, 200 * 8766))
def test_end_is_not_moved_by_one_more_row_at_any_time(hours):
    odd = datetime(1970, 1, 1, tzinfo=UTC) + hours * HOUR
    events = pa.concat_tables([CLEAN.events, log([odd]).events])
    assert find_data_end(replace(CLEAN, events=events), BERLIN) == DENSE[-1].replace(minute=0)


def test_up_to_three_later_days_with_one_row_do_not_move_the_end():
    odd = [DENSE[-1] + days * DAY for days in (2, 21, 300)]
    assert find_data_end(log(DENSE + odd), BERLIN) == DENSE[-1].replace(minute=0)


def test_log_of_single_rows_ends_with_its_last_row_before_an_unusual_pause():
    sparse = [START + 2 * day * DAY for day in range(40)]
    assert find_data_end(log(sparse), BERLIN) == sparse[-1]
    for odd in ([21], [21, 22], [21, 22, 23]):
        later = [sparse[-1] + days * DAY for days in odd]
        assert find_data_end(log(sparse + later), BERLIN) == sparse[-1]
    # Five days are no unusual pause in such a log, and four rows are no accident.
    for real in ([5], [21, 22, 23, 24]):
        later = [sparse[-1] + days * DAY for days in real]
        assert find_data_end(log(sparse + later), BERLIN) == later[-1]


def test_tiny_log_ends_with_its_last_row():
    assert find_data_end(log([START, START + 300 * DAY]), BERLIN) == START + 300 * DAY
    assert find_data_end(log([]), BERLIN) is None


def test_weekly_delivery_ends_with_the_last_one():
    weekly = [START + week * timedelta(days=7) + 2 * HOUR for week in range(20) for _ in range(50)]
    assert find_data_end(log(weekly), BERLIN) == weekly[-1]


def test_log_after_a_long_real_pause_ends_with_its_last_rows():
    later = [time + 700 * DAY for time in DENSE]
    assert find_data_end(log(DENSE + later), BERLIN) == later[-1].replace(minute=0)


def test_midnight_is_that_of_the_zone():
    for day, hours in ((date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 7, 1), 24)):
        begin = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
        assert find_midnight_after(begin, BERLIN) - begin.astimezone(UTC) == hours * HOUR


@settings(max_examples=50, deadline=None)
@given(dataset(), moments)
def test_small_logs_end_with_their_last_known_row(data, as_of):
    rows = data.leads["available_at"].to_pylist() + data.events["available_at"].to_pylist()
    known = [time for time in rows if time < as_of]
    # From 20 rows on, a few rows after an unusual pause do not count.
    assume(len(known) < 20)
    expected = max(known, default=None)
    assert find_data_end(data.cut_at(as_of), BERLIN) == expected
