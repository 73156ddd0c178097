"""The deliveries of one export that are kept on disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import ConfigError
from serve.crm.state import CrmState
from serve.export.atomic_folders import FOLDER_NAME, KEPT_FOLDERS, MANIFEST_NAME, read_manifest

STATE_FILE = "state.parquet"


@dataclass(frozen=True)
class StoredDelivery:
    """One delivery: its folder and the content of its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Return the id of the delivery, the name of its folder."""
        return self.folder.name

    def state(self) -> CrmState:
        """Return what the CRM holds after it."""
        return CrmState.load(self.folder / STATE_FILE)


def list_stored_deliveries(folder: Path) -> list[StoredDelivery]:
    """Return the deliveries in the folder of an export, sorted by sequence.

    A folder without a manifest is not a delivery: it is being removed.
    """
    paths = [
        path
        for path in folder.glob("*")
        if FOLDER_NAME.fullmatch(path.name) and (path / MANIFEST_NAME).exists()
    ]
    deliveries = [StoredDelivery(path, read_manifest(path)) for path in paths]
    # Not by name: two deliveries of one night differ in nothing but a hash.
    return sorted(deliveries, key=lambda delivery: delivery.manifest["sequence"])


def select_since(
    deliveries: list[StoredDelivery], delivery_id: str, where: str
) -> list[StoredDelivery]:
    """Return a delivery and all later ones; raise ConfigError if it is not kept."""
    ids = [delivery.id for delivery in deliveries]
    if delivery_id in ids:
        return deliveries[ids.index(delivery_id) :]
    raise ConfigError(
        "no such delivery is kept",
        where=f"--since {delivery_id}",
        found=f"{len(ids)} kept in {where}" + (f", from {ids[0]} to {ids[-1]}" if ids else ""),
        fix="name one of them, or use --full",
    )


def prune_deliveries(deliveries: list[StoredDelivery]) -> None:
    """Remove all but the newest KEPT_FOLDERS deliveries.

    Files that cannot be removed are left for the next time.
    """
    for delivery in deliveries[:-KEPT_FOLDERS]:
        # The manifest first: without it the folder no longer counts as a delivery.
        (delivery.folder / MANIFEST_NAME).unlink(missing_ok=True)
        shutil.rmtree(delivery.folder, ignore_errors=True)
