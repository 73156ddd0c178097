"""Deliveries in a CRM's own format: after a run, after a killed one, and on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from models.registry.registry import Registry
from pipelines.nightly.context import NightContext
from pipelines.runner import Runner, read_clock
from pipelines.state.required import require_complete_night
from pipelines.workspace import find_published_run, open_store, open_workspace
from serve.crm.acknowledge import Acknowledgement, acknowledge_files
from serve.crm.delivery import DeliveryOptions, DeliveryResult, write_delivery
from serve.crm.plan import ExportPlan, build_plans
from serve.crm.stored_deliveries import list_stored_deliveries, require_newest_delivery
from serve.crm.unloaded import summarise_unloaded
from serve.export.atomic_folders import (
    MANIFEST_NAME,
    fingerprint_file,
    read_current_run_id,
    require_replaceable_link,
)
from serve.export.suppress import drop_suppressed, drop_suppressed_rows
from serve.night_tables import LEAD_TABLES
from serve.run import Run
from serve.store.store import Store

DEFAULT_OPTIONS = DeliveryOptions()
# A lead that a CRM rejected this often needs a person.
MANY_FAILURES = 3
# Leads that are listed by name; their number is always given.
MAX_LISTED = 20


@dataclass(frozen=True)
class AcknowledgementResult:
    """What was recorded from results files.

    Attributes:
        files: The files.
        changed: Number of results that are new or changed.
        unloaded: Number of leads of their exports whose newest result is not ``loaded``.
        leads: The first of them, those that failed most often first.
    """

    files: Sequence[Acknowledgement]
    changed: int
    unloaded: int
    leads: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "files": [file.to_json() for file in self.files],
            "changed": self.changed,
            "unloaded": self.unloaded,
            "leads": list(self.leads),
        }


def plan_exports(project: Project) -> dict[str, ExportPlan]:
    """Return the plan of each configured export by name.

    Raises ConfigError for a plan that no CRM could take, or that names what no score has.
    """
    exports = project.publish.exports
    return build_plans(exports, project.targets, project.path, list_lead_tables(project))


def list_lead_tables(project: Project) -> list[str]:
    """Return the names of the tables of LEAD_TABLES that the nights of a project have."""
    absent = {name for name in ("customers", "touches") if getattr(project, name) is None}
    return [
        name
        for name, table in LEAD_TABLES.items()
        if table.group not in absent and getattr(project.publish, table.group, True)
    ]


def deliver_exports(
    context: NightContext, scores: pa.Table | None = None
) -> tuple[list[DeliveryResult], list[LeadscoreError]]:
    """Deliver the newest scores to every configured export; return deliveries and failures.

    ``scores`` are those of all targets of the newest as-of, where they are in hand; without them
    the table is read, without the leads that are suppressed now. A target that the newest run did
    not publish keeps its latest scores. An export that fails does not keep the others from being
    delivered: it is logged and recorded in the ledger, and the next delivery includes what it
    lacks.
    """
    project, store, runner = context.project, context.store, context.runner
    plans, newest = plan_exports(project), store.last_published_run(project.project)
    if not plans or newest is None:
        return [], []
    # The table also holds scores that were made before today's suppression lists.
    if scores is None:
        scores = _read_scores(project, store)
    delivered, failures = list[DeliveryResult](), list[LeadscoreError]()
    for plan in plans.values():
        try:
            delivered.append(_deliver_and_record(context, plan, scores, newest))
        except LeadscoreError as error:
            runner.log(f"{plan.name}: {error}")
            failures.append(error)
    return delivered, failures


def deliver_missing_exports(context: NightContext) -> None:
    """Deliver scores that were published but not delivered; a failure is logged, not raised."""
    project = context.project
    newest = context.store.last_published_run(project.project)
    if newest and any(
        read_current_run_id(project.workspace_path / "exports" / name) != newest.run_id
        for name in project.publish.exports
    ):
        delivered, _ = deliver_exports(context)
        for delivery in delivered:
            if delivery.is_new:
                context.runner.log(
                    f"{delivery.manifest['name']}: delivered {delivery.id}, published by a run "
                    "that was killed before its delivery"
                )


def deliver_export_now(
    project: Project, name: str, options: DeliveryOptions, runner: Runner
) -> DeliveryResult:
    """Deliver the newest scores to one configured export now.

    Raises ConfigError where nothing was published or the delivery ``options.since`` is not kept,
    and LeadscoreError if it fails.
    """
    plan = plan_exports(project)[name]
    with open_workspace(project) as root:
        store = open_store(project)
        context = NightContext(project, store, Registry(root, project.project), runner)
        newest = find_published_run(store, project)
        scores = _read_scores(project, store)
        return _deliver_and_record(context, plan, scores, newest, options)


def acknowledge_deliveries(
    project: Project, paths: Sequence[Path], name: str | None, delivery: str | None
) -> AcknowledgementResult:
    """Record what a CRM did with delivered rows, from the files that its loader returned.

    All files are read before anything is recorded, and recorded in one transaction. ``name`` is the
    export, ``delivery`` the delivery that was loaded; without them both are found from the rows.
    Raises ConfigError and DataError as ``acknowledge_files`` does, and WorkspaceBusy.
    """
    with open_workspace(project) as root:
        store = open_store(project)
        names = _list_export_names(project, store)
        _require_known_export(name, names)
        folders = [root / "exports" / export for export in ([name] if name else names)]
        kept = [delivery for folder in folders for delivery in list_stored_deliveries(folder)]
        files = acknowledge_files(paths, kept, delivery, read_clock())
        changed = store.record_results(pa.concat_tables(file.results for file in files))
        exports = list(dict.fromkeys(f.delivery.manifest["name"] for f in files if f.delivery))
        return AcknowledgementResult(files, changed, *read_unloaded(store, project, exports))


def read_unloaded(
    store: Store, project: Project, names: Sequence[str]
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many leads a CRM has not loaded since, and those that failed most often."""
    count, leads = 0, list[dict[str, Any]]()
    for name in names:
        unloaded = summarise_unloaded(store.results_of_unloaded(project.project, name))
        count += unloaded.num_rows
        listed = unloaded.drop_columns(["sequence", "failed_clearings"]).slice(0, MAX_LISTED)
        leads += [{"name": name, **row} for row in listed.to_pylist()]
    return count, sorted(leads, key=lambda lead: -lead["failures"])[:MAX_LISTED]


