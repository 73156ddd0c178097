"""The page of a published night, written on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from configs.errors import ConfigError
from configs.loading.workspace_place import REPORT_FOLDER
from configs.schema import Project
from features.tools.atomic_file import write_atomically
from features.tools.instants import format_iso
from pipelines.as_of import parse_as_of
from pipelines.page.gather import gather_page_data
from pipelines.page.lead_facts import read_lead_facts
from pipelines.runner import read_clock
from pipelines.workspace import find_published_run, open_store, open_workspace
from serve.export.page_file import PAGE_NAME
from serve.export.suppress import drop_suppressed, drop_suppressed_rows, read_shown_accounts
from serve.page.build import build_page
from serve.page.content.page_data import LeadFacts

PAGE_ENDINGS = (".html", ".htm")
# File systems take 255 bytes; the draft of an atomic write has a dot and a process id besides.
MAX_NAME_BYTES = 240


@dataclass(frozen=True)
class WrittenPage:
    """A page that was written on request.

    Attributes:
        path: Its file.
        as_of: The as-of of its scores, in UTC.
        leads: Number of leads that have a score.
        targets: Names of the scored targets.
        size: Size of the file in bytes.
    """

    path: Path
    as_of: datetime
    leads: int
    targets: list[str]
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "page": str(self.path),
            "as_of": format_iso(self.as_of),
            "leads": self.leads,
            "targets": self.targets,
            "bytes": self.size,
        }

    def describe(self) -> str:
        """Return in one line what the page shows."""
        return (
            f"{self.leads:,} leads, scored for {', '.join(self.targets)} as of "
            f"{self.as_of.isoformat()}; {self.size / 1e6:.1f} MB, one file that needs no network"
        )


def write_report(
    project: Project,
    as_of: str | None,
    log: Callable[[str], None],
    published: bool = False,
    out: Path | None = None,
) -> WrittenPage:
    """Write the page of the newest published as-of, or of the given one.

    With ``published`` the sources are not read, and the page shows no events of single leads. It is
    written to ``out``, by default into the workspace; its owner alone can read it.

    Raises ConfigError where nothing was published as of it and for an ``out`` that no page can
    have, and WorkspaceBusy.
    """
    if out:
        require_page_path(project, out)
    clock, store = read_clock(), open_store(project)
    run = find_published_run(store, project, parse_as_of(project, as_of, clock))
    log(f"reading the scores as of {run.as_of.isoformat()}")
    scores = drop_suppressed(project, store.scores(project.project, run.as_of))

    def find_facts(entities: Sequence[str]) -> LeadFacts | None:
        return None if published else read_lead_facts(project, entities, run.as_of, clock, log)

    tables = drop_suppressed_rows(project, store.night_tables(run))
    data = gather_page_data(
        project,
        store,
        run,
        find_facts,
        scores,
        tables=tables,
        accounts=read_shown_accounts(project, store, run, scores),
    )
    log("building the page")
    page = build_page(data)
    # Held only now: reading the sources takes minutes, in which a night may want to start.
    with open_workspace(project) as root:
        path = out or root / REPORT_FOLDER / PAGE_NAME
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, page.decode())
    leads = len(data.scores["entity_id"].unique())
    return WrittenPage(path, run.as_of, leads, data.targets, len(page))


def require_page_path(project: Project, path: Path) -> None:
    """Raise ConfigError for a path that no page can be written to, before any work is done."""
    exports = project.workspace_path / "exports"
    problem, fix = "", ""
    if path.suffix.lower() not in PAGE_ENDINGS:
        problem, fix = "a page is no such file", f"end the name in {PAGE_ENDINGS[0]}"
    elif not path.parent.is_dir():
        problem, fix = "no such folder", "create it first"
    # The draft has a longer name, and a system refuses even to look for one that is too long.
    elif len(os.fsencode(path.name)) > MAX_NAME_BYTES:
        problem, fix = "the name is too long", f"use at most {MAX_NAME_BYTES} bytes"
    elif path.is_dir():
        problem, fix = "there is a folder of this name", "name a file"
    # A folder of an export holds exactly what its manifest lists.
    elif path.parent.resolve().is_relative_to(exports.resolve()):
        problem, fix = "only a night writes into exports/", "name a file elsewhere"
    if problem:
        raise ConfigError(problem, where=f"--out {path}", fix=fix)
