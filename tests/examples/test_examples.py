"""The examples run as their page says, each on what the one before it left."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_example(name, folder):
    command = [sys.executable, str(ROOT / "examples" / name), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_examples_run_in_order(tmp_path):
    output = run_example("csv_to_export.py", tmp_path)
    assert "buy: ROC AUC 0." in output
    assert (tmp_path / "workspace" / "exports" / "current" / "scores.csv").exists()
    output = run_example("feature_matrix.py", tmp_path)
    assert "leads in November" in output
    lines = run_example("read_scores.py", tmp_path).splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("{'A':")
