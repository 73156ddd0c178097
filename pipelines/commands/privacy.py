"""Commands for personal data."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.console import log_always
from pipelines.commands.options import (
    Config,
    Entity,
    Json,
    print_json,
    print_parts,
    read_project,
)


def forget(
    config: Config,
    entity: Entity,
    and_suppress: Annotated[
        bool,
        typer.Option(
            "--and-suppress",
            help="never score this lead again: its id is kept in a suppression list",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase one lead from all stored data.

    Rows are erased from tables, exports, deliveries and quarantine. The result lists the places
    where rows were found, and the places that still name the lead.
    """
    from pipelines.nightly.forget import forget_entity
    from pipelines.reports import terminal

    result = forget_entity(read_project(config), entity, and_suppress)
    if as_json:
        print_json(result.to_json(), stored=True)
        return
    print_parts(terminal.render_erasure(result), stored=True)
    # What remains is for a person to erase, so it is shown even where the result goes to a file.
    for line in result.left:
        log_always(f"not erased: {line}")
