"""Deliveries in a CRM's own format: after a night, after one that died before it, and on request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from pipelines.nightly.suppress import drop_suppressed
from pipelines.runner import Runner, read_clock
from pipelines.workspace import find_published_run, hold_workspace, open_store
from serve.crm.delivery import DeliveryOptions, DeliveryResult, write_delivery
from serve.crm.plan import ExportPlan, build_plans
from serve.crm.stored_deliveries import list_deliveries
from serve.export.atomic_folders import MANIFEST_NAME, read_current_run_id
from serve.run import Run
from serve.store.store import Store

DEFAULT_OPTIONS = DeliveryOptions()


def plan_exports(project: Project) -> dict[str, ExportPlan]:
    """Return what is to be delivered, by name; raise ConfigError for what no CRM could take or no score has."""
    return build_plans(project.publish.exports, project.targets, project.path)


def deliver_exports(
    store: Store, project: Project, driver: Runner, fresh: pa.Table | None = None
) -> tuple[list[DeliveryResult], list[LeadscoreError]]:
    """Deliver the newest scores to every configured export; return what was delivered and what failed.

    ``is_new`` are the scores of all targets of the newest as-of where they are in hand. A target that the newest night
    did not publish keeps its latest scores. One export that fails does not keep the others from theirs: it is said and
    stands in the ledger, and the next delivery brings what it lacks. Scores from the table are without whom the lists
    of today name.
    """
    wanted, newest = plan_exports(project), store.last_published_run(project.project)
    if not wanted or newest is None:
        return [], []
    scores = drop_suppressed(project, store.scores(project.project)) if fresh is None else fresh
    done, failed = list[DeliveryResult](), list[LeadscoreError]()
    for plan in wanted.values():
        try:
            done.append(_deliver_and_record(store, project, plan, scores, newest, driver))
        except LeadscoreError as error:
            driver.log(f"{plan.name}: {error}")
            failed.append(error)
    return done, failed


def deliver_missing_exports(store: Store, project: Project, driver: Runner) -> None:
    """Deliver what was published and not delivered; a failure is said, and left to the next delivery."""
    newest = store.last_published_run(project.project)
    if newest and any(
        read_current_run_id(project.workspace_path / "exports" / name) != newest.run_id
        for name in project.publish.exports
    ):
        done, _ = deliver_exports(store, project, driver)
        for one in done:
            if one.is_new:
                driver.log(
                    f"{one.manifest['name']}: delivered {one.id}, which was published and not delivered"
                )


def deliver_export_now(project: Project, name: str, options: DeliveryOptions, driver: Runner) -> DeliveryResult:
    """Deliver the newest scores to one configured export now.

    Raises ConfigError where nothing was published or ``wish.since`` is not kept, LeadscoreError if it fails.
    """
    plan = plan_exports(project)[name]
    with hold_workspace(project):
        store = open_store(project)
        newest = find_published_run(store, project)
        return _deliver_and_record(
            store,
            project,
            plan,
            drop_suppressed(project, store.scores(project.project)),
            newest,
            driver,
            options,
        )


def make_delivery_error(failed: Sequence[LeadscoreError], project: Project) -> LeadscoreError:
    """Return the failure of a night whose scores are published but did not reach a CRM."""
    return LeadscoreError(
        "the scores are published, but not delivered to every CRM",
        where=failed[0].where,
        found=f"{len(failed)} failed, the first: {failed[0].what}: {failed[0].found}",
        fix=f"fix that, then `leadscore export {project.path} --format NAME`; the next night delivers it too",
    )


def list_deliveries(project: Project, name: str | None = None) -> list[dict[str, Any]]:
    """Return what was delivered when, oldest first, to all exports or to one: rows of DELIVERIES.

    Beside them ``kept``, whether the delivery is still on the disk, and its ``sequence`` there. Raises ConfigError for
    a name that neither the config nor the ledger has.
    """
    rows = open_store(project).deliveries(project.project).to_pylist()
    names = sorted({*project.publish.exports, *(row["name"] for row in rows)})
    if name is not None and name not in names:
        fix = (
            f"name one of them: {', '.join(names)}"
            if names
            else "name one in the config: publish.exports"
        )
        raise ConfigError("no such export", where="--format", found=repr(name), fix=fix)
    there = {
        each: {one.id: one.manifest["sequence"] for one in list_deliveries(project.workspace_path / "exports" / each)}
        for each in names
    }
    found = [
        row | {"sequence": there[row["name"]].get(row["delivery"])}
        for row in rows
        if name in (None, row["name"])
    ]
    return [row | {"kept": row["sequence"] is not None} for row in found]


def _deliver_and_record(
    store: Store,
    project: Project,
    plan: ExportPlan,
    scores: pa.Table,
    newest: Run,
    driver: Runner,
    options: DeliveryOptions = DEFAULT_OPTIONS,
) -> DeliveryResult:
    head = {
        "project": project.project,
        "name": plan.name,
        "format": plan.format_name,
        "as_of": newest.as_of,
    }
    head |= {"run_id": newest.run_id}
    try:
        done = write_delivery(plan, scores, project.workspace_path, newest, read_clock(), options)
    except ConfigError:
        # It is the command that was wrong: nothing was to be delivered.
        raise
    except LeadscoreError as error:
        failure = {
            "delivery": newest.run_id,
            "status": "failed",
            "made_at": read_clock(),
            "message": error.headline,
        }
        store.record_delivery(head | failure)
        raise
    store.record_delivery(head | _ledger_row(done))
    if refused := done.manifest["refused"]["rows"]:
        example = done.manifest["refused"]["examples"][0]
        driver.log(
            f"{plan.name}: {refused:,} leads not delivered, their ids cannot be written safely, such as {example!r}"
        )
    return done


def _ledger_row(done: DeliveryResult) -> dict[str, Any]:
    """Return what the ledger says of a delivery; one that was there before is told in its own words."""
    said = done.manifest
    return {
        "delivery": done.id,
        "status": "delivered",
        **{name: said[name] for name in ("run_id", "kind", "base", "rows", "cleared")},
        "refused": said["refused"]["rows"],
        "parts": len(said["parts"]),
        "manifest_sha256": hashlib.sha256((done.folder / MANIFEST_NAME).read_bytes()).hexdigest(),
        "made_at": datetime.fromisoformat(said["made_at"]),
    }
