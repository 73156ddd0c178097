"""The feature engine against the floor and other engines, and its whole catalog.

LEADSCORE_BENCH_EVENTS sets the size of the log (default one million events).
"""

from dataclasses import dataclass, replace

import pyarrow.parquet as pq
import pytest

from tests.benchmarks import log
from tests.benchmarks.common import NAMES
from tests.benchmarks.machine import EVENTS, sizes
from tests.benchmarks.measure import Job, measured

CUTOFFS = {"1 cutoff": (1, 30), "6 monthly cutoffs": (6, 30), "26 weekly cutoffs": (26, 7)}
COMMON = f"leadscore, {len(NAMES)} common features, s"
FLOOR = "floor: DuckDB scan and group-by, s"


@dataclass(frozen=True)
class Case:
    """One number of cutoffs: a column of the table, with what all others are compared with."""

    job: Job
    events: int
    floor: dict
    ours: dict
    tell: object


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Write the log once and return its path and number of leads."""
    path = str(tmp_path_factory.mktemp("log") / "events.parquet")
    return path, log.write(path, EVENTS)


@pytest.fixture(scope="module", params=CUTOFFS)
def case(request, generated, report):
    path, leads = generated
    job = Job("ours:leadscore", path, leads, log.cutoffs(*CUTOFFS[request.param]))
    events, title = pq.read_metadata(path).num_rows, sizes(path, leads)

    def tell(row, cell):
        report.add(title, row, request.param, cell)

    floor, ours = measured(replace(job, engine="peers:floor")), measured(job)
    tell("rows", f"{ours['rows']:,}")
    tell(FLOOR, f"{floor['seconds']:.2f}")
    return Case(job, events, floor, ours, tell)


def _rows(case):
    return case.job.leads * len(case.job.instants)


def test_common_set_against_the_floor(case):
    case.tell(COMMON, f"{case.ours['seconds']:.2f}")
    case.tell("leadscore / floor", f"{case.ours['seconds'] / case.floor['seconds']:.1f}")
    case.tell("leadscore peak memory, GiB", f"{case.ours['peak']:.2f}")
    assert case.floor["counted"] == case.ours["counted"] == case.events
    assert (case.ours["rows"], case.ours["columns"]) == (_rows(case), len(NAMES))


def test_polars_with_a_group_by_for_each_cutoff(case, needs):
    _against(case, needs, "polars_per_cutoff", "Polars", "a group-by for each cutoff")


def test_duckdb_with_a_range_join(case, needs):
    if len(case.job.instants) > 6:
        case.tell("range join, DuckDB, s", "not run")
        pytest.skip("a range join with 26 cutoffs takes hours on a large log")
    _against(case, needs, "range_join", "range join", "DuckDB")


def _against(case, needs, engine, name, how):
    job = replace(case.job, engine=f"peers:{engine}")
    needs(job)
    theirs = measured(job)
    case.tell(f"{name}, {how}, s", f"{theirs['seconds']:.2f}")
    case.tell(f"{name} / leadscore", f"{theirs['seconds'] / case.ours['seconds']:.1f}")
    case.tell(f"{name} peak memory, GiB", f"{theirs['peak']:.2f}")
    assert theirs["counted"] == case.events
    assert (theirs["rows"], theirs["columns"]) == (_rows(case), len(NAMES))


def test_featuretools_with_cutoff_times_on_a_sample(case, needs):
    job = replace(case.job, engine="peers:featuretools")
    needs(job)
    theirs = measured(job)
    each, own = (found["seconds"] / found["rows"] * 1e6 for found in (theirs, case.ours))
    case.tell("leadscore, µs a row", f"{own:.2f}")
    case.tell("featuretools, µs a row", f"{each:,.0f}")
    case.tell("· measured on a sample of rows", f"{theirs['rows']:,}")
    case.tell("· extrapolated to all rows, s", f"{each * _rows(case) / 1e6:,.0f}")
    case.tell("featuretools / leadscore, a row", f"{each / own:,.0f}")
    assert theirs["columns"] == len(NAMES)
    assert 0 < theirs["rows"] <= _rows(case)


def test_whole_catalog(case):
    whole = measured(replace(case.job, engine="ours:catalogue"))
    case.tell("whole catalogue, s", f"{whole['seconds']:.2f}")
    case.tell("whole catalogue, features", f"{whole['columns']}")
    case.tell("whole catalogue / floor", f"{whole['seconds'] / case.floor['seconds']:.1f}")
    case.tell("whole catalogue / common set", f"{whole['seconds'] / case.ours['seconds']:.1f}")
    case.tell("whole catalogue peak memory, GiB", f"{whole['peak']:.2f}")
    assert (whole["rows"], whole["counted"]) == (_rows(case), case.events)
