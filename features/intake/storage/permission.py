"""Files and folders that the process may not read: which one it is, and whose."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from configs.errors import DataError


def find_barrier(path: Path) -> Path | None:
    """Return the first folder on the way to a path that may not be entered, or None.

    A path that is a folder itself must be readable, too.
    """
    for folder in (*reversed(path.absolute().parents), path.absolute()):
        # A folder on the way has to be entered only; the last one has to be listed as well.
        required = os.X_OK if folder != path.absolute() else os.R_OK | os.X_OK
        # By the effective user, as opening a file does, where the system knows it.
        effective = os.access in os.supports_effective_ids
        if folder.is_dir() and not os.access(folder, required, effective_ids=effective):
            return folder
    return None


def make_permission_error(path: Path) -> DataError:
    """Return the error for a file or folder that may not be read, with its owner and mode."""
    barrier = find_barrier(path) or path
    kind = "folder" if barrier.is_dir() else "file"
    rights = "u+rx" if kind == "folder" else "u+r"
    return DataError(
        f"no permission to read the {kind}",
        where=str(barrier),
        found=_describe_owner(barrier),
        fix=f"let the user of this process read it, such as by chmod {rights} as its owner, or by "
        "a group",
    )


def _describe_owner(path: Path) -> str:
    user = os.geteuid()
    try:
        status = path.stat()
    except OSError:
        return f"this process is user {user}"
    owner = f"{status.st_uid}:{status.st_gid}"
    mode = stat.filemode(status.st_mode)
    return f"it belongs to {owner} with mode {mode}; this process is user {user}"
