"""Whether the deliveries to CRMs are whole, and agree with their ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from features.files.examination import Examination
from serve.crm.stored_deliveries import (
    REQUIRED_KEYS,
    STATE_FILE,
    hash_content,
    was_manifest_changed,
)
from serve.export.atomic_folders import CURRENT_LINK, read_manifest
from serve.verify.folders import (
    compare_files,
    list_folders,
    read_manifest_of,
    resolve_current,
)
from serve.verify.stored_state import StoredState


def check_deliveries(
    examination: Examination,
    exports: Path,
    state: StoredState,
    configured: Sequence[str],
    config: str,
    quick: bool,
    is_switching: bool = False,
) -> None:
    """Report deliveries whose files were lost or changed, and exports that lack the newest night.

    ``configured`` are the exports of the config, ``config`` its path. A quick check reads the
    current delivery of each alone. While a run ``is_switching``, they may be one night behind.
    """
    if quick and configured:
        examination.left_out.append("former deliveries")
    recorded = {row["name"] for row in state.deliveries if row["status"] == "delivered"}
    for name in sorted({*configured, *recorded}):
        folder = exports / name
        rows = [row for row in state.deliveries if row["name"] == name]
        # An export that left the config is history; its folder may be removed.
        if not folder.exists() and (name not in configured or not rows):
            continue
        fix = (
            f"restore {folder} from the backup, or begin anew with "
            f"`leadscore export {config} --format {name} --full`"
        )
        _check_export(examination, folder, rows, fix, quick)
        if name in configured and not is_switching:
            _check_newest(examination, folder, state, f"leadscore export {config} --format {name}")


def _check_export(
    examination: Examination,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    fix: str,
    quick: bool,
) -> None:
    """Report what is wrong with the deliveries of one export; ``rows`` are its ledger."""
    delivered = {row["delivery"]: row for row in rows if row["status"] == "delivered"}
    current = resolve_current(examination, folder, fix)
    folders = list_folders(folder)
    names = [path.name for path in folders]
    newest = next((row["delivery"] for row in reversed(rows) if row["delivery"] in delivered), None)
    if newest and newest not in names:
        examination.report(f"the ledger has delivered {newest}, which is not in {folder}", fix)
    sequences = Counter[int]()
    for path in folders:
        if quick and path != current:
            continue
        examination.counts["deliveries"] += 1
        manifest = read_manifest_of(examination, path, fix)
        if manifest is None:
            continue
        missing = [key for key in REQUIRED_KEYS if key not in manifest]
        if missing:
            examination.report(f"the manifest of {path} has no {missing[0]}", fix)
            continue
        sequences[manifest["sequence"]] += 1
        files = {part["file"]: part for part in manifest["parts"]}
        compare_files(examination, path, files | {STATE_FILE: manifest["state"]}, fix, quick)
        _check_manifest(examination, path, manifest, delivered.get(path.name), fix)
        if path == current and not quick:
            newest_sequence = max(_read_sequence(other) for other in folders)
            if manifest["sequence"] != newest_sequence:
                examination.report(f"{folder}/current is not the newest delivery", fix)
    doubled = [f"{number}" for number, count in sequences.items() if count > 1]
    examination.report_all(f"sequence numbers of {folder} occur twice", doubled, fix)


def _check_manifest(
    examination: Examination,
    path: Path,
    manifest: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    fix: str,
) -> None:
    """Report a manifest that was changed since its delivery, other than by an erasure."""
    if manifest["content"][:12] != path.name.split("-")[1]:
        examination.report(f"the manifest of {path} is of another delivery", fix)
        return
    if hash_content(manifest) != manifest["content"]:
        examination.counts["rewritten by an erasure, or changed"] += 1
    elif row and was_manifest_changed(path, manifest, row["manifest_sha256"]):
        examination.report(f"the manifest of {path} has changed since its delivery", fix)


def _check_newest(examination: Examination, folder: Path, state: StoredState, command: str) -> None:
    """Report an export whose current delivery is not of the newest published night."""
    newest, manifest = state.newest_published(), _read_current(folder)
    if newest is None or manifest is None:
        return
    try:
        as_of = datetime.fromisoformat(manifest["as_of"])
    except (KeyError, TypeError, ValueError):
        # Reported with the manifest.
        return
    if as_of != newest["as_of"]:
        examination.report(
            f"{folder}/current is as of {as_of.isoformat()}, and the newest published night is as "
            f"of {newest['as_of'].isoformat()}",
            f"run `{command}`",
        )


def _read_current(folder: Path) -> Mapping[str, Any] | None:
    try:
        return read_manifest(folder / CURRENT_LINK)
    except (OSError, ValueError):
        return None


def _read_sequence(folder: Path) -> int:
    try:
        number = read_manifest(folder)["sequence"]
    except (OSError, ValueError, KeyError):
        return 0
    return number if isinstance(number, int) else 0
