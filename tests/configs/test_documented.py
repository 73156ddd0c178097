"""Every key of the YAML is in the documentation, and every command in the README."""

import re
from pathlib import Path

import pytest

from configs.schema import json_schema

ROOT = Path(__file__).parents[2]
KEYS = {
    name
    for part in (json_schema(), *json_schema()["$defs"].values())
    for name in part.get("properties", {})
    if name not in {"constant", "column", "equals", "all_except", "trials", "limit"}
}
"""All but the keys of short forms, which are shown in braces."""


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_documented(key):
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    whole = text[text.index("## All keys") :]
    shown = {name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", whole)}
    blocks = {"leads", "events", "attributes", "targets", "population", "cutoffs"} | {
        name.partition(".")[0] for name in re.findall(r"`(\w+\.\w+)`", whole)
    }
    assert key in shown | blocks


def test_every_command_is_in_the_readme():
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


def test_every_column_of_the_export_is_in_the_readme():
    from serve.export.export import EXPORT

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| columns | meaning |") : text.index("`manifest.json` beside it")]
    shown = {name.strip() for names in re.findall(r"`([^`]+)`", table) for name in names.split(",")}
    ranges = {
        f"{side}_{place}"
        for side in ("reason", "against")
        if f"{side}_1…3" in shown
        for place in (1, 2, 3)
    }
    assert not [name for name in EXPORT.names if name not in shown | ranges]
