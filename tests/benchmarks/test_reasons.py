"""Throughput of contributions and reasons; LEADSCORE_BENCH_EXPLAINED is the number of rows."""

import json
import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import ROOT

ROWS = int(os.environ.get("LEADSCORE_BENCH_EXPLAINED", 100_000))
FEATURES = 120


def explained(threads):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.explaining",
        str(ROWS),
        str(FEATURES),
    ]
    limited = {**os.environ, "LOKY_MAX_CPU_COUNT": str(threads)}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=limited
    )
    if done.returncode:
        pytest.fail(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("threads", sorted({1, cpu_count()}))
def test_reasons_of_many_rows(report, threads):
    title = (
        f"Reasons of {ROWS:,} rows with {FEATURES} features; "
        f"{cpu_count()} cores, {memory():.0f} GiB"
    )
    found, column = explained(threads), f"{threads} thread{'s' * (threads > 1)}"
    for name in ("LightGBM", "blend"):
        report.add(title, f"{name}, rows a second", column, f"{ROWS / found[name]['seconds']:,.0f}")
        report.add(
            title,
            f"{name}, rows a processor second",
            column,
            f"{ROWS / found[name]['processor']:,.0f}",
        )
    report.add(
        title,
        "LightGBM's own pred_contrib, rows a processor second",
        column,
        f"{ROWS / found['its own']:,.0f}",
    )
    ratio = found["its own"] / found["LightGBM"]["processor"]
    report.add(title, "its own / leadscore, processor", column, f"{ratio:.1f}")
    report.add(title, "largest difference, log-odds", column, f"{found['apart']:.0e}")
    report.add(title, "wording, rows a second", column, f"{ROWS / found['wording']:,.0f}")
    report.add(title, "peak memory, GiB", column, f"{found['peak']:.2f}")
    assert found["apart"] < 1e-9
    assert found["texts"] == ROWS
