"""One delivery to a CRM: full or what changed, with what is to be cleared; whole on the disk, or not there.

It lies in ``exports/NAME/ID/``: numbered parts, ``state.parquet`` (what the CRM holds after it) and ``manifest.json``.
The folder appears in one step, complete and on the disk; the link ``exports/NAME/current`` is switched to it after
that. A reader loads every delivery between the one it loaded last and the current one, in the order of ``sequence``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import LeadscoreError
from serve.crm.content import Content, Follows, content
from serve.crm.kept import STATE_FILE, Kept, forget, kept, since
from serve.crm.parts import write_parquet, write_parts
from serve.crm.plan import Plan
from serve.delimited import iso
from serve.export.atomic_folders import (
    MANIFEST,
    STAGING,
    fingerprint,
    free_name,
    place,
    switch,
    write,
    write_manifest,
)
from serve.export.export import TYPES, meaning
from serve.store.store import Run

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Wish:
    """What is asked for beside the config: all leads, or else all that changed since an older delivery."""

    full: bool = False
    since: str | None = None


@dataclass(frozen=True)
class Delivered:
    """A delivery on the disk; ``fresh`` unless the same was the newest before."""

    folder: Path
    manifest: Mapping[str, Any]
    fresh: bool

    @property
    def id(self) -> str:
        """The delivery's name, that of its folder."""
        return self.folder.name

    def to_json(self) -> dict[str, Any]:
        """Return what a night says of it as plain JSON values."""
        return {
            **{
                name: self.manifest[name]
                for name in ("name", "delivery", "kind", "base", "rows", "cleared")
            },
            "refused": self.manifest["refused"]["rows"],
            "parts": len(self.manifest["parts"]),
            "folder": str(self.folder),
        }


def deliver(
    plan: Plan, scores: pa.Table, root: Path, run: Run, made_at: datetime, wish: Wish = Wish()
) -> Delivered:
    """Write one delivery of the newest scores into the workspace ``root`` and make it current.

    ``scores`` is a SCORES table of all targets, ``run`` the newest that published, ``made_at`` the machine's time. The
    same night again gives the same delivery, which is then not written twice. The newest KEEP deliveries stay. Call it
    under the workspace's lock.

    Raises ConfigError where ``wish.since`` is not kept, LeadscoreError if the files cannot be written; the former
    delivery then stays current.
    """
    folder = root / "exports" / plan.name
    try:
        before = kept(folder)
        found = content(plan, scores, run.as_of, _follows(before, plan, run.as_of, wish, folder))
        manifest = _staged(folder / STAGING, plan, run, found)
        done = _placed(folder, before, manifest, made_at)
        switch(folder, done.id)
        if done.fresh:
            forget([*before, Kept(done.folder, done.manifest)])
        return done
    except OSError as error:
        raise LeadscoreError(
            "cannot write the delivery",
            where=str(folder),
            found=str(error),
            fix="make room or fix the permissions and run it again; what is current now is whole",
        ) from error


def _follows(before: list[Kept], plan: Plan, as_of: datetime, wish: Wish, folder: Path) -> Follows:
    """Return what a delivery follows: the newest one of an earlier night, so that a night again follows the same."""
    if wish.since is not None:
        return Follows(wish.since, since(before, wish.since, str(folder)), all_due=False)
    earlier = [
        n for n, one in enumerate(before) if datetime.fromisoformat(one.manifest["as_of"]) < as_of
    ]
    if not earlier:
        return Follows(None, before, all_due=True)
    return Follows(
        before[earlier[-1]].id, before[earlier[-1] :], all_due=wish.full or not plan.delta
    )


def _staged(staging: Path, plan: Plan, run: Run, found: Content) -> dict[str, Any]:
    """Write parts and state into a folder that no reader looks at; return the manifest but for its place in time."""
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    names = [plan.key, *(one.name for one in plan.mapped)]
    if plan.format.ending == "parquet":
        parts = write_parquet(staging, _plain(found, plan, names))
    else:
        parts = write_parts(staging, found.texts, names, plan.format)
    write(
        staging / STATE_FILE,
        lambda file: pq.write_table(found.state.table(), file, compression="zstd"),
    )
    manifest = _manifest(plan, run, found, parts)
    # Names a delivery by what it says, and not by who said it when.
    said = [manifest[name] for name in ("kind", "base", "as_of", "layout", "parts", "refused")]
    state = fingerprint(staging / STATE_FILE)
    return manifest | {
        "content": hashlib.sha256(json.dumps(said).encode()).hexdigest(),
        "state": state,
    }


def _plain(found: Content, plan: Plan, names: list[str]) -> pa.Table:
    """Return the rows of a Parquet file: typed, without dictionaries."""
    schema = pa.schema(
        [pa.field(names[0], pa.string()), *(one.field.with_name(one.name) for one in plan.mapped)]
    )
    schema = pa.schema([field.with_nullable(True) for field in schema])
    return pa.concat_tables([table.rename_columns(names).cast(schema) for table in found.tables])


def _manifest(plan: Plan, run: Run, found: Content, parts: list[dict[str, Any]]) -> dict[str, Any]:
    columns = [
        {
            "name": one.name,
            "source": one.source,
            "type": TYPES[one.field.type],
            "meaning": meaning(one.field),
        }
        for one in plan.mapped
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "project": run.project,
        "name": plan.name,
        "format": plan.form,
        "kind": found.kind,
        "base": found.base,
        "as_of": iso(run.as_of),
        "rows": found.rows,
        "cleared": found.cleared,
        "refused": dict(found.refused),
        "key": plan.key,
        "columns": columns,
        "layout": plan.layout,
        "parts": parts,
        "run_id": run.run_id,
        "model_versions": dict(run.models),
        "config_hash": run.config_hash,
        "data_fingerprint": run.data_fingerprint,
        "code_version": run.code_version,
    }


def _placed(
    folder: Path, before: list[Kept], manifest: dict[str, Any], made_at: datetime
) -> Delivered:
    """Make a delivery of what was staged, in one step; the newest one stays where it says the same."""
    staging = folder / STAGING
    newest = before[-1] if before else None
    if newest and newest.manifest["content"] == manifest["content"]:
        shutil.rmtree(staging, ignore_errors=True)
        return Delivered(newest.folder, newest.manifest, fresh=False)
    name = free_name(folder, datetime.fromisoformat(manifest["as_of"]), manifest["content"])
    sequence = newest.manifest["sequence"] + 1 if newest else 1
    manifest = manifest | {"delivery": name, "sequence": sequence, "made_at": iso(made_at)}
    write_manifest(staging / MANIFEST, manifest)
    place(folder, name)
    return Delivered(folder / name, manifest, fresh=True)
