"""The command that writes the page of a night."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import Config, Json, PublishedAsOf, print_json, read_project


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
    open_page: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Write a page to look at: leads, reasons and trust.

    The page is one HTML file that needs no network.
    """
    from pipelines.page.report import write_report

    path = write_report(read_project(config), as_of, log_line, published)
    if as_json:
        print_json({"page": str(path)}, stored=True)
    else:
        log_always(f"wrote {path}")
    if open_page:
        webbrowser.open(path.absolute().as_uri())
