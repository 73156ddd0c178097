"""Arrival counts of sources: rows known at an instant, newest row and regular pauses."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.schema import load_project
from features.arrivals import Arrivals
from features.contracts import INSTANT
from features.sources import read_sources
from tests.pipelines import tiny

START = datetime(2024, 3, 1, tzinfo=UTC)


def arrivals(*minutes):
    column = pa.array([START + timedelta(minutes=m) for m in minutes], INSTANT)
    return Arrivals.from_instants(pa.chunked_array([column.slice(0, 2), column.slice(2)]))


def test_arrivals_before_instant_have_total_and_newest():
    found = arrivals(50, 0, 14.99, 15, 44)
    assert found.total == 5 and found.newest == START + timedelta(hours=1)
    early = found.before(START + timedelta(minutes=45))
    assert early.total == 4 and early.newest == START + timedelta(minutes=45)
    assert found.before(START).total == 0 and found.before(START).newest is None


def test_arrivals_exclude_unfinished_quarter():
    assert arrivals(0, 16).before(START + timedelta(minutes=20)).total == 1


@pytest.mark.parametrize("years", [1, 500])
def test_arrivals_equal_plain_python_counts(years):
    rng = np.random.default_rng(years)
    us = rng.integers(-years * 10**13, years * 10**13, 1000)
    us[::3] = us[0]
    found = Arrivals.from_instants(pa.chunked_array([pa.array(us[:400]), pa.array(us[400:])]))
    expected = {}
    for each in us.tolist():
        expected[each // 900_000_000] = expected.get(each // 900_000_000, 0) + 1
    assert dict(zip(found.quarters.tolist(), found.rows.tolist(), strict=True)) == expected
    assert found.quarters.tolist() == sorted(expected)


def test_regular_pause_excludes_three_longest():
    day = 24 * 60
    weekly = [7 * day * k for k in range(20)]
    assert arrivals(*weekly).longest_regular_pause() == timedelta(days=7) - timedelta(minutes=15)
    outages = [
        m + (40 * day if m > 5 * 7 * day else 0) + (40 * day if m > 9 * 7 * day else 0)
        for m in weekly
    ]
    assert arrivals(*outages).longest_regular_pause() == timedelta(days=7) - timedelta(minutes=15)
    assert (
        arrivals(*weekly[:4]).longest_regular_pause()
        == timedelta(0)
        == arrivals().longest_regular_pause()
    )


def test_regular_pause_ignores_old_pauses():
    day = 24 * 60
    recent = [day * k for k in range(1000, 1400)]
    assert arrivals(
        *[100 * day * k for k in range(10)], *recent
    ).longest_regular_pause() == timedelta(days=1, minutes=-15)


def test_timed_sources_have_arrivals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = read_sources(load_project(tiny.write(tmp_path, leads=50)))
    leads, events = dataset.counts
    assert leads.arrivals.total == leads.used == 50
    assert events.arrivals.total == events.used
    last = dataset.events["available_at"].to_pylist()
    assert max(last) < events.arrivals.newest <= max(last) + timedelta(minutes=15)
