"""Files that only their owner can read, and exports that one group can read too.

What a run creates is private by the umask. What earlier versions created, or a copy from a backup
loosened, is made private when the workspace is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Bits of the group and of others.
SHARED_BITS = 0o077
# What the group of the readers gets: to enter a folder, to list it, to read a file.
ENTER, ENTER_AND_LIST, READ = 0o010, 0o050, 0o040


@contextmanager
def create_private_files() -> Iterator[None]:
    """Create files of mode 0600 and folders of mode 0700 in the block.

    The umask belongs to the process, so this holds for its other threads too.
    """
    previous = os.umask(SHARED_BITS)
    # A umask that is stricter still stays so.
    os.umask(previous | SHARED_BITS)
    try:
        yield
    finally:
        os.umask(previous)


@dataclass
class AccessChanges:
    """What was changed in a workspace whose files had other modes or another group.

    Attributes:
        closed: Files and folders that others could read and no longer can.
        failed: Those whose mode could not be changed, with the reason.
    """

    closed: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, OSError]] = field(default_factory=list)


def set_workspace_access(
    root: Path, exports: Path, group: int | None, *, exports_only: bool = False
) -> AccessChanges:
    """Make a workspace private, and its exports readable for a group; return what was changed.

    Links are not followed. With a group, it can enter ``root`` but not list it. ``exports_only``
    leaves all but the exports as they are.
    """
    changes = AccessChanges()
    if not exports_only:
        _set_access(root, 0 if group is None else ENTER, group, changes)
        for path, _ in _list_tree(root, skip=exports):
            _set_access(path, 0, None, changes)
    if exports.is_dir() and not exports.is_symlink():
        for path, is_folder in [(exports, True), *_list_tree(exports)]:
            bits = 0 if group is None else ENTER_AND_LIST if is_folder else READ
            _set_access(path, bits, group, changes)
    return changes


def find_closed_parent(root: Path, group: int) -> Path | None:
    """Return the nearest folder above ``root`` that a group cannot enter, None if it can all.

    A folder with an access control list is taken as open: its mode does not say who may enter.
    """
    for folder in root.resolve().parents:
        status = folder.stat()
        may_enter = stat.S_IXGRP if status.st_gid == group else stat.S_IXOTH
        if not status.st_mode & may_enter and not _has_access_list(folder):
            return folder
    return None


def share_like(path: Path, model: Path) -> None:
    """Give a file, or a folder with all it contains, the group and group's rights of a folder.

    Call it before the path gets the name under which readers look for it. Of a link nothing is
    taken: where it leads is not set by the config. Raises OSError.
    """
    status = model.lstat()
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & stat.S_IRGRP:
        return
    changes = AccessChanges()
    for part, is_folder in [(path, path.is_dir()), *_list_tree(path)]:
        _set_access(part, ENTER_AND_LIST if is_folder else READ, status.st_gid, changes)
    for _, error in changes.failed:
        raise error


def _has_access_list(folder: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(folder)
    # Only Linux has this call, and not all of its file systems support it.
    except (AttributeError, OSError):
        return False


def _list_tree(folder: Path, skip: Path | None = None) -> Iterator[tuple[Path, bool]]:
    """Yield what a folder contains, at any depth, except links; with whether it is a folder."""
    if not folder.is_dir():
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        # Another user's folder: its own mode cannot be changed either, which is reported.
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or path == skip:
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        yield path, is_folder
        if is_folder:
            yield from _list_tree(path)


def _set_access(path: Path, bits: int, group: int | None, changes: AccessChanges) -> None:
    """Give others no rights, and the group exactly ``bits``; the owner's rights stay."""
    try:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        target_mode = mode & ~SHARED_BITS | bits
        if bits and group is not None and status.st_gid != group:
            # Closed first, or the group before would have the rights of the new one for a moment.
            path.chmod(mode & ~SHARED_BITS)
            os.chown(path, -1, group)
            path.chmod(target_mode)
        elif mode != target_mode:
            path.chmod(target_mode)
        if mode & SHARED_BITS & ~bits:
            changes.closed.append(path)
    except FileNotFoundError:
        # SQLite removes its own files at any time.
        return
    except OSError as error:
        changes.failed.append((path, error))
