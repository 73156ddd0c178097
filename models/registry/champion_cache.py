"""Cache of the champions that the registry last returned, used while it cannot be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from configs.errors import ConfigError
from features.tools.atomic_file import write_atomically
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry

CACHE_FILE = "champions.json"


def read_champions(
    registry: Registry, targets: list[str]
) -> tuple[dict[str, RegisteredVersion | None], ConfigError | None]:
    """Return the champion of each target, and the error if the cache had to answer.

    A target without a champion has None. Each answer of the registry is stored in its directory.
    Raise ConfigError if the registry cannot be reached and no answer is stored.
    """
    try:
        champions = {target: registry.champion(target) for target in targets}
    except ConfigError as error:
        cached = _read_cache(registry.root / CACHE_FILE)
        if not any(cached.get(target) for target in targets):
            raise
        return {target: cached.get(target) for target in targets}, error
    _write_cache(
        registry.root / CACHE_FILE,
        {target: version for target, version in champions.items() if version},
    )
    return champions, None


def _read_cache(path: Path) -> dict[str, RegisteredVersion]:
    """Return the stored champions by target; an empty dict for an absent or damaged file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {
            target: RegisteredVersion(**fields | {"aliases": tuple(fields["aliases"])})
            for target, fields in data.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # The caller then raises the error of the registry, which is the one that can be fixed.
        return {}


def _write_cache(path: Path, versions: Mapping[str, RegisteredVersion]) -> None:
    """Store the champions by target, unless the file holds them already."""
    text = json.dumps(
        {target: asdict(version) for target, version in versions.items()},
        indent=1,
        sort_keys=True,
        allow_nan=False,
    )
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    write_atomically(path, text)
