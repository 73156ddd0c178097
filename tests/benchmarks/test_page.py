"""The page of many leads: seconds to build its list, its size, and seconds until it is ready.

LEADSCORE_BENCH_PAGE sets the numbers of leads (default 100,000 and one million). The browser's
seconds are compared with those of a page without leads; it is skipped where Chromium is missing.
"""

import json
import os
import statistics
import time
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from joblib import cpu_count

from features.score_tables import SCORES
from serve.page.build import build_page
from serve.page.content.shown_leads import MAX_COMPARED
from serve.page.sections.leads.lead_list import build_lead_list
from serve.page.sections.leads.night_changes import build_night_changes
from tests.benchmarks.machine import memory
from tests.benchmarks.publishing import NIGHT, sample
from tests.browser import open_file
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run

LEADS = [int(n) for n in os.environ.get("LEADSCORE_BENCH_PAGE", "100000,1000000").split(",")]
TABLE = f"The page: reasons and changes for all leads; {cpu_count()} cores, {memory():.0f} GiB"
SENTENCES, TEXTS, OWNERS = 5_000, 50_000, 200
REPEATS = 3


@pytest.fixture(scope="module")
def empty_seconds(browser, tmp_path_factory):
    """Return the seconds until a page without leads is ready."""
    folder = tmp_path_factory.mktemp("empty")
    data = make_many(folder, 1)
    return time_opening(browser, folder, build_page(data))


@pytest.mark.parametrize("leads", LEADS)
def test_page_of_many_leads(leads, browser, empty_seconds, tmp_path, report):
    data = make_many(tmp_path, leads)
    row = f"{leads:,} leads"
    report.add(TABLE, row, "list, CPU s", f"{cpu_seconds(build_lead_list, data):.2f}")
    report.add(TABLE, row, "tables above, CPU s", f"{cpu_seconds(build_night_changes, data):.2f}")
    page = build_page(data)
    report.add(TABLE, row, "page, MB", f"{len(page) / 1e6:.1f}")
    seconds = time_opening(browser, tmp_path, page)
    report.add(TABLE, row, "ready, s", f"{seconds:.2f}")
    report.add(TABLE, row, "times an empty page", f"{seconds / empty_seconds:.1f}")


def cpu_seconds(build, data) -> float:
    """Return the CPU seconds of a section, of all threads, as the least of several runs."""
    found = []
    for _ in range(REPEATS):
        before = time.process_time()
        build(data)
        found.append(time.process_time() - before)
    return min(found)


def time_opening(browser, folder, page: bytes) -> float:
    """Return the median seconds until a page in the browser is ready."""
    file, found = folder / "index.html", []
    file.write_bytes(page)
    for _ in range(REPEATS):
        before = time.perf_counter()
        with open_file(browser, file) as opened:
            found.append(time.perf_counter() - before)
            assert opened.complaints == []
    return statistics.median(found)


def make_many(folder, leads: int):
    """Return the data of a page of one target, whose scores all changed since the night before."""
    random = np.random.default_rng(3)
    run = a_run(as_of=NIGHT + timedelta(days=1), targets=("close",))
    scores = sample(leads, run)
    owners = pa.array([f"Owner {number}" for number in range(OWNERS)])
    changed = {
        "target": pa.repeat("close", leads),
        "reasons": draw_reasons(random, leads),
        "owner": owners.take(pa.array(random.integers(0, OWNERS, leads))),
        "trend": pa.array(random.integers(-9, 10, leads)),
        "trend_7d": pa.array(random.integers(-20, 20, leads)),
        # A twentieth each is listed, and on its way down.
        "listed": pa.array(np.full(leads, "pick"), mask=random.random(leads) > 0.05),
        "falling_since": pa.array([NIGHT] * leads, mask=random.random(leads) > 0.05).cast(
            SCORES.field("falling_since").type
        ),
    }
    for name, column in changed.items():
        scores = scores.set_column(scores.column_names.index(name), name, column)
    previous = scores.slice(0, MAX_COMPARED).select(["target", "entity_id", "model_version"])
    previous = previous.append_column("reasons", draw_reasons(random, previous.num_rows))
    project = make_project(folder, capacity={"per_week": 40})
    return make_data(project, scores, run, previous=previous)


def draw_reasons(random: np.random.Generator, leads: int) -> pa.Array:
    """Return the JSON of three reasons for and three against for each lead."""
    texts = []
    for _ in range(min(TEXTS, leads)):
        sizes = np.sort(random.uniform(0.05, 1, (2, 3)))[:, ::-1].round(6)
        parts = [*sizes[0], *-sizes[1]]
        features = random.integers(0, SENTENCES, 6)
        texts.append(
            json.dumps(
                [
                    {
                        "feature": f"feature_{feature % 300}",
                        "value": 1.0,
                        "contribution": part,
                        "sentence": f"{feature} “pricing view” events in the last 7 days",
                    }
                    for feature, part in zip(features.tolist(), parts, strict=True)
                ]
            )
        )
    return pa.array(texts).take(pa.array(random.integers(0, len(texts), leads)))
