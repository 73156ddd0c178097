"""A training that is stopped or killed is not shown as running for ever."""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from configs.schema import load_project
from models.registry.registry import Registry
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from tests.faults.commands import ENVIRONMENT
from tests.faults.company import QUICK
from tests.faults.conftest import is_full_attack
from tests.pipelines import tiny

TRAIN = [sys.executable, "-c", QUICK, "train", "company.yaml", "--direct", "--as-of", tiny.END]
# Seconds from the start of the run; the whole training takes about three.
DELAYS = (0.0, 0.3, 0.7, 1.0, 1.5, 2.0)
# At its small size only the signal that a process can act on: test_runs.py has the other one.
ENDS = (
    [(how, delay) for delay in DELAYS for how in (signal.SIGTERM, signal.SIGKILL)]
    if is_full_attack()
    else [(signal.SIGTERM, 0.3)]
)


@pytest.fixture
def registry(trained, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(trained, tmp_path / "company", symlinks=True)
    return Registry(tmp_path / "company" / "workspace", "tiny")


def list_runs(registry):
    return registry._client.search_runs([registry._experiment_id])


def end_training(registry, how, delay):
    """Start a training, end it by a signal once its run is shown, and return that run's status."""
    known = {run.info.run_id for run in list_runs(registry)}
    process = subprocess.Popen(
        TRAIN,
        cwd=registry.root.parent,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    new = None
    while new is None and process.poll() is None:
        time.sleep(0.02)
        new = next((r for r in list_runs(registry) if r.info.run_id not in known), None)
    assert new is not None, process.stderr.read()
    time.sleep(delay)
    process.send_signal(how)
    process.communicate()
    return process.returncode, registry._client.get_run(new.info.run_id).info


def test_ended_training_is_not_left_running(registry, record_attack, monkeypatch):
    outcomes, promoted, killed = Counter(), registry.champion("buy").number, []
    for how, delay in ENDS:
        code, run = end_training(registry, how, delay)
        outcomes[f"{how.name}: {run.status.lower()}"] += 1
        # A training that was done before the signal came is finished.
        expected = {signal.SIGTERM: "KILLED", signal.SIGKILL: "RUNNING"}[how]
        assert run.status in (expected, "FINISHED") and code in (143, -9, 0)
        killed += [run.run_id] * (run.status == "RUNNING")
    # The next training ends those that were killed, even if it fails at once.
    monkeypatch.chdir(registry.root.parent)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    (result,) = train_targets(load_project("company.yaml"), "2024-01-08", ["buy"], Runner())
    states = Counter(run.info.status for run in list_runs(registry))
    record_attack("training ended by a signal", outcomes | {"left running": states["RUNNING"]})
    assert result.error and states["RUNNING"] == 0 and states["FAILED"] == 1
    assert {registry._client.get_run(run_id).info.status for run_id in killed} <= {"KILLED"}
    # What was ended changes no champion that a finished training did not set.
    versions = {version.number: version.run_id for version in registry.versions("buy")}
    assert registry.champion("buy").number in versions and promoted in versions
