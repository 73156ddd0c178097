"""A dry run says what a night would publish, and leaves everything as it was."""

import hashlib
import os
import shutil
import tempfile

import pytest

from configs.errors import ConfigError, NotFitToPublish, WorkspaceBusy
from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.nightly.preview import rehearse_night
from pipelines.runner import Runner
from serve.lock import lock_workspace

EARLIER, NIGHT = "2024-12-23", "2024-12-30"


@pytest.fixture(scope="module")
def published(guarded_company, tmp_path_factory):
    """Return the folder of a company with a champion and one published night."""
    folder = tmp_path_factory.mktemp("dry") / "company"
    shutil.copytree(guarded_company, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        score_night(load_project("company.yaml"), EARLIER, Runner())
    return folder


@pytest.fixture
def company(published, tmp_path, monkeypatch):
    """Work in a copy of the published company; temporary files lie beside it."""
    shutil.copytree(published, tmp_path / "company", symlinks=True)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path / "company")
    return tmp_path / "company"


def rehearse(as_of=NIGHT, form="csv"):
    return rehearse_night(load_project("company.yaml"), as_of, Runner(), form)


def hash_files(folder):
    """Return the bytes, targets and times of everything in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): (
            str(path.readlink())
            if path.is_symlink()
            else (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            if path.is_file()
            else "folder"
        )
        for path in sorted(folder.rglob("*"))
    }


def test_dry_run_promises_the_night_that_follows(company):
    before = hash_files(company)
    first, again = rehearse(), rehearse()
    assert hash_files(company) == before
    assert not list((company.parent / "temporary").iterdir())
    assert first == again
    assert (first.becomes_current, first.deliveries) == (True, ())
    night = score_night(load_project("company.yaml"), NIGHT, Runner()).published
    assert (first.as_of, first.rows, first.accounts) == (night.as_of, night.rows, night.accounts)
    # The differences are those of the tables.
    change, scores = first.changes["buy"], night.scores.to_pylist()
    assert change.new == sum(row["previous_score"] is None for row in scores)
    assert first.rows["buy"] == change.published + change.new - change.gone
    # Once more: the night is published, and nothing would change.
    same = rehearse()
    assert same.current_as_of == same.as_of
    assert same.changes["buy"].to_json() == {
        "published": first.rows["buy"],
        "new": 0,
        "gone": 0,
        "grades": [],
    }


def test_grade_changes_are_counted(company):
    result = rehearse()
    project = load_project("company.yaml")
    from pipelines.workspace import open_store

    old = dict(
        zip(
            *open_store(project)
            .scores("tiny", result.current_as_of, columns=("entity_id", "grade"))
            .to_pydict()
            .values(),
            strict=True,
        )
    )
    new = score_night(project, NIGHT, Runner()).published.scores.to_pylist()
    moved = [
        row for row in new if row["entity_id"] in old and old[row["entity_id"]] != row["grade"]
    ]
    assert sum(result.changes["buy"].grades.values()) == len(moved)


def test_dry_run_of_an_older_night_keeps_the_file(company):
    assert rehearse("2024-12-16").becomes_current is False


def test_dry_run_goes_on_beside_a_night(company):
    with lock_workspace(company / "workspace"):
        assert rehearse().rows["buy"]
        with pytest.raises(WorkspaceBusy):
            score_night(load_project("company.yaml"), NIGHT, Runner())


def test_dry_run_is_refused_as_the_night_is(company):
    (company / "workspace/project.txt").write_text("other", encoding="utf-8")
    with pytest.raises(ConfigError, match="belongs to another project"):
        rehearse()
    (company / "workspace/project.txt").write_text("tiny", encoding="utf-8")
    text = (company / "events.csv").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    (company / "events.csv").write_text("".join(lines[: len(lines) // 3]), encoding="utf-8")
    before = hash_files(company)
    failures = []
    for run in (rehearse_night, score_night):
        with pytest.raises(NotFitToPublish) as refused:
            run(load_project("company.yaml"), NIGHT, Runner(), "csv")
        failures.append(str(refused.value))
        if run is rehearse_night:
            assert hash_files(company) == before
    assert failures[0] == failures[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_dry_run_needs_no_right_to_write(company):
    for path in [company, *company.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert rehearse().rows["buy"]
    finally:
        for path in [company, *company.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


def test_dry_run_before_the_first_night_creates_nothing(company):
    shutil.rmtree(company / "workspace")
    with pytest.raises(NotFitToPublish, match="no target has a champion"):
        rehearse()
    assert not (company / "workspace").exists()


def test_forms_are_refused_before_anything_is_read(company):
    with pytest.raises(ConfigError, match="xls"):
        rehearse(form="xls")
