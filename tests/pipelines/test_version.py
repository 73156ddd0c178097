"""The version names the commit wherever one is known, and is the plain one elsewhere."""

import subprocess
from importlib.metadata import version

import pytest

from pipelines import version as version_module
from pipelines.version import (
    COMMIT_FILE,
    describe_commit,
    find_code_version,
    read_commit_file,
    write_commit_file,
)


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """Return a repository with one commit, a tag, and a folder for the commit file."""
    git(tmp_path, "init", "-q")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    git(tmp_path, "tag", "v9.9.9")
    return tmp_path


def test_commit_of_a_clean_checkout_is_its_head_whatever_the_tags(checkout):
    assert describe_commit(checkout) == git(checkout, "rev-parse", "--short=7", "HEAD")
    assert describe_commit(checkout, digits=40) == git(checkout, "rev-parse", "HEAD")


def test_commit_of_a_modified_checkout_is_marked_dirty(checkout):
    (checkout / "notes.txt").write_text("untracked files are no change of the code")
    clean = describe_commit(checkout)
    (checkout / "pipelines" / "code.py").write_text("x = 2\n")
    assert describe_commit(checkout) == f"{clean}.dirty"


def test_commits_that_differ_give_versions_that_differ(checkout, monkeypatch):
    monkeypatch.setattr(version_module, "ROOT", checkout)
    first = find_code_version.__wrapped__()
    (checkout / "pipelines" / "code.py").write_text("x = 2\n")
    git(checkout, "commit", "-qam", "second")
    second = find_code_version.__wrapped__()
    assert first != second
    assert first.startswith(f"{version('leadscore')}+g")


def test_commit_is_unknown_inside_another_repository(checkout):
    installed = checkout / "venv"
    installed.mkdir()
    assert describe_commit(installed) == ""


def test_commit_ignores_the_variables_of_a_git_hook(checkout, monkeypatch):
    expected = describe_commit(checkout)
    monkeypatch.setenv("GIT_DIR", str(checkout / "elsewhere"))
    assert describe_commit(checkout) == expected


def test_version_is_plain_without_git_and_without_a_build(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout / "nothing-here"))
    monkeypatch.setattr(version_module, "ROOT", checkout)
    assert find_code_version.__wrapped__() == version("leadscore")


def test_version_of_a_repository_without_commits_is_plain(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(version_module, "ROOT", tmp_path)
    assert find_code_version.__wrapped__() == version("leadscore")


def test_build_keeps_the_commit_for_an_installation_without_git(checkout, tmp_path, monkeypatch):
    write_commit_file(checkout)
    commit = describe_commit(checkout)
    (checkout / ".git").rename(checkout / "git-is-gone")
    write_commit_file(checkout)  # as a wheel that is built from a source distribution
    assert read_commit_file(checkout) == commit
    monkeypatch.setattr(version_module, "ROOT", checkout)
    assert find_code_version.__wrapped__() == f"{version('leadscore')}+g{commit}"


def test_build_takes_the_commit_from_the_environment_where_there_is_no_checkout(
    tmp_path, monkeypatch
):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("LEADSCORE_COMMIT", "abc1234")
    write_commit_file(tmp_path)
    assert (tmp_path / COMMIT_FILE).read_text() == "abc1234\n"


def test_version_is_found_once_a_process():
    assert find_code_version() is find_code_version()
