"""Paths of files: an address of another machine is none, and may hold a secret."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from configs.addresses.parser import AddressError, suggest_scheme
from configs.addresses.redaction import redact_addresses
from configs.addresses.sources import SOURCE_SCHEMES

# One letter is the drive of a Windows path.
_SCHEME = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]+:/|jdbc:|[A-Za-z][A-Za-z0-9+.-]+://)")
# A user and a password, or one before a host with a port; also where the scheme has no colon.
_USER = re.compile(r":[^\n]*@|//[^\n]*@|@[\w.\[\]-]*:")


def check_local_path(path: str) -> None:
    """Raise AddressError for a path that is an address, or holds what looks like a secret."""
    if not (_SCHEME.match(path) or _USER.search(path) or redact_addresses(path) != path):
        return
    if suggest_scheme(path, tuple(SOURCE_SCHEMES)):
        fix = "give a database in `database`, with its `query`"
    elif path.strip().lower().startswith("file:"):
        fix = "write the path without file://"
    else:
        fix = "copy the files to this machine or an object store first, and name their path"
    raise AddressError(
        "path is a file, folder or glob, or begins with s3://, gs://, az:// or abfss://, and is "
        "no other address",
        fix,
    )


def place_path(path: str, folder: str) -> str:
    """Return the path of a file, folder or glob that a YAML in ``folder`` names.

    A relative path starts at that folder; "" is the current directory.
    """
    # Signs such as [ in the name of the folder belong to no pattern.
    placed = str(Path(glob.escape(folder) if glob.has_magic(path) else folder, path))
    short = os.path.normpath(placed)
    # Through a link `..` leads elsewhere than its text says.
    is_shorter = ".." in path and "\0" not in path
    is_same = is_shorter and os.path.realpath(short) == os.path.realpath(placed)
    return short if is_same else placed


def require_beside_yaml(written: str, placed: str, folder: str) -> None:
    """Raise AddressError for files that lie in the current directory, not where the YAML says.

    Up to version 0.1 relative paths started there. ``placed`` is the path ``written`` in the YAML
    of ``folder``.
    """
    # Two stars would walk through all folders below.
    if placed == written or "**" in written or _has_files(placed) or not _has_files(written):
        return
    # The path itself is not quoted: it may hold the value of a variable.
    raise AddressError(
        f"this path starts at the folder of the YAML, {Path(folder).absolute()}, where nothing has "
        f"its name, but something has in the current directory, {Path.cwd()}",
        f"begin the path with {os.path.relpath('.', folder)}/, or move the files",
    )


def _has_files(path: str) -> bool:
    try:
        return os.path.lexists(path) or any(glob.iglob(path))  # noqa: PTH207
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False
