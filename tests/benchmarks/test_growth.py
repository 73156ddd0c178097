"""Growth of time and memory with ten times the events.

Runs if LEADSCORE_BENCH_GROWTH is set; LEADSCORE_BENCH_EVENTS is the smaller of the two sizes.
"""

import os

import pyarrow.parquet as pq
import pytest

from tests.benchmarks import log
from tests.benchmarks.machine import EVENTS
from tests.benchmarks.measure import Job, measured

TITLE = "Growth: leadscore, the common features at one cutoff, streamed from file to file"


@pytest.mark.skipif(
    not os.environ.get("LEADSCORE_BENCH_GROWTH"), reason="set LEADSCORE_BENCH_GROWTH=1 to run it"
)
def test_growth_by_ten(tmp_path, report):
    found = [_grown(tmp_path / f"{times}.parquet", EVENTS * times, report) for times in (1, 10)]
    report.add(TITLE, "time, larger / smaller", "10 N events", f"{found[1] / found[0]:.1f}")


def _grown(path, wanted, report):
    leads, column = log.write(path, wanted), "N events" if wanted == EVENTS else "10 N events"
    events = pq.read_metadata(path).num_rows
    measures = measured(Job("ours:growing", str(path), leads, log.cutoffs(1, 30)))
    report.add(TITLE, "events", column, f"{events:,}")
    report.add(TITLE, "leads", column, f"{leads:,}")
    report.add(TITLE, "seconds", column, f"{measures['seconds']:.2f}")
    report.add(TITLE, "peak memory, GiB", column, f"{measures['peak']:.2f}")
    assert (measures["rows"], measures["counted"]) == (leads, events)
    path.unlink()
    return measures["seconds"]
