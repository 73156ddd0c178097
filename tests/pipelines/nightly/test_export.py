"""What a killed run left is delivered by the next, but never before it is known who objects."""

import pytest

from configs.schema import load_project
from pipelines.nightly.context import NightContext
from pipelines.nightly.recovery import finish_killed_runs
from pipelines.runner import Runner
from pipelines.workspace import open_store
from tests.pipelines import tiny
from tests.serve.samples import MONDAY, a_run, publish, some_scores


@pytest.mark.parametrize("objects", [False, True])
def test_leftover_export_waits_where_leads_may_be_suppressed(tmp_path, monkeypatch, objects):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    changes = (
        {"privacy": {"suppress_where": {"column": "country", "equals": "DE"}}} if objects else {}
    )
    if objects:
        changes["sources"] = tiny.CONFIG["sources"] | {
            "leads": tiny.CONFIG["sources"]["leads"] | {"attributes": ["size"]}
        }
    project = load_project(tiny.write(tmp_path, leads=3, **changes))
    store, run, said = open_store(project), a_run("r1", MONDAY, ("buy",), "tiny"), []
    publish(store, run, some_scores(run))
    finish_killed_runs(NightContext(project, store, None, Runner(log=said.append)))
    assert (project.workspace_path / "exports" / "current" / "scores.csv").exists() != objects
    assert bool(said) != objects
