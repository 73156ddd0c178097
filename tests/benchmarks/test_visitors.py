"""Cost of giving anonymous events to leads, beside reading the same events with the lead's id.

LEADSCORE_BENCH_VISITS is the number of events, 10 M by default.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import Project
from features.sources import read_sources
from tests.benchmarks.log import SPAN, START, leads_table, names

EVENTS = int(os.environ.get("LEADSCORE_BENCH_VISITS", 10_000_000))
# Events of a visitor; of every five visitors one is never identified, and one has two links.
MEAN, PAIRS, MOST = 20, 3, 1.3


def write_visits(folder, events):
    """Write leads, links and a log with both the visitor and its lead; return the folder."""
    rng = np.random.default_rng(11)
    visitors = events // MEAN
    leads = leads_table(visitors)
    born = leads["created_at"].cast(pa.int64())
    rows = pa.table({"id": leads["entity_id"], "born": born.cast(pa.timestamp("us", "UTC"))})
    pq.write_table(rows, folder / "leads.parquet")
    linked = np.flatnonzero(np.arange(visitors) % 5 != 0)
    again = linked[linked % 5 == 1]
    who = np.concatenate([linked, again])
    seen = START + rng.integers(0, SPAN, len(who))
    lead = np.concatenate([linked, (again + 1) % visitors])
    columns = {"cookie": pa.array(np.char.add("c-", who.astype("U8"))), "who": names(lead)}
    columns["seen"] = pa.array(seen).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table(columns), folder / "links.parquet")
    with pq.ParquetWriter(folder / "log.parquet", _draw_log(rng, 1, visitors).schema) as writer:
        for begin in range(0, events, 1 << 20):
            writer.write_table(_draw_log(rng, min(1 << 20, events - begin), visitors))
    return folder


def _draw_log(rng, size, visitors):
    who = rng.integers(0, visitors, size)
    at = pa.array(START + np.sort(rng.integers(0, SPAN, size))).cast(pa.timestamp("us", "UTC"))
    kind = pa.array(["view", "form", "price"]).take(pa.array(rng.integers(0, 3, size)))
    cookie = pa.array(np.char.add("c-", who.astype("U8")))
    # As a log whose lead is known from the start has it.
    return pa.table({"cookie": cookie, "lead": names(who), "at": at, "what": kind})


def read_log(folder, by):
    """Return processor seconds, peak GiB and the number of rows of a data set read from files."""
    event = {"path": str(folder / "log.parquet"), "event_time": "at", "event_type": "what"}
    event |= {"entity_id": "lead"} if by == "lead" else {"visitor_id": "cookie"}
    leads = {"path": str(folder / "leads.parquet"), "entity_id": "id", "created_at": "born"}
    sources = {"leads": leads, "events": [event]}
    if by == "visitor":
        link = {"path": str(folder / "links.parquet"), "visitor_id": "cookie"}
        sources["identities"] = {**link, "entity_id": "who", "known_at": "seen"}
    target = {"outcome": "form", "horizon": "30d", "cutoffs": {"every": "7d"}}
    whole = {"project": "p", "workspace": str(folder), "timezone": "UTC", "sources": sources}
    config = Project.model_validate(whole | {"targets": {"form": target}})
    start = time.process_time()
    data = read_sources(config, scratch=folder / "scratch")
    spent = time.process_time() - start
    rows = data.events.num_rows + sum(count.anonymous for count in data.counts)
    return spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, rows


def measure_in_process(folder, by):
    """Run ``read_log`` in a new process, so that neither shares memory or warm caches."""
    command = [sys.executable, "-m", "tests.benchmarks.test_visitors", str(folder), by]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    seconds, memory, rows = done.stdout.split()[-3:]
    return float(seconds), float(memory), int(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("visits"), EVENTS)


def test_links_cost_little_beside_reading(report, folder):
    # Compiled once: the first process writes the kernels to their cache.
    for by in ("lead", "visitor"):
        measure_in_process(folder, by)
    pairs = []
    for _ in range(PAIRS):
        plain, linked = (measure_in_process(folder, by) for by in ("lead", "visitor"))
        assert plain[2] == linked[2] == EVENTS
        pairs.append((plain, linked))
    title = f"Reading {EVENTS:,} events, by lead and by visitor"
    for place, row in enumerate(("events of leads", "events of visitors")):
        seconds, memory = (statistics.median(p[place][k] for p in pairs) for k in (0, 1))
        report.add(title, row, "processor seconds", f"{seconds:.1f}")
        report.add(title, row, "peak GiB", f"{memory:.2f}")
    ratio = statistics.median(linked[0] / plain[0] for plain, linked in pairs)
    report.add(title, "visitors / leads", "processor seconds", f"{ratio:.2f}")
    assert ratio <= MOST


if __name__ == "__main__":
    print(*read_log(Path(sys.argv[1]), sys.argv[2]))
