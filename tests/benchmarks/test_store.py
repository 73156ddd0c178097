"""Scores into SQLite and PostgreSQL in one transaction, against bare loads in the same run.

LEADSCORE_BENCH_SCORES sets the rows (default one million), of which every tenth has reasons.
"""

import json
import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import ROOT
from tests.benchmarks.report import Report

ROWS = int(os.environ.get("LEADSCORE_BENCH_SCORES", 1_000_000))


def measured(url: str, what: str) -> dict:
    command = [sys.executable, "-m", "tests.benchmarks.publishing", url, str(ROWS), what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def tell(report: Report, store: str, ours: dict, floors: dict) -> None:
    title = (
        f"{ROWS:,} scores of {ours['bytes a row']:.0f} bytes; "
        f"{cpu_count()} cores, {memory():.0f} GiB; rows/s"
    )
    for name in ("a night", "again", "the next night", "previous", "scores"):
        verb = f"{name}, read" if name in ("previous", "scores") else f"{name}, published"
        report.add(title, verb, store, f"{ROWS / ours[name]:,.0f}")
    for name, seconds in floors.items():
        report.add(title, f"floor: {name}", store, f"{ROWS / seconds:,.0f}")
        report.add(
            title, f"the next night / {name}", store, f"{seconds / ours['the next night']:.2f}"
        )
        report.add(title, f"again / {name}", store, f"{seconds / ours['again']:.2f}")
    report.add(
        title, "memory over the table, MiB", store, f"{ours['memory over the table, MiB']:.0f}"
    )


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.server)])
def place(request, tmp_path):
    if request.param == "SQLite":
        return request.param, f"sqlite:///{tmp_path}/scores.db"
    return request.param, request.getfixturevalue("postgresql_url")


def test_scores_are_published_and_read_back(place, report):
    store, url = place
    ours = measured(url, "ours")
    tell(report, store, ours, measured(url, "floor"))
    assert ours["rows of previous"] == ours["rows of scores"] == ROWS
