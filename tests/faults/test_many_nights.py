"""Many nights in one process, as a scheduler may run them, level off in memory, files, threads."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import is_full_attack

NIGHTS = 50
PROGRAM = f"""
import json, os, sys, threading
from datetime import date, timedelta
from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner

for night in range({NIGHTS}):
    as_of = date(2024, 11, 1) + timedelta(days=night)
    score_night(load_project("company.yaml"), as_of.isoformat(), Runner())
    pages = int(open("/proc/self/statm").read().split()[1])
    memory, files = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
    print(json.dumps([memory, files, threading.active_count()]), flush=True)
"""


@pytest.mark.skipif(not is_full_attack(), reason="a minute of nights: make attack runs them")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_many_nights_in_one_process_level_off(trained, tmp_path, record_attack):
    folder = tmp_path / "company"
    shutil.copytree(trained, folder, symlinks=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    used = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(used) == NIGHTS
    memory, files, threads = zip(*used, strict=True)
    middle, last = max(memory[10:30]), max(memory[30:])
    megabytes = [round(size / 2**20) for size in (memory[0], middle, last)]
    record_attack(
        f"many nights in one process, MB first {megabytes[0]}, middle {megabytes[1]}, "
        f"last {megabytes[2]}",
        {"published": NIGHTS},
    )
    # A leak of one night's data would add its megabytes twenty times.
    assert last - middle < 0.05 * middle, megabytes
    assert max(files[30:]) <= max(files[10:30]), files
    assert max(threads[30:]) <= max(threads[10:30]), threads
