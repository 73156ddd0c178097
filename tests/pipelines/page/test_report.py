"""`report` reads the events of single leads, and does without where it must not or cannot."""

import pytest

from pipelines.page import report
from pipelines.workspace import open_store
from tests.serve.page.pages import make_project
from tests.serve.samples import MONDAY, a_run, publish, some_scores

LEADS = "id,created,industry\na,2025-07-01,shop\nb,2025-07-02,\n"
EVENTS = "id,at,type\na,2025-07-03T10:00:00,visit\na,2025-07-05T10:00:00,call\na,2025-07-09,late\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a page; it returns the log and the facts of the page."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = make_project(tmp_path, workspace=str(tmp_path / "workspace"))
    project.workspace_path.mkdir()
    run = a_run(targets=tuple(project.targets))
    publish(open_store(project), run, some_scores(run, ["a", "b"]))
    pages, log = [], []
    monkeypatch.setattr(report, "build_page", lambda data: pages.append(data) or b"page")

    def write(*, published=False):
        path = report.write_report(project, None, log.append, published).path
        assert path.read_text() == "page"
        return log, pages[-1].facts

    return write


def write_sources(folder):
    (folder / "leads.csv").write_text(LEADS)
    (folder / "events.csv").write_text(EVENTS)


def test_report_reads_what_was_known_before_the_as_of(written, tmp_path):
    write_sources(tmp_path)
    _, facts = written()
    assert facts.events == {"a": 2, "b": 0}
    assert facts.timeline["event_type"].to_pylist() == ["call", "visit"]
    assert all(time < MONDAY for time in facts.timeline["event_time"].to_pylist())
    assert facts.unknown == {"a": [], "b": ["industry"]}


def test_published_report_reads_no_source(written, tmp_path):
    write_sources(tmp_path)
    log, facts = written(published=True)
    assert facts is None
    assert not any("sources" in line for line in log)


def test_report_without_sources_is_written_and_says_so(written):
    log, facts = written()
    assert facts is None
    assert len(log) == 4, log
    assert log[2].startswith("warning: the page shows no events of single leads: ")
