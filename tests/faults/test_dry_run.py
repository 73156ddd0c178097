"""Dry runs that are killed at any time leave a company as it was, ready for its night."""

import subprocess
import sys
import time
from collections import Counter

from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from tests.faults.company import FIRST, SECOND, copy_and_publish
from tests.faults.conftest import is_full_attack
from tests.pipelines.nightly.test_preview import hash_files

COMMAND = [sys.executable, "-m", "pipelines.cli", "score", "company.yaml", "--dry-run"]


def test_killed_dry_run_leaves_everything_as_it_was(trained, tmp_path, monkeypatch, record_attack):
    folder = copy_and_publish(trained, tmp_path / "company", FIRST)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before, outcomes = hash_files(folder), Counter()
    for seconds in (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6) if is_full_attack() else (2,):
        process = subprocess.Popen(
            [*COMMAND, "--as-of", SECOND], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.kill()
        outcomes["ended before" if process.wait() == 0 else "killed"] += 1
        outcomes["changed"] += hash_files(folder) != before
    night = score_night(load_project("company.yaml"), SECOND, Runner())
    record_attack("dry run killed at any time", outcomes)
    assert outcomes["killed"] and not outcomes["changed"]
    assert night.published.rows["buy"]
