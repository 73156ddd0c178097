"""The command of somebody who answers for personal data."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import Config, Json, note, print_json, project_of


def forget(
    config: Config,
    entity: str,
    and_suppress: Annotated[
        bool,
        typer.Option("--and-suppress", help="and never score it again: its id is kept in a list"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase one entity from tables, exports, deliveries and quarantine, and say where it was and what is left."""
    from pipelines.nightly.forget import forget_entity as erase

    found = erase(project_of(config), entity, and_suppress)
    if as_json:
        print_json(found.to_json())
        return
    for where, rows in found.erased.items():
        typer.echo(f"{where}: {f'{rows:,}' if rows else 'nothing found'}")
    for line in found.left:
        note(f"not erased: {line}")
