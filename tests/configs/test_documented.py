"""Coverage of the documentation: all YAML keys, commands and export columns."""

import re
from pathlib import Path

import pytest

from configs.schema import build_json_schema

ROOT = Path(__file__).parents[2]
# Keys of short forms are documented in braces, so they are left out.
KEYS = {
    name
    for part in (build_json_schema(), *build_json_schema()["$defs"].values())
    for name in part.get("properties", {})
    if name not in {"constant", "column", "equals", "all_except", "trials", "limit"}
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_config_keys_are_documented(key):
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    whole = text[text.index("## All keys") :]
    shown = {name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", whole)}
    blocks = {"leads", "events", "attributes", "targets", "population", "cutoffs"} | {
        name.partition(".")[0] for name in re.findall(r"`(\w+\.\w+)`", whole)
    }
    assert key in shown | blocks


def test_commands_are_in_the_readme():
    from typer.main import get_command

    from pipelines.cli import app

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = get_command(app).commands
    assert len(commands) > 5
    assert not [
        name
        for name in commands
        if f"leadscore {name} " not in text and f"make {name} " not in text
    ]


def test_export_columns_are_documented():
    from serve.export.export import EXPORT_SCHEMA

    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    table = text[text.index("| columns | meaning |") : text.index("`manifest.json` next to it")]
    shown = {name.strip() for names in re.findall(r"`([^`]+)`", table) for name in names.split(",")}
    ranges = {
        f"{side}_{place}"
        for side in ("reason", "against")
        if f"{side}_1…3" in shown
        for place in (1, 2, 3)
    }
    assert not [name for name in EXPORT_SCHEMA.names if name not in shown | ranges]
