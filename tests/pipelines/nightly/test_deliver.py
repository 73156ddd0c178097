"""What a killed run left is delivered by the next, but never before it is known who objects."""

import pytest

from configs.schema import load
from pipelines.nightly.deliver import tidy
from pipelines.runner import Driver
from pipelines.workspace import store_of
from tests.pipelines import tiny
from tests.serve.samples import MONDAY, a_run, publish, some_scores


@pytest.mark.parametrize("objects", [False, True])
def test_what_was_left_over_waits_where_somebody_may_object(tmp_path, monkeypatch, objects):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    changes = (
        {"privacy": {"suppress_where": {"column": "country", "equals": "DE"}}} if objects else {}
    )
    if objects:
        changes["sources"] = tiny.CONFIG["sources"] | {
            "leads": tiny.CONFIG["sources"]["leads"] | {"attributes": ["size"]}
        }
    project = load(tiny.write(tmp_path, leads=3, **changes))
    store, run, said = store_of(project), a_run("r1", MONDAY, ("buy",), "tiny"), []
    publish(store, run, some_scores(run))
    tidy(store, project, Driver(note=said.append))
    assert (project.root / "exports" / "current" / "scores.csv").exists() != objects
    assert bool(said) != objects
