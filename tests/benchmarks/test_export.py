"""Deliveries to CRMs: hostile leads read back by independent parsers, and a million leads timed.

LEADSCORE_BENCH_HOSTILE sets the number of hostile leads (default 100,000), LEADSCORE_BENCH_SCORES
that of timed leads (default one million). A spreadsheet reads them, too, if LibreOffice is
installed (Debian: libreoffice-calc-nogui).
"""

import json
import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import ROOT
from tests.serve.crm.hostile import SPREADSHEET, WITH_SPREADSHEET, differences, formulas, scores
from tests.serve.crm.samples import FORMS

HOSTILE = int(os.environ.get("LEADSCORE_BENCH_HOSTILE", 100_000))
ROWS = int(os.environ.get("LEADSCORE_BENCH_SCORES", 1_000_000))
READ = (
    f"{HOSTILE:,} hostile leads in all formats: rows that a parser reads in violation of the rules"
)
TIMED = (
    f"{ROWS:,} leads, 12 columns, reasons for the top tenth; "
    f"{cpu_count()} cores, {memory():.0f} GiB"
)


def measured(folder, form: str, what: str) -> dict:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.delivering",
        str(folder),
        str(ROWS),
        form,
        what,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def test_hostile_leads_are_read_back(tmp_path, report):
    table, run = scores(HOSTILE)
    for form in FORMS:
        found = differences(table, run, tmp_path, form, WITH_SPREADSHEET)
        assert found["rows"] + found.get("left out", 0) >= HOSTILE - 1
        for name, count in found.items():
            report.add(READ, name, form, f"{count:,}")
        if SPREADSHEET and form not in ("jsonl", "parquet"):
            files = sorted((tmp_path / "exports" / form / "current").glob("part-*.csv"))
            report.add(READ, "formulas in LibreOffice", form, f"{sum(map(formulas, files)):,}")
        assert not any(count for name, count in found.items() if name not in ("rows", "left out"))


@pytest.mark.parametrize("form", ["csv", "salesforce", "hubspot", "dynamics"])
def test_million_leads_are_delivered(tmp_path, report, form):
    bare, ours = measured(tmp_path, form, "floor"), measured(tmp_path, form, "ours")
    report.add(TIMED, "bare Arrow CSV of the same columns, s", form, f"{bare['bare']:.2f}")
    report.add(TIMED, "its file, MiB", form, f"{bare['MiB']:.0f}")
    for name in ("full", "the same again", "delta"):
        report.add(TIMED, f"{name}, s", form, f"{ours[name]:.2f}")
    report.add(TIMED, "full / bare", form, f"{ours['full'] / bare['bare']:.2f}")
    for name in ("peak, GiB", "over the scores, GiB"):
        report.add(TIMED, name, form, f"{ours[name]:.2f}")
    report.add(
        TIMED,
        "leads in the delta, cleared",
        form,
        f"{ours['rows of the delta']:,}, {ours['cleared']:,}",
    )
    assert ours["rows of the delta"] < ROWS * 0.06
