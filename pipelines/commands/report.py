"""The command that writes the page of a night."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import (
    Config,
    Json,
    PublishedAsOf,
    print_json,
    print_line,
    read_project,
)

# Where none of these is set, there is no desktop; a text browser would take the terminal over.
DESKTOP_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def report(
    config: Config,
    as_of: PublishedAsOf = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="only what was published; the source data is not read, so no lead has its events",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="write it to this .html file; default: reports/index.html of the workspace",
        ),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="open it in the browser of this desktop")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a page to look at: leads, reasons and trust.

    The page is one HTML file that needs no server and no network. Every night writes the same page
    next to its export, exports/current/index.html.
    """
    from pipelines.page.report import write_report

    page = write_report(read_project(config), as_of, log_line, published, out)
    if as_json:
        print_json(page.to_json(), stored=True)
    else:
        print_line(str(page.path), stored=True)
        log_always(page.describe())
    if open_page and not _open_in_browser(page.path):
        log_always(f"there is no desktop here; open {page.path.absolute()} in a browser")


def _open_in_browser(path: Path) -> bool:
    """Open a page in the browser of the desktop; return whether there is one."""
    has_desktop = sys.platform == "darwin" or any(map(os.environ.get, DESKTOP_VARIABLES))
    return has_desktop and webbrowser.open(path.absolute().as_uri())
