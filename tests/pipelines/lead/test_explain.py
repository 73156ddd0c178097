"""Explanations of one entity's published scores."""

import pytest

from configs.schema import load_project
from pipelines.lead.explain import read_published_scores
from pipelines.reports.terminal import render_explanation
from serve.store.store import Store
from tests.pipelines import tiny
from tests.serve.samples import DAY, LATER, MONDAY, TUESDAY, a_run, some_scores


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return load_project(tiny.write(tmp_path, leads=10))


def publish(project, days, **more):
    run = a_run(project=project.project, **more)
    store = Store(project.workspace_path / "scores.db")
    store.start(run)
    half, most = days
    rows = len(run.models)
    store.publish(
        some_scores(run, ids=["a"], outcome_days_50=[half] * rows, outcome_days_80=[most] * rows),
        run.run_id,
        LATER,
    )


@pytest.mark.parametrize(("days", "by"), [((0.2, 0.9), (1, 1)), ((3.0, 7.01), (3, 8))])
def test_outcome_timing_is_in_whole_elapsed_days(project, days, by):
    publish(project, days, targets=("buy",))
    told = read_published_scores(project, "a", None).outcome_timing["buy"]
    assert told == (
        f"if it happens within 21 days, half of such cases have by day {by[0]}, "
        f"eight of ten by day {by[1]} "
        "(counted from 2025-07-07)"
    )


def test_outcome_timing_of_a_removed_target_names_its_horizon(project):
    publish(project, (3.0, 7.0), targets=("former",))
    assert (
        "within its horizon, half"
        in read_published_scores(project, "a", None).outcome_timing["former"]
    )


def test_kept_grade_is_marked_in_the_explanation(project):
    run = a_run(project=project.project, targets=("buy", "early", "late"))
    store, grades = Store(project.workspace_path / "scores.db"), ["A", "B", "C"]
    store.start(run)
    since = [None, MONDAY - DAY, None]
    store.publish(
        some_scores(
            run,
            ids=["a"],
            score=[95, 66, 73],
            grade=grades,
            previous_grade=grades,
            falling_since=since,
        ),
        run.run_id,
        LATER,
    )
    heads = [
        str(part)
        for part in render_explanation(read_published_scores(project, "a", None), project.zone)
        if "·" in str(part)
    ]
    assert "score 95, grade A, evidence" in heads[0]
    kept = "kept from the night before: the score alone gives"
    assert f"score 66, grade B ({kept} C, which is too low since 2025-07-06), evidence" in heads[1]
    assert f"score 73, grade C ({kept} B), evidence" in heads[2]


def test_outcome_timing_unknown_on_newest_night_is_omitted(project):
    publish(project, (3.0, 7.0), targets=("buy", "former"))
    publish(project, (None, None), run_id="r2", as_of=TUESDAY, targets=("buy",))
    found = read_published_scores(project, "a", None)
    assert (
        set(found.outcome_timing) == {"former"}
        and len(found.newest) == 2
        and len(found.history) == 3
    )
