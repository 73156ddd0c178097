"""The command that prints the schema of the config."""

from __future__ import annotations

from pipelines.commands.options import Json, print_json


def schema(as_json: Json = True) -> None:
    """Print the JSON Schema of a company's YAML file."""
    from configs.schema import build_json_schema

    print_json(build_json_schema())
