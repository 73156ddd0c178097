"""Where a project's workspace lies: beside its YAML, or where an earlier version began it."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from configs.addresses.local_path import place_path
from configs.loading.yaml_file import expand_variables

WORKSPACE_VARIABLE = "LEADSCORE_WORKSPACE"
DEFAULT_WORKSPACE = "workspace"
OWNER_FILE, SCORES_FILE, REGISTRY_FILE = "project.txt", "scores.db", "mlflow.db"
# Reports for people, and the file of the realised outcomes among them.
REPORT_FOLDER, OUTCOMES_FILE = "reports", "outcomes.json"
# What a training or a night leaves; `check` alone leaves none of these.
RESULTS = (SCORES_FILE, REGISTRY_FILE, "exports")
LOG = logging.getLogger(__name__)


def find_config_folder(path: Path) -> str:
    """Return the folder at which a YAML's relative paths start, "" for the current directory.

    A link counts where it lies, since its target may be a version that another one replaces.
    """
    # What a shell hands over as /dev/fd/63 has no folder.
    return str(path.parent) if path.is_file() else ""


def read_environment() -> dict[str, str]:
    """Return the environment; relative folders of our own variables are the shell's."""
    own = ("LEADSCORE_DATA", WORKSPACE_VARIABLE)
    folders = {name: str(Path(os.environ[name]).absolute()) for name in own if os.environ.get(name)}
    return {**os.environ, **folders}


def place_workspace(
    raw: dict[str, Any], environment: dict[str, str], where: str, folder: str
) -> tuple[dict[str, Any], str]:
    """Return the values with the place of the workspace, and what ``${workspace}`` stands for.

    ``raw`` are the values of the YAML ``where``, which lies in ``folder``. Raises ConfigError for
    a variable that is not set.
    """
    written = raw.get("workspace", DEFAULT_WORKSPACE)
    if not isinstance(written, str):  # the schema reports it
        return raw, ""
    written = expand_variables(written, environment, where)
    if chosen := environment.get(WORKSPACE_VARIABLE):
        return raw, chosen
    place = _locate_workspace(written, folder, raw.get("project"))
    # In a relative path it gets the folder of the YAML like any other.
    reference = written if place == place_path(written, folder) else place
    return raw | {"workspace": place}, reference


def _locate_workspace(written: str, folder: str, project: object) -> str:
    """Return the path of a workspace that a YAML in ``folder`` names.

    Up to version 0.1 a relative workspace started at the current directory. One that holds this
    project's results there stays in use, with a warning, until there are results beside the YAML.
    """
    placed = place_path(written, folder)
    # `stat` raises ValueError for a NUL, which the schema reports.
    if placed == written or "\0" in placed or not _holds_results(Path(written), project):
        return placed
    fix = f"write `workspace: {os.path.relpath(written, folder)}` into the YAML, or move it"
    if not _holds_results(Path(placed), project):
        _warn_once(
            f"the workspace {Path(written).absolute()} is used, of the current directory; a "
            f"relative workspace starts at the folder of the YAML, {Path(folder).absolute()}: {fix}"
        )
        return str(Path(written).absolute())
    if not Path(placed).samefile(written):
        _warn_once(
            f"the workspace {Path(placed).absolute()} is used; {Path(written).absolute()}, of the "
            "current directory, holds results of this project too: remove one of them"
        )
    return placed


def _holds_results(workspace: Path, project: object) -> bool:
    """Return whether a workspace holds results, and is not that of another project."""
    try:
        if not any((workspace / name).exists() for name in RESULTS):
            return False
    except OSError:  # no folder that can be entered
        return False
    try:
        owner = (workspace / OWNER_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        owner = ""
    # Opening a workspace whose owner is damaged fails, while a new one would begin in silence.
    return owner in ("", str(project))


@cache
def _warn_once(text: str) -> None:
    # A command loads its YAML several times.
    LOG.warning("%s", text)
