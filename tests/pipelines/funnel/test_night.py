"""The funnel of a night: when there is none, and one that fails half-way."""

from types import SimpleNamespace

import pytest

from configs.schema import load_project
from pipelines.funnel import night
from pipelines.funnel.night import NightFunnel, compute_night_funnel
from pipelines.runner import read_clock
from pipelines.training_data import load_snapshot
from tests.pipelines import tiny
from tests.pipelines.funnel import company


def test_project_without_an_outcome_event_has_none_and_says_so(tmp_path, monkeypatch):
    outcome = {"column": "country", "equals": "DE", "mature_after": "30d"}
    target = {"outcome": outcome, "population": {"after": "created"}}
    tiny.write(tmp_path, leads=1, targets={"german": target})
    monkeypatch.chdir(tmp_path)
    # Without any data: a night must not even try.
    snapshot = SimpleNamespace(project=load_project("company.yaml"))
    assert compute_night_funnel(snapshot) == NightFunnel(reason="no target has an outcome event")


@pytest.mark.parametrize("step", ["build_history", "value_history", "summarize_funnel"])
def test_failure_keeps_what_was_built_before_it(step, tmp_path, monkeypatch):
    company.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    snapshot = load_snapshot(load_project("steps.yaml"), "2024-09-01", read_clock())

    def fail(*arguments):
        raise MemoryError("all of it, at lead L0001")

    monkeypatch.setattr(night, step, fail)
    funnel = compute_night_funnel(snapshot)
    assert funnel.problem.startswith("MemoryError in compute_night_funnel (pipelines/funnel/")
    assert funnel.result is None and "L0001" not in funnel.problem
    assert (funnel.leads is not None) == (step != "build_history")
    assert (funnel.valued is not None) == (step == "summarize_funnel")
