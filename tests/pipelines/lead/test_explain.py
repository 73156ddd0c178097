"""What was published of one entity is told as it stands in the table."""

import pytest

from configs.schema import load_project
from pipelines.lead.explain import published
from pipelines.reports.lead_tables import explanation
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
def test_when_the_outcome_comes_is_told_in_whole_days_that_have_ended(project, days, by):
    publish(project, days, targets=("buy",))
    told = published(project, "a", None).when["buy"]
    assert told == (
        f"if it happens within 21 days, half of such cases have by day {by[0]}, eight of ten by day {by[1]} "
        "(counted from 2025-07-07)"
    )


def test_a_target_that_the_config_no_longer_has_keeps_its_sentence(project):
    publish(project, (3.0, 7.0), targets=("former",))
    assert "within its horizon, half" in published(project, "a", None).when["former"]


def test_a_grade_that_its_score_alone_does_not_give_is_said_to_be_kept(project):
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
        for part in explanation(published(project, "a", None), project.zone)
        if "·" in str(part)
    ]
    assert "score 95, grade A, evidence" in heads[0]
    kept = "kept from the night before: the score alone gives"
    assert f"score 66, grade B ({kept} C, which is too low since 2025-07-06), evidence" in heads[1]
    assert f"score 73, grade C ({kept} B), evidence" in heads[2]


def test_nothing_is_said_where_it_is_not_known_in_the_newest_night(project):
    publish(project, (3.0, 7.0), targets=("buy", "former"))
    publish(project, (None, None), run_id="r2", as_of=TUESDAY, targets=("buy",))
    found = published(project, "a", None)
    assert set(found.when) == {"former"} and len(found.newest) == 2 and len(found.history) == 3
