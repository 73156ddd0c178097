"""Agreement of all engines: the results that are compared in time are equal in every value."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.tools.instants import US_PER_DAY
from tests.benchmarks import log
from tests.benchmarks.common import NAMES
from tests.benchmarks.measure import Job, measured


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Write a small log, with cutoffs at events, at window boundaries, before and after all."""
    folder = tmp_path_factory.mktemp("small")
    path = folder / "events.parquet"
    leads = log.write(path, 4_000)
    at = pq.read_table(path)["event_time"][1_000].value
    edges = [at + days * US_PER_DAY for days in (0, 1, 7, 30, 90)]
    instants = [log.START, *edges, log.START + log.SPAN]
    return Job("ours:leadscore", str(path), leads, instants, str(folder / "ours.parquet"))


@pytest.fixture(scope="module")
def ours(job):
    measured(job)
    return _ordered(job.out)


ENGINES = [
    "ours:whole_table",
    "ours:growing",
    "peers:range_join",
    "peers:polars_per_cutoff",
    "peers:featuretools",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_agree(job, ours, engine, needs):
    theirs = replace(job, engine=engine, out=f"{job.out}.{engine.split(':')[1]}")
    needs(theirs)
    measured(theirs)
    found = _ordered(theirs.out)
    assert found.num_rows == job.leads * len(job.instants)
    for key in ("entity_id", "cutoff"):
        assert found[key].equals(ours[key]), key
    for name in NAMES:
        np.testing.assert_allclose(found[name], ours[name], rtol=1e-9, atol=1e-9, err_msg=name)
        assert pc.max(ours[name]).as_py() > 0, name


def _ordered(path):
    return pq.read_table(path).sort_by([("cutoff", "ascending"), ("entity_id", "ascending")])
