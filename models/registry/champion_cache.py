"""Cache of the champions that the registry last returned, used while it cannot be reached.

It also shows which targets had a champion, so that one that was lost is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from configs.errors import ConfigError, StateError
from features.tools.atomic_file import write_atomically
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry
from models.registry.registry_file import CACHE_FILE


@dataclass(frozen=True)
class Champions:
    """The version in use of each target.

    Attributes:
        versions: The champion of each target, or None.
        lost: By target what shows that it had a champion, where it has none and nobody withdrew
            it.
        withdrawn: Targets that a person left without a champion.
        unreachable: The error if the cache had to answer.
    """

    versions: dict[str, RegisteredVersion | None]
    lost: dict[str, str] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()
    unreachable: ConfigError | StateError | None = None


def read_champions(registry: Registry, targets: list[str]) -> Champions:
    """Return the champion of each target.

    Each answer of the registry is stored in its directory, unless a champion was lost: the stored
    one is then the proof. It also answers for a registry that cannot be reached, or whose own file
    is missing or damaged: the models of the last night are still known by their hashes. Without a
    stored answer raise ConfigError or StateError.
    """
    cached = read_cache(registry.root / CACHE_FILE)
    try:
        champions = {target: registry.champion(target) for target in targets}
        missing = [target for target, version in champions.items() if version is None]
        withdrawn = frozenset(filter(registry.is_withdrawn, missing))
        proofs = {
            target: _prove_champion(registry, target, cached.get(target))
            for target in missing
            if target not in withdrawn
        }
    except (ConfigError, StateError) as error:
        if not any(cached.get(target) for target in targets):
            raise
        return Champions({target: cached.get(target) for target in targets}, unreachable=error)
    lost = {target: proof for target, proof in proofs.items() if proof}
    if not lost:
        _write_cache(
            registry.root / CACHE_FILE,
            {target: version for target, version in champions.items() if version},
        )
    return Champions(champions, lost, withdrawn)


def _prove_champion(registry: Registry, target: str, cached: RegisteredVersion | None) -> str:
    """Return what shows that a target had a champion; empty if nothing does."""
    if cached:
        return f"{CACHE_FILE} names version {cached.number}"
    former = registry.former_champions(target)
    return f"version {former[0]} was its champion" if former else ""


def read_cache(path: Path) -> dict[str, RegisteredVersion]:
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
