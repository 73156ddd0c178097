"""The command that prints the schema of the config and of the tables."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import Json, print_json


def schema(
    tables: Annotated[
        bool,
        typer.Option("--tables", help="the tables of the scores database, with their columns"),
    ] = False,
    as_json: Json = True,
) -> None:
    """Print the JSON Schema of the YAML file, or of all tables."""
    if tables:
        from serve.store.tables import describe_tables

        print_json({"tables": describe_tables()})
        return
    from configs.schema import build_json_schema

    print_json(build_json_schema())
