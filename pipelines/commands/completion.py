"""Words that a shell completes: configs and the targets of a config, read without libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A key begins its line; YAML in braces is not completed.
TARGETS = re.compile(r"^targets:[ \t]*(?:#.*)?\n((?:[ \t]+.*\n?|[ \t]*(?:#.*)?\n)*)", re.MULTILINE)
KEY = re.compile(r"^([ \t]+)([\w-]+):", re.MULTILINE)
SUFFIXES = (".yaml", ".yml")


def complete_config(incomplete: str) -> Iterator[str]:
    """Yield the YAML files and the folders whose path begins as typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") or not incomplete else typed.parent
    prefix = "" if folder == typed or not incomplete else typed.name
    try:
        names = sorted(folder.iterdir())
    except OSError:
        return
    for path in names:
        if path.name.startswith(prefix) and (prefix or not path.name.startswith(".")):
            if path.is_dir():
                yield f"{path}/"
            elif path.suffix in SUFFIXES:
                yield str(path)


def complete_target(ctx: Any, incomplete: str) -> list[str]:
    """Return the targets of the config on the command line that begin as typed."""
    # The option that lacks its value keeps the arguments before it from being read.
    words = [ctx.params.get("config"), *ctx.args]
    return [name for name in _read_targets(words) if name.startswith(incomplete)]


def _read_targets(words: list[Any]) -> list[str]:
    """Return the targets of the first config among the words; none without one."""
    path = next((Path(word) for word in words if word and Path(word).suffix in SUFFIXES), None)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return []
    section = TARGETS.search(text)
    keys = KEY.findall(section[1]) if section else []
    return [name for blank, name in keys if blank == keys[0][0]]
