"""Modes and groups of files: what is private, what is shared, and what is left alone."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve.private_files import (
    create_private_files,
    find_closed_parent,
    set_workspace_access,
    share_like,
)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def umask():
    """Set the ordinary umask 022 for the test."""
    previous = os.umask(0o022)
    yield
    os.umask(previous)


@pytest.fixture
def workspace(tmp_path, umask):
    root = tmp_path / "workspace"
    (root / "exports" / "one").mkdir(parents=True)
    (root / "exports" / "one" / "scores.csv").write_text("id\n")
    (root / "models").mkdir()
    (root / "models" / "run.sh").write_text("")
    (root / "models" / "run.sh").chmod(0o755)
    (tmp_path / "outside").write_text("")
    (root / "link").symlink_to(tmp_path / "outside")
    return root


def test_files_of_the_block_are_private(tmp_path, umask):
    with create_private_files():
        (tmp_path / "a").write_text("")
        (tmp_path / "b").mkdir()
    (tmp_path / "c").write_text("")
    assert [mode(tmp_path / name) for name in "abc"] == [0o600, 0o700, 0o644]


def test_stricter_umask_stays(tmp_path, umask):
    os.umask(0o277)
    with create_private_files():
        (tmp_path / "a").touch()
    assert mode(tmp_path / "a") == 0o400


def test_workspace_is_made_private_once(workspace):
    changes = set_workspace_access(workspace, workspace / "exports", None)
    assert not changes.failed
    assert len(changes.closed) == 6
    assert mode(workspace) == mode(workspace / "exports") == 0o700
    assert mode(workspace / "exports" / "one" / "scores.csv") == 0o600
    assert mode(workspace / "models" / "run.sh") == 0o700
    # A link may lead out of the workspace.
    assert mode(workspace.parent / "outside") == 0o644
    assert not set_workspace_access(workspace, workspace / "exports", None).closed


def test_group_enters_the_workspace_and_reads_the_exports(workspace):
    group = os.getegid()
    set_workspace_access(workspace, workspace / "exports", group)
    assert mode(workspace) == 0o710
    assert mode(workspace / "models") == 0o700
    assert mode(workspace / "exports") == mode(workspace / "exports" / "one") == 0o750
    assert mode(workspace / "exports" / "one" / "scores.csv") == 0o640
    # Without the key they are private again.
    set_workspace_access(workspace, workspace / "exports", None)
    assert mode(workspace) == mode(workspace / "exports" / "one") == 0o700


def test_new_export_is_shared_like_its_folder(workspace):
    exports = workspace / "exports"
    for group, expected in ((None, (0o700, 0o600)), (os.getegid(), (0o750, 0o640))):
        set_workspace_access(workspace, exports, group)
        new = exports / f"new-{group}"
        with create_private_files():
            new.mkdir()
            (new / "scores.csv").write_text("")
        share_like(new, exports)
        assert (mode(new), mode(new / "scores.csv")) == expected


def test_new_export_takes_nothing_from_where_a_link_leads(workspace, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    link = tmp_path / "linked"
    link.symlink_to(elsewhere)
    new = elsewhere / "new.csv"
    new.write_text("x", encoding="utf-8")
    new.chmod(0o600)
    share_like(new, link)
    assert new.stat().st_mode & 0o777 == 0o600


def test_foreign_file_is_reported_and_stops_nothing(workspace, monkeypatch):
    changed = type(workspace).chmod

    def refuse(path, *arguments, **named):
        if path.name == "run.sh":
            raise PermissionError(1, "Operation not permitted")
        changed(path, *arguments, **named)

    monkeypatch.setattr(type(workspace), "chmod", refuse)
    changes = set_workspace_access(workspace, workspace / "exports", None)
    assert [(path.name, error.errno) for path, error in changes.failed] == [("run.sh", 1)]
    assert mode(workspace / "exports" / "one" / "scores.csv") == 0o600


@pytest.mark.parametrize(
    ("bits", "other_group", "is_closed"),
    [(0o700, 0, True), (0o710, 0, False), (0o701, 1, False), (0o710, 1, True)],
)
def test_parent_that_a_group_cannot_enter_is_found(workspace, bits, other_group, is_closed):
    parent = workspace.parent
    parent.chmod(bits)
    # Folders above it are pytest's, and may be closed too.
    closed = find_closed_parent(workspace, parent.stat().st_gid + other_group)
    assert (closed == parent) is is_closed


def test_files_vanish_during_the_walk(workspace):
    """SQLite removes its own files while another process closes a database."""

    def churn(_):
        for number in range(200):
            path = workspace / f"scores.db-wal{number}"
            path.write_text("")
            path.unlink()

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(churn, None)
        while not busy.done():
            assert not set_workspace_access(workspace, workspace / "exports", None).failed
