"""The version of leadscore that runs, down to the commit."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMIT_FILE = "pipelines/commit.txt"
COMMIT_VARIABLE = "LEADSCORE_COMMIT"
# What follows the commit of a checkout in which a tracked file was changed.
DIRTY = ".dirty"
# Git answers in some 20 ms; a file system that hangs must not hold up a run.
GIT_TIMEOUT_SECONDS = 5.0


@cache
def find_code_version() -> str:
    """Return the version with its commit, such as ``0.1.0+gabc1234``; plain where none is known.

    In a checkout the commit is Git's, followed by ``.dirty`` if a tracked file was changed. An
    installed package names the commit that it was built from.
    """
    commit = describe_commit(ROOT) or read_commit_file(ROOT)
    return version("leadscore") + (f"+g{commit}" if commit else "")


@cache
def find_commit() -> tuple[str, bool]:
    """Return the commit that runs, in full where it is known, and whether a file was changed.

    The commit is empty where none is known.
    """
    commit = describe_commit(ROOT, digits=40) or read_commit_file(ROOT)
    return commit.removesuffix(DIRTY), commit.endswith(DIRTY)


def describe_commit(root: Path, digits: int = 7) -> str:
    """Return the commit of the checkout at ``root`` in at least so many digits.

    It is empty where there is no checkout or no Git.
    """
    # A folder inside somebody else's repository must not take that repository's commit.
    if not (root / ".git").exists():
        return ""
    # Git's own variables, which a hook sets, could point to another repository; optional locks
    # could keep a person's git command from its index.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "describe", "--always", "--exclude=*"]
    command += [f"--abbrev={digits}", f"--dirty={DIRTY}"]
    try:
        answer = subprocess.run(
            command,
            cwd=root,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def read_commit_file(root: Path) -> str:
    """Return the commit that a build wrote; empty where none did."""
    try:
        return (root / COMMIT_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def write_commit_file(root: Path) -> None:
    """Write the commit of a build: that of the checkout, or the one that LEADSCORE_COMMIT names.

    Without either, as in a source distribution, a file that stands there already is kept.
    """
    commit = describe_commit(root) or os.environ.get(COMMIT_VARIABLE, "").strip()[:40]
    if commit:
        (root / COMMIT_FILE).write_text(commit + "\n", encoding="utf-8")