def make_delivery_error(failures: Sequence[LeadscoreError], project: Project) -> LeadscoreError:
    """Return the error of a run whose published scores did not reach every CRM."""
    first = failures[0]
    return LeadscoreError(
        "the scores are published, but not delivered to every CRM",
        where=first.where,
        found=f"{len(failures)} failed, the first: {first.what}: {first.found}",
        fix=f"fix that, then `leadscore export {project.path} --format NAME`; the next night "
        "delivers it too",
    )


def _read_scores(project: Project, store: Store) -> pa.Table:
    """Return the newest scores of each target, without the leads that are suppressed now."""
    require_complete_night(project, store)
    return drop_suppressed(project, store.scores(project.project))


def read_delivery_ledger(project: Project, name: str | None = None) -> list[dict[str, Any]]:
    """Return the delivery ledger of all exports or of one: rows of DELIVERIES, oldest first.

    Each row also has ``sequence``, the number of the delivery on disk or None, and ``kept``,
    whether it is still there. Raises ConfigError for a name that neither the config nor the ledger
    has.
    """
    store = open_store(project)
    rows, names = store.deliveries(project.project).to_pylist(), _list_export_names(project, store)
    _require_known_export(name, names)
    sequences = {export: _read_sequences(project, export) for export in names}
    selected = [
        row | {"sequence": sequences[row["name"]].get(row["delivery"])}
        for row in rows
        if name in (None, row["name"])
    ]
    return [row | {"kept": row["sequence"] is not None} for row in selected]


def _list_export_names(project: Project, store: Store) -> list[str]:
    """Return the exports of the config, and those that were removed from it."""
    ledger = store.deliveries(project.project)["name"].to_pylist()
    return sorted({*project.publish.exports, *ledger})


def _require_known_export(name: str | None, names: Sequence[str]) -> None:
    if name is not None and name not in names:
        raise ConfigError(
            "no such export",
            where="--format",
            found=repr(name),
            fix=f"name one of them: {', '.join(names)}"
            if names
            else "name one in the config: publish.exports",
        )


def _drop_old_results(store: Store, project: Project, name: str) -> None:
    """Drop results that nothing needs any more, of deliveries that are not kept."""
    kept = list_stored_deliveries(project.workspace_path / "exports" / name)
    numbers = [int(delivery.manifest["sequence"]) for delivery in kept]
    store.drop_old_results(project.project, name, numbers[0], numbers[-1])


