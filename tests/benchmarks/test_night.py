"""A night from the sources to the CRM's file, against its indispensable parts.

It is the second night of the leads: it compares with one before, like all nights except the first.

LEADSCORE_BENCH_LEADS is the number of leads, with 20 events each; a tenth of it is measured, too.
1,000,000 take about ten minutes and 4 GiB.
"""

import json
import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import ROOT

LEADS = int(os.environ.get("LEADSCORE_BENCH_LEADS", 100_000))
DAYS = [f"2025-07-0{day}" for day in (2, 3, 4)], [f"2025-07-0{day}" for day in (5, 6, 7)]
TITLE = f"A night, reasons for the top tenth; {cpu_count()} cores, {memory():.0f} GiB"


def run(folder, *arguments):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.night",
        str(folder),
        *map(str, arguments),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def test_night_at_size(tmp_path, report):
    seconds = {}
    for leads, days in zip((LEADS // 10, LEADS), DAYS, strict=True):
        column = f"{leads:,} leads"
        run(tmp_path, "prepare", leads)
        floor = run(tmp_path, "floor")
        _, night, bare_night = (
            run(tmp_path, "night", f"{day}T00:00:00+00:00", page)
            for day, page in zip(days, ("page", "page", "no-page"), strict=True)
        )
        bare, seconds[leads] = floor["scan"] + floor["predict"], night["seconds"]
        assert night["rows"] == leads
        report.add(TITLE, "events", column, f"{20 * leads:,}")
        report.add(
            TITLE,
            "model",
            column,
            f"{floor['learner']}, {floor['trees']} trees, {floor['features']} features",
        )
        report.add(TITLE, "scan of the log, s", column, f"{floor['scan']:.1f}")
        report.add(
            TITLE, "LightGBM's own predict of its trees, s", column, f"{floor['predict']:.1f}"
        )
        report.add(TITLE, "night, s", column, f"{night['seconds']:.1f}")
        for step, took in night["steps"].items():
            report.add(TITLE, f"of it {step}, s", column, f"{took:.1f}")
        report.add(TITLE, "night / (scan + predict)", column, f"{night['seconds'] / bare:.1f}")
        assert night["problem"] is None
        for measure in ("seconds", "processor"):
            ratio = night[measure] / bare_night[measure]
            report.add(TITLE, f"{measure} with the page / without", column, f"{ratio:.3f}")
        report.add(TITLE, "page, MB", column, f"{night['page']:.1f}")
        report.add(TITLE, "peak memory, GiB", column, f"{night['peak']:.2f}")
    report.add(
        TITLE,
        "time, larger / smaller",
        f"{LEADS:,} leads",
        f"{seconds[LEADS] / seconds[LEADS // 10]:.1f}",
    )
