"""The deliveries of one export that are kept on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import ConfigError, StateError
from serve.crm.state import CrmState
from serve.export.atomic_folders import (
    FOLDER_NAME,
    KEPT_FOLDERS,
    MANIFEST_NAME,
    fingerprint_file,
    read_manifest,
)

STATE_FILE = "state.parquet"
# Keys of a manifest that its content hash covers.
IDENTITY_KEYS = ("kind", "base", "as_of", "layout", "parts", "refused")
# Keys of a manifest that the next delivery follows from.
REQUIRED_KEYS = ("sequence", "content", "key", "state", *IDENTITY_KEYS)


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
        """Return what the CRM holds after it; raise StateError if the file was lost or changed."""
        path = self.folder / STATE_FILE
        try:
            # Compared first: a changed state would clear or skip other leads than the CRM holds.
            if fingerprint_file(path)["sha256"] == self.manifest["state"]["sha256"]:
                return CrmState.load(path)
            problem = "its sha256 is not that of the manifest"
        except (FileNotFoundError, IsADirectoryError) as error:
            problem = str(error.strerror)
        raise make_lost_delivery_error(path, problem)


def list_stored_deliveries(folder: Path) -> list[StoredDelivery]:
    """Return the deliveries in the folder of an export, sorted by sequence.

    A folder without a manifest is not a delivery: it is being removed.
    """
    paths = [
        path
        for path in folder.glob("*")
        if FOLDER_NAME.fullmatch(path.name) and (path / MANIFEST_NAME).exists()
    ]
    deliveries = [StoredDelivery(path, _read_delivery_manifest(path)) for path in paths]
    # Not by name: two deliveries of one night differ in nothing but a hash.
    return sorted(deliveries, key=lambda delivery: delivery.manifest["sequence"])


def _read_delivery_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError) as error:
        raise make_lost_delivery_error(folder / MANIFEST_NAME, str(error)) from None
    missing = [name for name in REQUIRED_KEYS if name not in manifest]
    if missing:
        raise make_lost_delivery_error(folder / MANIFEST_NAME, f"it has no {missing[0]}")
    if type(manifest["sequence"]) is not int or manifest["sequence"] < 1:
        problem = f"its sequence is {manifest['sequence']!r}, which is no number of a delivery"
        raise make_lost_delivery_error(folder / MANIFEST_NAME, problem)
    return manifest


def was_manifest_changed(
    folder: Path, manifest: Mapping[str, Any], recorded_sha256: str | None
) -> bool:
    """Return whether a delivery's manifest is not the one that the ledger recorded.

    An erasure rewrites parts and manifest, and keeps the hash of what was delivered; such a
    manifest, whose content no longer has that hash, cannot be compared.
    """
    if recorded_sha256 is None or hash_content(manifest) != manifest["content"]:
        return False
    return bool(fingerprint_file(folder / MANIFEST_NAME)["sha256"] != recorded_sha256)


def hash_content(manifest: Mapping[str, Any]) -> str:
    """Return the hash of what a delivery gives the CRM, without its run and time."""
    identity = [manifest[name] for name in IDENTITY_KEYS]
    # Sorted as in the file of the manifest, so that it can be computed from that again.
    text = json.dumps(identity, allow_nan=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def make_lost_delivery_error(path: Path, problem: str) -> StateError:
    """Return the error for a delivery that was lost or damaged; ``path`` is the file or folder."""
    name = next(part for part in path.parts[path.parts.index("exports") + 1 :])
    return StateError(
        "a delivery to the CRM is missing or damaged",
        where=str(path),
        found=problem,
        fix="restore its folder from the backup; to begin anew on purpose, move what is left of "
        f"it away and run `leadscore export CONFIG --format {name} --full`",
    )


def require_newest_delivery(
    stored: list[StoredDelivery], recorded: Sequence[Mapping[str, Any]], folder: Path
) -> None:
    """Raise StateError if the last delivery that the ledger records is lost, or one was changed.

    ``recorded`` are the rows of DELIVERIES of one export, sorted by time. A delta to what the CRM
    does not hold would leave leads out, and a sequence that began again would be skipped.
    """
    made = [row["delivery"] for row in recorded if row["status"] == "delivered"]
    if made and made[-1] not in [delivery.id for delivery in stored]:
        raise make_lost_delivery_error(
            folder / made[-1], "the ledger records it as delivered, and the folder is gone"
        )
    hashes = {row["delivery"]: row["manifest_sha256"] for row in recorded}
    for delivery in stored:
        if was_manifest_changed(delivery.folder, delivery.manifest, hashes.get(delivery.id)):
            problem = "its sha256 is not the one that the ledger recorded"
            raise make_lost_delivery_error(delivery.folder / MANIFEST_NAME, problem)


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
