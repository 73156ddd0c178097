"""The feature engine against the floor: DuckDB's scan and group-by of the same file in the same run.

LEADSCORE_BENCH_EVENTS sets the size of the log (default one million events).
"""

import os
import statistics
import time
from datetime import timedelta

import duckdb
import pyarrow.compute as pc
import pytest

from features.build import build_features
from features.catalog import Catalog
from tests.benchmarks import log

EVENTS = int(os.environ.get("LEADSCORE_BENCH_EVENTS", 1_000_000))
CATALOG = Catalog(
    types=tuple(log.TYPES),
    valued=tuple(log.TYPES[:2]),
    windows=tuple(timedelta(days=days) for days in (1, 7, 30, 90)),
)
"""Of 8 types and any: counts and last ages; sums of the two that carry values; over four windows and all of history."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Write the log once and return its path and number of leads."""
    path = tmp_path_factory.mktemp("log") / "events.parquet"
    return str(path), log.write(path, EVENTS)


FLOOR = """select entity_id, event_type, count(*) n, max(event_time) last, sum(value) total
    from read_parquet($path) group by all"""


def floor(path):
    """Return the seconds, median of three, and the events that the floor counted."""
    seconds, counted = [], None
    for _ in range(3):
        begin = time.perf_counter()
        counted = duckdb.connect().sql(FLOOR, params={"path": path}).to_arrow_table()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), pc.sum(counted["n"]).as_py()


@pytest.mark.parametrize(("cutoffs", "step"), [(1, 30), (6, 30), (26, 7)])
def test_features_against_the_floor(generated, cutoffs, step, capsys):
    path, leads = generated
    build_features(log.dataset(path, leads), log.every(1, log.cutoffs(1, 1)), CATALOG)  # compiled once, not counted
    base, counted = floor(path)
    spine = log.every(leads, log.cutoffs(cutoffs, step))
    begin = time.perf_counter()
    matrix = build_features(log.dataset(path, leads), spine, CATALOG)
    spent = time.perf_counter() - begin
    latest = matrix["any_count_all"].to_numpy()[-leads:].sum()
    with capsys.disabled():
        print(
            f"\n{os.cpu_count()} cores, {EVENTS:,} events, {leads:,} leads, {cutoffs} cutoffs:",
            f"{matrix.num_rows:,} rows of {matrix.num_columns - 2} features, read and build {spent:.2f} s,",
            f"floor {base:.2f} s, ratio {spent / base:.1f}",
        )
    assert counted == EVENTS
    assert EVENTS - leads <= latest <= EVENTS  # all but what falls on the last instant itself
