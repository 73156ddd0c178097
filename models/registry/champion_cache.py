"""Cache of the champions that the registry last returned, used while it cannot be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from configs.errors import ConfigError
from features.tools.atomic_file import write_whole
from models.registry.registry import RegisteredVersion, Registry

CACHE_FILE = "champions.json"


def read_champions(
    registry: Registry, targets: list[str]
) -> tuple[dict[str, RegisteredVersion | None], ConfigError | None]:
    """Return the champion of each target, and the error if the cache had to answer.

    A target without a champion has None. Each answer of the registry is stored in its directory.
    Raise ConfigError if the registry cannot be reached and no answer is stored.
    """
    try:
        found = {target: registry.champion(target) for target in targets}
    except ConfigError as error:
        kept = _read_cache(registry.root / CACHE_FILE)
        if not any(kept.get(target) for target in targets):
            raise
        return {target: kept.get(target) for target in targets}, error
    _write_cache(registry.root / CACHE_FILE, {target: version for target, version in found.items() if version})
    return found, None


def _read_cache(path: Path) -> dict[str, RegisteredVersion]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {
            target: RegisteredVersion(**one | {"aliases": tuple(one["aliases"])})
            for target, one in kept.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write_cache(path: Path, versions: Mapping[str, RegisteredVersion]) -> None:
    text = json.dumps(
        {target: asdict(version) for target, version in versions.items()}, indent=1, sort_keys=True
    )
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    write_whole(path, text)
