"""The page among the files of an export: it is of the same scores, or there is none."""

import json

import pytest

from configs.errors import StateError
from serve.export.export import write_export
from tests.serve.export.test_export import complete, page_of
from tests.serve.samples import TUESDAY, a_run, some_scores


class PanicError(BaseException):
    """What a library written in Rust raises."""


def build_after(error):
    def build():
        raise error

    return build


def test_page_is_among_the_files(tmp_path):
    run = a_run()
    written = write_export(some_scores(run), tmp_path, run, "jsonl", build_page=page_of(run))
    assert written.page == tmp_path / "exports" / "current" / "index.html"
    assert written.page_problem is None
    manifest = complete(tmp_path)
    assert set(manifest["files"]) == {"scores.csv", "scores.jsonl", "index.html"}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (KeyError("ann@example.com"), "KeyError in write_page (serve/export/page_file.py:"),
        (MemoryError(), "MemoryError in write_page"),
        (PanicError("ann@example.com"), "PanicError in write_page"),
        (StateError("a report is damaged", found="ann@example.com"), "a report is damaged"),
        (OSError(28, "No space left on device", "/tmp/ann"), "No space left on device"),
    ],
)
def test_failed_page_keeps_no_scores_back_and_no_old_page(tmp_path, error, problem):
    old, new = a_run("old"), a_run("new", TUESDAY)
    write_export(some_scores(old), tmp_path, old, build_page=page_of(old))
    written = write_export(some_scores(new), tmp_path, new, build_page=build_after(error))
    assert written.file.is_file() and written.page is None
    assert problem in written.page_problem and "ann" not in written.page_problem
    manifest = complete(tmp_path)
    assert (manifest["run_id"], manifest["page_problem"]) == ("new", written.page_problem)
    assert not (tmp_path / "exports" / "current" / "index.html").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_stopped_run_leaves_the_former_export(tmp_path, stop):
    old, new = a_run("old"), a_run("new", TUESDAY)
    write_export(some_scores(old), tmp_path, old, build_page=page_of(old))
    with pytest.raises(stop):
        write_export(some_scores(new), tmp_path, new, build_page=build_after(stop()))
    assert complete(tmp_path)["run_id"] == "old"


def test_problem_names_our_line_and_is_one_line(tmp_path):
    run = a_run()

    def build():
        return json.loads("ann@example.com")

    problem = write_export(some_scores(run), tmp_path, run, build_page=build).page_problem
    assert "\n" not in problem and "JSONDecodeError in write_page" in problem
