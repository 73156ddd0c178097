"""What helps against an error of the operating system."""

from __future__ import annotations

import errno

SPACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PERMISSION_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS}
# A directory, file or link lies where another kind is expected.
KIND_ERRORS = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP}


def suggest_os_fix(error: OSError) -> str:
    """Return the fix for an error while a file of the workspace is read or written."""
    if error.errno in SPACE_ERRORS:
        return "free disk space"
    if error.errno in PERMISSION_ERRORS:
        return "let the user that runs leadscore write there"
    if error.errno in KIND_ERRORS:
        return "something else lies at this path: move it away"
    return "check the disk, its free space and the permissions"
