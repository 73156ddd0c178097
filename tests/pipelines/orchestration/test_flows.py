"""Runs through Prefect and direct runs give equal scores, and name their flow run."""

import json
import logging
import os
import sqlite3
import subprocess
import sys

import pytest

from configs.errors import DataError
from tests.faults.company import QUICK
from tests.pipelines import tiny

pytestmark = pytest.mark.server


# Runs commands in one process, which imports the libraries once, and prints their exit codes.
COMMANDS = """
import json, sys
from pipelines.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        print("exit code", end.code, file=sys.stderr)
"""


def leadscore(folder, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", QUICK, *arguments, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def nights(tmp_path_factory, prefect_server):
    """Train and score one company twice, directly and through a Prefect server.

    With few trees and one fold: whether runs are equal does not depend on their number.
    """
    direct, flow = tmp_path_factory.mktemp("direct"), tmp_path_factory.mktemp("flow")
    for folder in (direct, flow):
        tiny.write(folder, **tiny.LITTLE)
    runs = {
        "direct": (
            direct,
            [
                leadscore(direct, c, "company.yaml", "--as-of", tiny.END, "--direct")
                for c in ("train", "score")
            ],
        )
    }
    found = [
        leadscore(flow, c, "company.yaml", "--as-of", tiny.END, **prefect_server)
        for c in ("train", "score")
    ]
    return runs | {"prefect": (flow, found)}


def test_runners_give_the_same_metrics_and_the_same_file(nights):
    (direct, (trained, _)), (flow, (flow_trained, _)) = nights["direct"], nights["prefect"]
    assert _drop_places(trained) == _drop_places(flow_trained)
    files = [
        (folder / "workspace/exports/current/scores.csv").read_bytes() for folder in (direct, flow)
    ]
    assert files[0] == files[1]


def _drop_places(trained):
    """Return the result of a training without the names of its MLflow run and of its report."""
    names = {"mlflow_run_id", "report"}
    return {
        target: {key: value for key, value in result.items() if key not in names}
        for target, result in trained["targets"].items()
    }


def test_ledger_and_mlflow_name_the_flow_run(nights):
    for driver, (folder, _) in nights.items():
        with sqlite3.connect(folder / "workspace/scores.db") as db:
            found = db.execute("select driver, flow_run_id from score_runs").fetchall()
        assert [row[0] for row in found] == [driver]
        assert (found[0][1] is None) == (driver == "direct")
    from models.registry.registry import Registry

    started = {}
    for driver, (folder, _) in nights.items():
        registry = Registry(folder / "workspace", "tiny")
        version = registry.champion("buy")
        assert version.tags["driver"] == driver
        assert ("prefect.flow_run_id" in version.tags) == (driver == "prefect")
        run = registry._client.get_run(version.run_id)
        assert run.info.status == "FINISHED" and run.data.tags["driver"] == driver
        source = (run.data.tags[f"mlflow.source.{name}"] for name in ("type", "name"))
        started[driver] = " ".join(source)
    assert started == {
        "direct": "LOCAL leadscore train company.yaml",
        "prefect": "JOB leadscore-train",
    }


@pytest.mark.usefixtures("nights")
def test_server_shows_flows_tasks_and_a_summary(prefect_server):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    address = {PREFECT_API_URL: prefect_server["PREFECT_API_URL"]}
    with temporary_settings(address), get_client(sync_client=True) as client:
        flows = {flow.name for flow in client.read_flows()}
        tasks = {run.name.rsplit("-", 1)[0] for run in client.read_task_runs()}
        artifacts = {artifact.key for artifact in client.read_artifacts()}
    assert {"leadscore-train", "leadscore-score"} <= flows
    assert {
        "load_snapshot",
        "load_audited_rows",
        "train_challenger",
        "register_challenger",
        "score_targets",
        "publish_scores",
        "export_newest_scores",
    } <= tasks
    assert {"leadscore-training", "leadscore-scores"} <= artifacts


@pytest.mark.parametrize("driver", ["--direct", "--prefect"])
def test_failure_is_printed_in_two_lines_without_a_traceback(tmp_path, prefect_server, driver):
    """In a step, before the first, and in a step's caller: the exit code is the failure's."""
    tiny.write(tmp_path, leads=60)
    failures = (
        (["score", "company.yaml", "--as-of", tiny.END], 5, "no target has a champion"),
        (["score", "company.yaml", "--as-of", "2900-01-01"], 2, "this as-of is in the future"),
        (["train", "company.yaml", "--as-of", "1990-01-01"], 3, "no data was known at this as-of"),
    )
    commands = [[*arguments, driver] for arguments, _, _ in failures]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **prefect_server},
    )
    assert "Traceback" not in done.stderr + done.stdout
    rest = done.stderr
    for _, code, said in failures:
        printed, end, rest = rest.partition(f"exit code {code}\n")
        assert end and said in printed and "fix:" in printed, done.stderr
        assert "exit code" not in printed, done.stderr


@pytest.mark.parametrize(
    ("error", "kept"),
    [(DataError("gone", where="leads.csv"), False), (KeyError("a bug"), True), (None, False)],
)
def test_traceback_of_a_prefect_line_is_kept_only_for_a_bug(caplog, error, kept):
    import pipelines.orchestration.flows  # noqa: F401 - it is what quietens them

    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(caplog.handler)
    try:
        logger.error("it ended", exc_info=error or True)
    finally:
        logger.removeHandler(caplog.handler)
    assert [bool(record.exc_info) for record in caplog.records][-1] is kept
