"""Events around leads before instants, against plain loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import US_PER_DAY
from models.forecast.activity import WINDOWS, LeadActivity, sort_by_lead
from models.forecast.amounts import LeadValues
from models.forecast.days.working_time import WorkingTime

LEADS = 4
EVENTS = st.lists(st.tuples(st.integers(-1, LEADS - 1), st.integers(0, 60), st.integers(0, 9)))


def sort_days(events, with_values=False):
    lead, day, value = (np.array(column, np.int64) for column in zip(*events, strict=True))
    time = day * US_PER_DAY
    if not with_values:
        return sort_by_lead(lead, time, LEADS)[0]
    times, rows = sort_by_lead(lead, time, LEADS, value.astype(float))
    return LeadValues(times, value[rows].astype(float))


@given(EVENTS.filter(len), st.integers(0, 61))
def test_columns_equal_a_plain_loop(events, day):
    times = sort_days(events)
    activity = LeadActivity(times, (times,))
    leads = np.arange(LEADS)
    # A working time that runs twice as fast as the calendar.
    days = np.array([-90, 90]) * US_PER_DAY
    time = WorkingTime(days, 2.0 * days)
    found = activity.describe_leads(leads, 2 * day * US_PER_DAY, time)
    for lead in leads:
        days = [at for own, at, _ in events if own == lead and at < day]
        since = 2 * (day - max(days)) if days else np.nan
        counts = [sum(at >= day - window / 2 for at in days) for window in WINDOWS]
        expected = [since, *counts, since, counts[-1]]
        np.testing.assert_array_equal(found[lead], expected)


@given(EVENTS.filter(len), st.lists(st.integers(0, 61), min_size=LEADS, max_size=LEADS))
def test_newest_value_comes_before_the_instant(events, days):
    values = sort_days(events, with_values=True)
    at = np.array(days, np.int64) * US_PER_DAY
    found = values.find_newest(np.arange(LEADS), at)
    for lead, day in enumerate(days):
        own = [(when, value) for which, when, value in events if which == lead and when < day]
        np.testing.assert_array_equal(found[lead], max(own)[1] if own else np.nan)
