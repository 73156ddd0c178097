"""One delivery to a CRM: full or delta, with leads to clear; complete on disk or absent.

It lies in ``exports/NAME/ID/``: numbered parts, ``state.parquet`` (what the CRM holds after it) and
``manifest.json``. The folder appears in one step, complete and flushed to disk; the link
``exports/NAME/current`` is switched to it afterwards. A reader loads the deliveries after the one
it loaded last, up to the current one, in the order of ``sequence``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.contracts import TYPE_NAMES, column_meaning
from serve.crm.content import DeliveryContent, DeltaBase, build_content
from serve.crm.parts import write_parquet_part, write_parts
from serve.crm.plan import ExportPlan
from serve.crm.stored_deliveries import (
    STATE_FILE,
    StoredDelivery,
    hash_content,
    list_stored_deliveries,
    prune_deliveries,
    select_since,
)
from serve.crm.unloaded import find_due_again
from serve.delimited import format_instant
from serve.export.atomic_folders import (
    MANIFEST_NAME,
    STAGING_NAME,
    choose_folder_name,
    create_staging,
    fingerprint_file,
    promote_staging,
    report_write_failure,
    switch_current,
    write_durably,
    write_manifest,
)
from serve.run import Run

# Version of the manifest.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DeliveryOptions:
    """Options of one delivery, in addition to the config.

    Attributes:
        full: Deliver all leads.
        since: Id of an older delivery; deliver the changes since then.
    """

    full: bool = False
    since: str | None = None


@dataclass(frozen=True)
class DeliveryResult:
    """A delivery on disk.

    Attributes:
        folder: Its folder.
        manifest: The content of its manifest.
        is_new: False if the newest delivery already had the same content.
    """

    folder: Path
    manifest: Mapping[str, Any]
    is_new: bool

    @property
    def id(self) -> str:
        """Return the id of the delivery, the name of its folder."""
        return self.folder.name

    def to_json(self) -> dict[str, Any]:
        """Return a summary as plain JSON values."""
        return {
            **{
                name: self.manifest[name]
                for name in ("name", "delivery", "kind", "base", "rows", "cleared")
            },
            "refused": self.manifest["refused"]["rows"],
            "parts": len(self.manifest["parts"]),
            "folder": str(self.folder),
        }


def write_delivery(
    plan: ExportPlan,
    scores: pa.Table,
    root: Path,
    run: Run,
    made_at: datetime,
    options: DeliveryOptions = DeliveryOptions(),
    results: pa.Table | None = None,
    tables: Mapping[str, pa.Table] | None = None,
) -> DeliveryResult:
    """Write a delivery of the newest scores into the workspace ``root`` and make it current.

    ``scores`` is a SCORES table of all targets, ``run`` the newest published run, ``made_at`` the
    machine's time. ``tables`` are those of the plan, as the newest run with them stored them.
    ``results`` are the DELIVERY_RESULTS of leads that the CRM did not load. The
    same night again gives the same delivery, which is not written twice. The newest KEPT_FOLDERS
    deliveries are kept. Call it while the workspace is locked.

    Raises ConfigError if ``options.since`` is not kept, LeadscoreError if the files cannot be
    written; the former delivery then stays current.
    """
    folder = root / "exports" / plan.name
    with report_write_failure(folder, "delivery"):
        previous = list_stored_deliveries(folder)
        base = _choose_delta_base(previous, plan, run.as_of, options, folder)
        if results is not None:
            base = replace(base, again=find_due_again(results, previous, base.base, plan.key))
        content = build_content(plan, scores, run.as_of, base, tables)
        manifest = _stage_delivery(create_staging(folder), plan, run, content)
        result = _commit_delivery(folder, previous, manifest, made_at)
        # Also where nothing is new: a run killed before this step left the link on the former one.
        switch_current(folder, result.id)
        # Last, so that the delivery to which the link pointed is there until the switch.
        if result.is_new:
            prune_deliveries([*previous, StoredDelivery(result.folder, result.manifest)])
        return result


def _choose_delta_base(
    previous: list[StoredDelivery],
    plan: ExportPlan,
    as_of: datetime,
    options: DeliveryOptions,
    folder: Path,
) -> DeltaBase:
    """Return what a delivery follows: the newest one of an earlier night.

    A repeated night therefore follows the same delivery as its first run.
    """
    if options.since is not None:
        return DeltaBase(
            options.since, select_since(previous, options.since, str(folder)), deliver_all=False
        )
    earlier_indices = [
        index
        for index, delivery in enumerate(previous)
        if datetime.fromisoformat(delivery.manifest["as_of"]) < as_of
    ]
    if not earlier_indices:
        # No base, but leads of former deliveries of this night may still have to be cleared.
        return DeltaBase(None, previous, deliver_all=True)
    return DeltaBase(
        previous[earlier_indices[-1]].id,
        previous[earlier_indices[-1] :],
        deliver_all=options.full or not plan.delta,
    )


def _stage_delivery(
    staging: Path, plan: ExportPlan, run: Run, content: DeliveryContent
) -> dict[str, Any]:
    """Write parts and state into the staging folder, which no reader opens.

    Return the manifest without id, sequence and time.
    """
    names = [plan.key, *(column.name for column in plan.columns)]
    if plan.format.extension == "parquet":
        parts = write_parquet_part(staging, _build_parquet_table(content, plan, names))
    else:
        parts = write_parts(staging, content.texts, names, plan.format)
    write_durably(
        staging / STATE_FILE,
        lambda file: pq.write_table(content.state.to_table(), file, compression="zstd"),
    )
    manifest = _describe_delivery(plan, run, content, parts)
    state = fingerprint_file(staging / STATE_FILE)
    return manifest | {"content": hash_content(manifest), "state": state}


def _build_parquet_table(content: DeliveryContent, plan: ExportPlan, names: list[str]) -> pa.Table:
    """Return the rows of a Parquet file: typed, without dictionaries."""
    schema = pa.schema(
        [
            pa.field(names[0], pa.string()),
            *(column.field.with_name(column.name) for column in plan.columns),
        ]
    )
    # Nullable, since a row that clears a lead is null in columns that every score has.
    schema = pa.schema([field.with_nullable(True) for field in schema])
    return pa.concat_tables([table.rename_columns(names).cast(schema) for table in content.tables])


def _describe_delivery(
    plan: ExportPlan, run: Run, content: DeliveryContent, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    columns = [
        {
            "name": column.name,
            "source": column.source,
            "type": TYPE_NAMES[column.field.type],
            "meaning": column_meaning(column.field),
        }
        for column in plan.columns
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "project": run.project,
        "name": plan.name,
        "format": plan.format_name,
        "kind": content.kind,
        "base": content.base,
        "as_of": format_instant(run.as_of),
        "rows": content.rows,
        "cleared": content.cleared,
        "refused": dict(content.refused),
        "again": content.again,
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


def _commit_delivery(
    folder: Path, previous: list[StoredDelivery], manifest: dict[str, Any], made_at: datetime
) -> DeliveryResult:
    """Turn the staged files into a delivery in one step.

    If the newest delivery has the same content, return that one instead.
    """
    staging = folder / STAGING_NAME
    newest = previous[-1] if previous else None
    if newest and newest.manifest["content"] == manifest["content"]:
        shutil.rmtree(staging, ignore_errors=True)
        return DeliveryResult(newest.folder, newest.manifest, is_new=False)
    name = choose_folder_name(
        folder, datetime.fromisoformat(manifest["as_of"]), manifest["content"]
    )
    sequence = newest.manifest["sequence"] + 1 if newest else 1
    manifest = manifest | {
        "delivery": name,
        "sequence": sequence,
        "made_at": format_instant(made_at),
    }
    write_manifest(staging / MANIFEST_NAME, manifest)
    promote_staging(folder, name)
    return DeliveryResult(folder / name, manifest, is_new=True)
