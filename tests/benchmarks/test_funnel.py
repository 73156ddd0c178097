"""The funnel against the common features of the same log: the price of one more report a night.

LEADSCORE_BENCH_EVENTS sets the size of the log (default one million events).
"""

import json
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import EVENTS, memory
from tests.benchmarks.measure import ROOT


def test_funnel_against_the_common_features(report):
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.counting", str(EVENTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr[-3000:])
    found = json.loads(done.stdout.splitlines()[-1])
    title = (
        f"The funnel of {found['events']:,} events of {found['leads']:,} leads in memory; "
        f"{cpu_count()} cores, {memory():.0f} GiB, load {found['load']:.1f}"
    )
    funnel = found["funnel"]
    for column in ("1 cutoff", "6 monthly cutoffs"):
        features = found[column]
        report.add(title, "common features, CPU s", column, f"{features['processor']:.2f}")
        report.add(title, "funnel, CPU s", column, f"{funnel['processor']:.2f}")
        ratio = funnel["processor"] / features["processor"]
        report.add(title, "funnel / common features", column, f"{ratio:.2f}")
    report.add(title, "funnel by the clock, s", "1 cutoff", f"{funnel['wall']:.2f}")
    report.add(title, "peak memory, GiB", "1 cutoff", f"{found['peak']:.2f}")
    assert funnel["rows"] == found["1 cutoff"]["rows"] == found["leads"]
    assert found["6 monthly cutoffs"]["rows"] == 6 * found["leads"]
