"""The page of a night has the checks of its own run, and of no later one."""

from pipelines.page import report
from pipelines.workspace import open_store
from serve.checks.checks import CheckResult, build_check_table
from tests.serve.page.pages import make_project
from tests.serve.samples import DAY, MONDAY, a_run, publish, some_scores


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
