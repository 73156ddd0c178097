"""The champions that the last night saw: what the next one scores with while the registry cannot be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from configs.errors import ConfigError
from features.tools.atomic_file import write_whole
from models.registry.registry import Registry, Version

FILE = "champions.json"


def champions(
    registry: Registry, targets: list[str]
) -> tuple[dict[str, Version | None], ConfigError | None]:
    """Return each target's champion, None where there is none, and what kept the registry from saying so, if anything.

    Its answer is kept in its directory. Raises ConfigError where it cannot be reached and no answer was kept.
    """
    try:
        found = {target: registry.champion(target) for target in targets}
    except ConfigError as error:
        kept = _read(registry.root / FILE)
        if not any(kept.get(target) for target in targets):
            raise
        return {target: kept.get(target) for target in targets}, error
    _write(registry.root / FILE, {target: version for target, version in found.items() if version})
    return found, None


def _read(path: Path) -> dict[str, Version]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {
            target: Version(**one | {"aliases": tuple(one["aliases"])})
            for target, one in kept.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, versions: Mapping[str, Version]) -> None:
    text = json.dumps(
        {target: asdict(version) for target, version in versions.items()}, indent=1, sort_keys=True
    )
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    write_whole(path, text)
