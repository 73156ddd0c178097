"""What MLflow shows of a training from its start, and how a training that fails ends there."""

import json
from dataclasses import replace

import pytest

from configs.schema import load_project
from models.registry.registry import Registry
from pipelines.reports.mlflow_run import describe_run_start, describe_training_data
from pipelines.runner import Runner, read_clock
from pipelines.training.train import train_targets
from pipelines.training_data import load_snapshot
from pipelines.version import find_code_version, find_commit
from tests.pipelines import tiny

SECRET = "hunter2hunter2"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("LEADSCORE_WORKSPACE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    tiny.write(tmp_path, leads=60, **tiny.LITTLE)
    return tmp_path


def snapshot():
    return load_snapshot(load_project("company.yaml"), tiny.END, read_clock())


def test_start_names_user_command_commit_and_data(folder):
    now = snapshot()
    start = describe_run_start(now, Runner())
    tags = start.tags
    assert tags["mlflow.source.name"] == "leadscore train company.yaml"
    assert (tags["mlflow.source.type"], tags["driver"]) == ("LOCAL", "direct")
    assert tags["mlflow.user"] and tags["code_version"] == find_code_version()
    commit, is_dirty = find_commit()
    assert tags["mlflow.source.git.commit"] == (commit or None)
    dirty = "true" if is_dirty else "false"
    assert tags["mlflow.source.git.dirty"] == (dirty if commit else None)
    assert tags["data_fingerprint"] == start.data.digest == now.dataset.fingerprint
    assert tags["as_of"] == now.as_of.isoformat() and tags["prefect.flow_run_id"] is None
    assert start.data.sources == {"leads": "leads.csv", "events_1": "events.csv"}
    kinds = dict(start.data.columns)
    assert kinds["leads.country"] == "string" and kinds["leads.size"] == "double"
    assert kinds["events.event_time"] == "datetime" and "values.value" not in kinds
    assert start.data.rows == {"leads": 60, "events": now.dataset.events.num_rows}


def test_run_of_a_flow_is_a_job(folder):
    tags = describe_run_start(snapshot(), Runner("prefect", "flow-1")).tags
    assert tags["mlflow.source.name"] == "leadscore-train"
    assert (tags["mlflow.source.type"], tags["prefect.flow_run_id"]) == ("JOB", "flow-1")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("s3://bucket/ada/leads.csv", "leads.csv"),
        (f"https://u:{SECRET}@host/leads.csv", "leads.csv"),
        (f"s3://bucket/leads.csv?token={SECRET}", "leads.csv"),
        (f"s3://bucket/leads.csv#{SECRET}", "leads.csv"),
        (f"/mnt/{SECRET}/leads/", "leads"),
        (f"/mnt/{SECRET}", "${PLACE}"),
    ],
)
def test_source_is_named_without_its_place(folder, monkeypatch, path, shown):
    monkeypatch.setenv("PLACE", f"/mnt/{SECRET}")
    text = (
        (folder / "company.yaml").read_text().replace("workspace: workspace", "workspace: ${PLACE}")
    )
    (folder / "company.yaml").write_text(text)
    now = snapshot()
    leads = now.project.sources.leads.model_copy(update={"path": path})
    sources = now.project.sources.model_copy(update={"leads": leads})
    # A copy keeps what the config knows of the environment.
    project = now.project.model_copy(update={"sources": sources})
    named = describe_training_data(replace(now, project=project)).sources["leads"]
    assert named == shown and SECRET not in named


def test_database_is_named_by_its_kind(folder, monkeypatch):
    from configs.source_rows import LeadRows

    rows = LeadRows.model_validate(
        {
            "database": f"postgresql://u:{SECRET}@host/z",
            "query": f"SELECT * FROM leads WHERE key = '{SECRET}'",
            "attributes": [],
        }
    )
    now = snapshot()
    sources = now.project.sources.model_copy(update={"leads": rows})
    project = now.project.model_copy(update={"sources": sources})
    named = describe_training_data(replace(now, project=project)).sources["leads"]
    assert named == "query on postgresql"


def test_data_holds_no_value_of_a_lead(folder):
    now = snapshot()
    data = json.dumps(
        [describe_training_data(now).__dict__[name] for name in ("name", "sources", "columns")]
    )
    for name in ("entity_id", "account_id", "country"):
        assert not [v for v in set(now.dataset.leads[name].to_pylist()) if f'"{v}"' in data]


def test_training_that_fails_leaves_a_failed_run_that_says_why(folder):
    (result,) = train_targets(load_project("company.yaml"), "2024-01-08", ["buy"], Runner())
    assert result.error is not None
    registry = Registry(folder / "workspace", "tiny")
    (run,) = registry._client.search_runs([registry._experiment_id])
    assert (run.info.status, run.info.run_name) == ("FAILED", "buy")
    assert str(result.error) in run.data.tags["mlflow.note.content"]
    assert run.inputs.dataset_inputs[0].dataset.name == "tiny"
    assert registry.versions("buy") == []
