"""The page of a published night, written on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from configs.schema import Project
from features.tools.atomic_file import write_atomically
from pipelines.as_of import parse_as_of
from pipelines.monitoring.monitor import REPORT_FOLDER
from pipelines.page.gather import gather_page_data
from pipelines.page.lead_facts import read_lead_facts
from pipelines.runner import read_clock
from pipelines.workspace import find_published_run, open_store, open_workspace
from serve.page.build import build_page
from serve.page.content.detailed_leads import list_detailed_entities

PAGE_NAME = "index.html"


def write_report(
    project: Project, as_of: str | None, log: Callable[[str], None], published: bool = False
) -> Path:
    """Write the page of the newest published as-of, or of the given one; return its file.

    With ``published`` the sources are not read, and the page shows no events of single leads.

    Raises ConfigError where nothing was published as of it, and WorkspaceBusy.
    """
    clock = read_clock()
    with open_workspace(project) as root:
        store = open_store(project)
        run = find_published_run(store, project, parse_as_of(project, as_of, clock))
        facts = None
        if not published:
            entities = list_detailed_entities(store.scores(project.project, run.as_of))
            facts = read_lead_facts(project, entities, run.as_of, clock, log)
        page = build_page(gather_page_data(project, store, run, facts))
        path = root / REPORT_FOLDER / PAGE_NAME
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, page.decode())
    return path