def _describe_again(results: pa.Table, rows: int) -> str:
    """Return one line on the rows that are delivered again because they were not loaded."""
    line = f"{rows:,} rows again that were not loaded"
    failing = summarise_unloaded(results)
    failing = failing.filter(pc.greater_equal(failing["failures"], MANY_FAILURES))
    if not failing.num_rows:
        return line
    worst = failing.slice(0, 1).to_pylist()[0]
    return (
        f"{line}; {failing.num_rows:,} leads failed {MANY_FAILURES} times or more, one "
        f"{worst['failures']} times since {worst['first_delivery']}: "
        f"{worst['message'] or 'without a text'}"
    )


def _read_sequences(project: Project, export: str) -> dict[str, int]:
    """Return the sequence number of each delivery on disk by its id."""
    stored = list_stored_deliveries(project.workspace_path / "exports" / export)
    return {delivery.id: delivery.manifest["sequence"] for delivery in stored}


def _require_sound_deliveries(
    project: Project, store: Store, name: str, options: DeliveryOptions
) -> None:
    """Raise StateError if the last delivery was lost, or its link cannot be switched.

    A full delivery is how a person begins anew.
    """
    folder = project.workspace_path / "exports" / name
    require_replaceable_link(folder, f"leadscore export {project.path} --format {name}")
    if options.full:
        return
    ledger = store.deliveries(project.project).to_pylist()
    recorded = [entry for entry in ledger if entry["name"] == name]
    require_newest_delivery(list_stored_deliveries(folder), recorded, folder)


def _deliver_and_record(
    context: NightContext,
    plan: ExportPlan,
    scores: pa.Table,
    newest: Run,
    options: DeliveryOptions = DEFAULT_OPTIONS,
) -> DeliveryResult:
    """Deliver scores to one export, and record the delivery or its failure in the ledger."""
    project, store = context.project, context.store
    row = {
        "project": project.project,
        "name": plan.name,
        "format": plan.format_name,
        "as_of": newest.as_of,
        "run_id": newest.run_id,
    }
    unloaded = store.results_of_unloaded(project.project, plan.name)
    try:
        _require_sound_deliveries(project, store, plan.name, options)
        tables = _read_lead_tables(project, store, plan)
        root, made_at = project.workspace_path, read_clock()
        delivery = write_delivery(plan, scores, root, newest, made_at, options, unloaded, tables)
    except ConfigError:
        # The command was wrong, so there is no delivery that could have failed.
        raise
    except LeadscoreError as error:
        # A failed delivery has no folder to be named after, so it is recorded under its run.
        store.record_delivery(
            row
            | {
                "delivery": newest.run_id,
                "status": "failed",
                "made_at": read_clock(),
                "message": error.headline,
            }
        )
        raise
    store.record_delivery(row | _ledger_row(delivery))
    _drop_old_results(store, project, plan.name)
    if again := delivery.manifest.get("again"):
        context.runner.log(f"{plan.name}: {_describe_again(unloaded, again)}")
    # The files simply lack these leads, so only this line and the manifest show that they are
    # missing.
    if refused := delivery.manifest["refused"]["rows"]:
        example = delivery.manifest["refused"]["examples"][0]
        context.runner.log(
            f"{plan.name}: {refused:,} leads not delivered, their ids cannot be written safely, "
            f"such as {example!r}"
        )
    return delivery


def _read_lead_tables(project: Project, store: Store, plan: ExportPlan) -> dict[str, pa.Table]:
    """Return the newest rows of the plan's tables, without the leads that are suppressed now.

    A night that failed to compute a table does not clear what the CRM has of it.
    """
    stored = store.newest_rows(project.project, plan.tables) if plan.tables else {}
    return drop_suppressed_rows(project, stored)


def _ledger_row(delivery: DeliveryResult) -> dict[str, Any]:
    """Return the ledger columns of a delivery; one made earlier keeps its own values."""
    manifest = delivery.manifest
    # Hashed as it is now: erasing a lead rewrites the manifest later.
    return {
        "delivery": delivery.id,
        "status": "delivered",
        **{name: manifest[name] for name in ("run_id", "kind", "base", "rows", "cleared")},
        "refused": manifest["refused"]["rows"],
        "parts": len(manifest["parts"]),
        "manifest_sha256": fingerprint_file(delivery.folder / MANIFEST_NAME)["sha256"],
        "made_at": datetime.fromisoformat(manifest["made_at"]),
    }
