"""Time and memory of a large training; LEADSCORE_BENCH_ROWS is the number of rows."""

import json
import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import ROOT

ROWS = int(os.environ.get("LEADSCORE_BENCH_ROWS", 100_000))
FEATURES = 200


def test_large_training(report):
    title = (
        f"A training of {ROWS:,} rows with {FEATURES} features; "
        f"{cpu_count()} cores, {memory():.0f} GiB"
    )
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.learning",
        str(ROWS),
        str(FEATURES),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr[-3000:])
    found = json.loads(done.stdout.splitlines()[-1])
    report.add(title, "seconds", "", f"{found['seconds']:.0f}")
    report.add(title, "seconds of processor", "", f"{found['processor']:.0f}")
    report.add(title, "of it LightGBM", "", f"{found['lightgbm'] / found['processor']:.0%}")
    report.add(
        title, "audit / training, processor", "", f"{found['audit'] / found['processor']:.1%}"
    )
    report.add(title, "matrix, GiB", "", f"{found['matrix']:.2f}")
    report.add(title, "peak memory, GiB", "", f"{found['peak']:.2f}")
    assert found["audit"] < found["processor"]
