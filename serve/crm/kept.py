"""The deliveries of one export that are still on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import ConfigError
from serve.crm.state import State
from serve.export.atomic_folders import KEEP, MANIFEST, NAME, read_manifest

STATE_FILE = "state.parquet"


@dataclass(frozen=True)
class Kept:
    """One delivery: its folder and what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The delivery's name, that of its folder."""
        return self.folder.name

    def state(self) -> State:
        """Return what the CRM holds after it."""
        return State.read(self.folder / STATE_FILE)


def kept(folder: Path) -> list[Kept]:
    """Return the deliveries in an export's folder in the order in which they were made.

    A folder without a manifest is no delivery: it is being removed.
    """
    paths = [
        path
        for path in folder.glob("*")
        if NAME.fullmatch(path.name) and (path / MANIFEST).exists()
    ]
    found = [Kept(path, read_manifest(path)) for path in paths]
    return sorted(found, key=lambda one: one.manifest["sequence"])


def since(deliveries: list[Kept], wanted: str, where: str) -> list[Kept]:
    """Return a delivery and all later ones; raise ConfigError where it is not kept."""
    names = [one.id for one in deliveries]
    if wanted in names:
        return deliveries[names.index(wanted) :]
    raise ConfigError(
        "no such delivery is kept",
        where=f"--since {wanted}",
        found=f"{len(names)} kept in {where}"
        + (f", from {names[0]} to {names[-1]}" if names else ""),
        fix="name one of them, or take --full",
    )


def forget(deliveries: list[Kept]) -> None:
    """Remove all but the newest KEEP deliveries; what cannot be removed is left for the next time."""
    for old in deliveries[:-KEEP]:
        # First of all it stops being a delivery.
        (old.folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(old.folder, ignore_errors=True)
