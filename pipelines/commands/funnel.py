"""Commands for those who lead sales: where leads are, and where they get lost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import log_line
from pipelines.commands.options import (
    AsOf,
    Config,
    Json,
    print_json,
    print_parts,
    read_project,
)


def funnel(
    config: Config,
    as_of: AsOf = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="also by the values of this column: a category, channel or owner; may be repeated",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="the target whose outcome is the win; default: the last one"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="also write each table to this folder, as CSV and as Parquet"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where leads are, get stuck and drop off, and the cycle.

    Only rows that were known before the as-of count. Open leads are neither won nor lost, and young
    ones are followed as far as they go.
    """
    from pipelines.funnel.funnel import compute_funnel, require_output_folder, write_funnel
    from pipelines.reports import terminal

    if out is not None:
        require_output_folder(out)
    result = compute_funnel(read_project(config), as_of, by or (), target, log_line)
    if out is not None:
        for file in write_funnel(result, out):
            log_line(f"wrote {file}")
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_funnel(result))
