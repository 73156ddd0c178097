"""What a page is built from: its own checks, targets of the config, a whole outcomes report."""

import dataclasses
from types import SimpleNamespace

import pytest

from configs.errors import StateError
from models.evaluation.gate import GATE_TAG, PASSED, REFUSED
from models.evaluation.record import write_evaluation
from models.registry.records import RegisteredVersion
from pipelines.page import report
from pipelines.page.gather import gather_page_data, read_models
from pipelines.workspace import open_store
from serve.checks.checks import CheckResult, build_check_table
from serve.page.build import build_page
from serve.store.store import Store
from tests.models.stored_evaluation import make_evaluation
from tests.serve.page.pages import CONFIG, make_project
from tests.serve.samples import DAY, LATER, MONDAY, a_run, publish, some_scores


def test_page_has_the_checks_of_its_own_run(tmp_path, monkeypatch):
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = make_project(tmp_path, workspace=str(tmp_path / "workspace"))
    project.workspace_path.mkdir()
    store = open_store(project)
    for night in range(3):
        run = a_run(f"r{night}", MONDAY + night * DAY, tuple(project.targets))
        result = CheckResult("freshness", "", "leads", night, None, None, "pass")
        checks = build_check_table([result], run.run_id, run.project, run.as_of)
        publish(store, run, some_scores(run), checks)
    pages = []
    monkeypatch.setattr(report, "build_page", lambda data: pages.append(data) or b"page")
    for as_of, nights in ((None, [0, 1, 2]), ((MONDAY + DAY).isoformat(), [0, 1])):
        report.write_report(project, as_of, lambda line: None, True)
        assert pages[-1].checks["observed"].to_pylist() == nights


def test_page_of_a_night_whose_target_was_renamed_shows_the_others_and_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("serve.page.build.bundle_chart_library", lambda workspace: "")
    project, store = make_project(tmp_path), Store(tmp_path / "scores.db")
    run = a_run(targets=tuple(project.targets))
    publish(store, run, some_scores(run, owner=["Ann"] * 6, listed=["pick"] * 6))
    renamed = {{"close": "won"}.get(name, name): keys for name, keys in CONFIG["targets"].items()}
    for targets, shown in ((renamed, 3), ({"won": renamed["won"]}, 0)):
        data = gather_page_data(make_project(tmp_path, targets=targets), store, run)
        assert data.scores.num_rows == shown
        assert "no longer has the target that this night scored, too: close" in str(
            build_page(data), "utf-8"
        )


def test_page_of_a_night_scored_again_for_one_target_has_both(tmp_path, monkeypatch):
    monkeypatch.setattr("serve.page.build.bundle_chart_library", lambda workspace: "")
    project, store = make_project(tmp_path), Store(tmp_path / "scores.db")
    first = a_run("r1", targets=("close", "opportunity"))
    publish(store, first, some_scores(first, owner=["Ann"] * 6, listed=["pick"] * 6))
    second = dataclasses.replace(a_run("r2", targets=("opportunity",)), models={"opportunity": "8"})
    store.start(second)
    store.publish(some_scores(second), "r2", LATER + DAY)
    last = store.last_published_run("acme", MONDAY)
    assert last.models == {"opportunity": "8"}
    data = gather_page_data(project, store, last)
    assert data.scores.num_rows == 6 and data.targets == ["close", "opportunity"]
    assert data.run.models == {"close": "7", "opportunity": "8"}
    assert "no longer has" not in str(build_page(data), "utf-8")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '"x"', '{"targets": null}', '{"targets": {"close": null}}',
     '{"targets": {"close": {"rows": {}}}}', "[" * 100_000],
)  # fmt: skip
def test_damaged_report_of_outcomes_is_named(tmp_path, text):
    project, store = make_project(tmp_path), Store(tmp_path / "scores.db")
    run = a_run(targets=tuple(project.targets))
    publish(store, run)
    folder = tmp_path / "workspace" / "reports"
    folder.mkdir(parents=True)
    (folder / "outcomes.json").write_text(text, "utf-8")
    with pytest.raises(StateError, match="damaged, and `leadscore outcomes` writes it again"):
        gather_page_data(project, store, run)


def test_failed_tests_of_the_newest_refused_versions_are_read(tmp_path):
    read, folder = [], tmp_path / "scorer"
    folder.mkdir()
    write_evaluation(folder, make_evaluation())

    def list_versions(target):
        refused, passed = {GATE_TAG: REFUSED}, {GATE_TAG: PASSED}
        places = {3: "s3://models/3", 8: "s3://models/8"}
        return [
            RegisteredVersion(
                target, number, "x", passed if number == 9 else refused, (),
                places.get(number, f"file:///models/{number}"),
            )
            for number in range(9, 0, -1)
        ]  # fmt: skip

    def find_scorer(version):
        read.append(version.number)
        # The files of one version are gone.
        return tmp_path / "gone" if version.number == 6 else folder

    registry = SimpleNamespace(versions=list_versions, scorer_directory=find_scorer)
    models = read_models(registry, dataclasses.replace(a_run(), models={"close": "9"}))
    assert models["evaluations"] == {"close": make_evaluation()}
    assert sorted(models["refusals"]["close"]) == ["2", "4", "5", "7"]
    assert sorted(read) == [2, 4, 5, 6, 7, 9]
