"""Calendar periods across years, changes of the clock, and zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.goals.periods import find_next_period, find_period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Zones whose clocks change at different hours, at midnight among them, and by half an hour.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/St_Johns",
    "Asia/Kathmandu",
)


@given(
    # Seconds since 1970, from 1900 to 2199.
    st.integers(-2_200_000_000, 7_200_000_000).map(lambda s: EPOCH + timedelta(seconds=s)),
    st.sampled_from(ZONES),
    st.sampled_from(["month", "quarter"]),
)
def test_periods_follow_each_other_without_gap(instant, zone_name, name):
    zone = ZoneInfo(zone_name)
    period = find_period(instant, zone, name)
    following = find_next_period(period, zone)
    assert period.start <= instant < period.end == following.start
    assert find_period(period.start, zone, name) == period
    assert find_period(following.start, zone, name) == following
    assert find_period(period.end - timedelta(microseconds=1), zone, name) == period
    months = {"month": 1, "quarter": 3}[name]
    assert period.first.day == 1
    assert (period.first.month - 1) % months == 0
    # The zone's own clock shows the first day at the start, and an earlier day just before.
    for edge, first in ((period.start, period.first), (period.end, following.first)):
        assert edge.astimezone(zone).date() == first
        assert (edge - timedelta(microseconds=1)).astimezone(zone).date() < first


@pytest.mark.parametrize(
    ("zone", "instant", "start", "end"),
    [
        # The clock is set back on 26 October: the month has an hour more.
        ("Europe/Berlin", "2025-10-15", "2025-09-30T22:00", "2025-10-31T23:00"),
        ("Europe/Berlin", "2025-12-31T23:00", "2025-12-31T23:00", "2026-01-31T23:00"),
        ("Europe/Berlin", "2025-12-31T22:59", "2025-11-30T23:00", "2025-12-31T23:00"),
        # The clock went from 00:00 to 01:00 on 1 October 2000 in Paraguay.
        ("America/Asuncion", "2000-10-02", "2000-10-01T04:00", "2000-11-01T03:00"),
    ],
)
def test_periods_begin_at_midnight_of_the_zone(zone, instant, start, end):
    period = find_period(
        datetime.fromisoformat(instant).replace(tzinfo=UTC), ZoneInfo(zone), "month"
    )
    assert period.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert period.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_periods_have_labels():
    period = find_period(datetime(2025, 12, 31, tzinfo=UTC), ZoneInfo("UTC"), "quarter")
    assert (period.label, period.first) == ("Q4 2025", date(2025, 10, 1))
    assert find_next_period(period, ZoneInfo("UTC")).label == "Q1 2026"
    month = find_period(datetime(2025, 7, 1, tzinfo=UTC), ZoneInfo("UTC"), "month")
    assert month.label == "July 2025"
