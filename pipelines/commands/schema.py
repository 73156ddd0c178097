"""The command that prints the schema of the config."""

from __future__ import annotations

from pipelines.commands.options import print_json


def schema() -> None:
    """Print the JSON Schema of a company's YAML file."""
    from configs.schema import build_json_schema

    print_json(build_json_schema())
