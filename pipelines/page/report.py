"""The page of a published night, written on request."""

from __future__ import annotations

from pathlib import Path

from configs.schema import Project
from features.tools.atomic_file import write_atomically
from pipelines.as_of import parse_as_of
from pipelines.monitoring.monitor import REPORT_FOLDER
from pipelines.page.gather import gather_page_data
from pipelines.runner import read_clock
from pipelines.workspace import find_published_run, open_store, open_workspace
from serve.page.build import build_page

PAGE_NAME = "index.html"


def write_report(project: Project, as_of: str | None) -> Path:
    """Write the page of the newest published as-of, or of the given one; return its file.

    Raises ConfigError where nothing was published as of it, and WorkspaceBusy.
    """
    with open_workspace(project) as root:
        store = open_store(project)
        run = find_published_run(store, project, parse_as_of(project, as_of, read_clock()))
        page = build_page(gather_page_data(project, store, run))
        path = root / REPORT_FOLDER / PAGE_NAME
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, page.decode())
    return path
