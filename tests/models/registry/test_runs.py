"""The MLflow run of a training: who, when, on which data, and how it ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from configs.errors import DataError
from models.registry import runs
from models.registry.records import RunStart, TrainingData, TrainingRecord
from models.registry.registry import Registry

START = RunStart(
    {"mlflow.user": "ada", "mlflow.source.type": "LOCAL", "prefect.flow_run_id": None},
    TrainingData(
        "demo",
        "0123456789abcdef",
        {"leads": "leads.csv"},
        (("leads.country", "string"), ("leads.created_at", "datetime")),
        {"leads": 12},
    ),
)
# A training that logs its model half, and then waits for its death.
TRAINING = """
import os, sys, time
from pathlib import Path
from models.registry.registry import Registry
from models.registry.records import RunStart
registry = Registry(Path(sys.argv[1]), "demo")
with registry.open_run("close", RunStart()) as run_id:
    registry._client.create_logged_model(registry._experiment_id, source_run_id=run_id)
    print(run_id, flush=True)
    time.sleep(100)
"""


@pytest.fixture
def workspace(opened, tmp_path):
    """Return a workspace with an empty registry."""
    root = tmp_path / "workspace"
    root.mkdir()
    shutil.copy(opened[0] / "workspace" / "mlflow.db", root)
    return root


@pytest.fixture
def registry(workspace, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Registry(workspace, "demo")


@pytest.fixture
def record(tmp_path):
    scorer = tmp_path / "scorer"
    scorer.mkdir()
    (scorer / "model.txt").write_text("tree")
    return TrainingRecord(scorer, metrics={"roc_auc": 0.75}, tags={"gate": "passed"})


def read_run(registry, run_id):
    return registry._client.get_run(run_id)


def test_run_starts_before_the_work_and_ends_with_it(registry, record):
    before = time.time() * 1000
    with registry.open_run("close", START) as run_id:
        assert read_run(registry, run_id).info.status == "RUNNING"
        time.sleep(0.05)
        worked = time.time() * 1000
        version = registry.log_training("close", record, run_id)
    run = read_run(registry, run_id)
    assert version.run_id == run_id and run.info.status == "FINISHED"
    assert before - 1 <= run.info.start_time < worked - 40
    assert run.info.end_time >= worked - 1
    assert run.data.metrics == {"roc_auc": 0.75} and run.data.tags["gate"] == "passed"
    assert run.data.tags["mlflow.user"] == run.info.user_id == "ada"
    assert run.info.run_name == "close" and "prefect.flow_run_id" not in run.data.tags
    # A version says what its model is, and not who ran what.
    assert version.tags["gate"] == "passed"
    assert not [name for name in version.tags if name.startswith(("mlflow.", "leadscore."))]


def test_run_names_its_data_for_mlflow(registry):
    from mlflow.data import get_source

    with registry.open_run("close", START) as run_id:
        pass
    (given,) = read_run(registry, run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("demo", "0123456789abcdef")
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
    assert json.loads(given.dataset.profile) == {"leads": 12}
    schema = json.loads(given.dataset.schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in schema] == list(START.data.columns)
    from mlflow.types import Schema

    assert Schema.from_json(json.dumps(schema)).input_names() == [n for n, _ in START.data.columns]
    assert get_source(given).to_dict() == {"tags": {"leads": "leads.csv"}}


def test_run_without_a_version_is_finished_too(registry):
    with registry.open_run("close", RunStart()) as run_id:
        pass
    assert read_run(registry, run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("no row is mature yet", where="target close"), "FAILED", "no row is mature"),
        (ValueError("Ada Lovelace, ada@example.com"), "FAILED", "ValueError"),
        (MemoryError(), "FAILED", "MemoryError"),
        (KeyboardInterrupt(), "KILLED", "stopped"),
        (SystemExit(143), "KILLED", "stopped"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_run_that_does_not_finish_says_how_it_ended(registry, error, status, said):
    with pytest.raises(type(error)), registry.open_run("close", RunStart()) as run_id:
        raise error
    run = read_run(registry, run_id)
    assert run.info.status == status and run.info.end_time
    note = run.data.tags["mlflow.note.content"]
    assert said in note and "ada@" not in note


def test_secret_of_an_error_is_not_in_the_note(registry, monkeypatch):
    monkeypatch.setenv("SOURCE_PASSWORD", "hunter2hunter2")
    error = DataError("cannot read", where="postgresql://u:hunter2hunter2@db/z")
    with pytest.raises(DataError), registry.open_run("close", RunStart()) as run_id:
        raise error
    note = read_run(registry, run_id).data.tags["mlflow.note.content"]
    assert "cannot read" in note and "hunter2" not in note


def test_error_after_the_version_leaves_the_run_finished(registry, record):
    with pytest.raises(DataError), registry.open_run("close", RunStart()) as run_id:
        registry.log_training("close", record, run_id)
        raise DataError("cannot promote")
    assert read_run(registry, run_id).info.status == "FINISHED"


def test_error_of_a_registry_that_is_gone_hides_no_error(registry, monkeypatch):
    def fail(*_):
        raise OSError("no answer")

    with pytest.raises(DataError, match="first"), registry.open_run("close", RunStart()):
        monkeypatch.setattr(runs, "_end_run", fail)
        raise DataError("first")


def start_training(workspace):
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(workspace)],
        stdout=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
    )
    return process, process.stdout.readline().strip()


def test_killed_training_is_ended_by_the_next_one(registry, workspace, record):
    process, killed = start_training(workspace)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    client = registry._client
    # Nobody could end it; and another person's run, or another workspace's, is not ours to end.
    foreign = client.create_run(registry._experiment_id, tags={"mlflow.user": "bob"})
    other = client.create_run(registry._experiment_id, tags={runs.WORKSPACE_TAG: "other"})
    assert read_run(registry, killed).info.status == "RUNNING"
    with registry.open_run("close", START) as run_id:
        registry.log_training("close", record, run_id)
    run = read_run(registry, killed)
    assert run.info.status == "KILLED" and run.info.end_time
    assert "without a result" in run.data.tags["mlflow.note.content"]
    stored = client.search_logged_models(
        [registry._experiment_id], filter_string=f"source_run_id = '{killed}'"
    )
    assert [model.status.name for model in stored] == ["FAILED"]
    for left in (foreign, other):
        assert read_run(registry, left.info.run_id).info.status == "RUNNING"
        client.set_terminated(left.info.run_id)


def test_workspaces_on_one_server_have_different_marks(tmp_path, monkeypatch):
    own = [Registry(tmp_path / name, "demo")._workspace_mark for name in "ab"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    shared = [Registry(tmp_path / name, "demo")._workspace_mark for name in "ab"]
    assert own == ["own", "own"] and len({*own, *shared}) == 3
    assert not [mark for mark in shared if str(tmp_path) in mark]
