"""Deliveries in a CRM's own format: after a night, after one that died before it, and on request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from pipelines.nightly.suppress import permitted
from pipelines.runner import Driver, clock
from pipelines.workspace import published, store_of, workspace
from serve.crm.delivery import Delivered, Wish, deliver
from serve.crm.kept import kept
from serve.crm.plan import Plan, plans
from serve.export.atomic_folders import MANIFEST, current_run
from serve.store.store import Run, Store

NO_WISH = Wish()


def planned(project: Project) -> dict[str, Plan]:
    """Return what is to be delivered, by name; raise ConfigError for what no CRM could take or no score has."""
    return plans(project.publish.exports, project.targets, project.path)


def hand_over(
    store: Store, project: Project, driver: Driver, fresh: pa.Table | None = None
) -> tuple[list[Delivered], list[LeadscoreError]]:
    """Deliver the newest scores to every configured export; return what was delivered and what failed.

    ``fresh`` are the scores of all targets of the newest as-of where they are in hand. A target that the newest night
    did not publish keeps its latest scores. One export that fails does not keep the others from theirs: it is said and
    stands in the ledger, and the next delivery brings what it lacks. Scores from the table are without whom the lists
    of today name.
    """
    wanted, newest = planned(project), store.last(project.project)
    if not wanted or newest is None:
        return [], []
    scores = permitted(project, store.scores(project.project)) if fresh is None else fresh
    done, failed = list[Delivered](), list[LeadscoreError]()
    for plan in wanted.values():
        try:
            done.append(_hand_over(store, project, plan, scores, newest, driver))
        except LeadscoreError as error:
            driver.note(f"{plan.name}: {error}")
            failed.append(error)
    return done, failed


def catch_up(store: Store, project: Project, driver: Driver) -> None:
    """Deliver what was published and not delivered; a failure is said, and left to the next delivery."""
    newest = store.last(project.project)
    if newest and any(
        current_run(project.root / "exports" / name) != newest.run_id
        for name in project.publish.exports
    ):
        done, _ = hand_over(store, project, driver)
        for one in done:
            if one.fresh:
                driver.note(
                    f"{one.manifest['name']}: delivered {one.id}, which was published and not delivered"
                )


def deliver_again(project: Project, name: str, wish: Wish, driver: Driver) -> Delivered:
    """Deliver the newest scores to one configured export now.

    Raises ConfigError where nothing was published or ``wish.since`` is not kept, LeadscoreError if it fails.
    """
    plan = planned(project)[name]
    with workspace(project):
        store = store_of(project)
        newest = published(store, project)
        return _hand_over(
            store,
            project,
            plan,
            permitted(project, store.scores(project.project)),
            newest,
            driver,
            wish,
        )


def undelivered(failed: Sequence[LeadscoreError], project: Project) -> LeadscoreError:
    """Return the failure of a night whose scores are published but did not reach a CRM."""
    return LeadscoreError(
        "the scores are published, but not delivered to every CRM",
        where=failed[0].where,
        found=f"{len(failed)} failed, the first: {failed[0].what}: {failed[0].found}",
        fix=f"fix that, then `leadscore export {project.path} --format NAME`; the next night delivers it too",
    )


def ledger(project: Project, name: str | None = None) -> list[dict[str, Any]]:
    """Return what was delivered when, oldest first, to all exports or to one: rows of DELIVERIES.

    Beside them ``kept``, whether the delivery is still on the disk, and its ``sequence`` there. Raises ConfigError for
    a name that neither the config nor the ledger has.
    """
    rows = store_of(project).deliveries(project.project).to_pylist()
    names = sorted({*project.publish.exports, *(row["name"] for row in rows)})
    if name is not None and name not in names:
        fix = (
            f"name one of them: {', '.join(names)}"
            if names
            else "name one in the config: publish.exports"
        )
        raise ConfigError("no such export", where="--format", found=repr(name), fix=fix)
    there = {
        each: {one.id: one.manifest["sequence"] for one in kept(project.root / "exports" / each)}
        for each in names
    }
    found = [
        row | {"sequence": there[row["name"]].get(row["delivery"])}
        for row in rows
        if name in (None, row["name"])
    ]
    return [row | {"kept": row["sequence"] is not None} for row in found]


def _hand_over(
    store: Store,
    project: Project,
    plan: Plan,
    scores: pa.Table,
    newest: Run,
    driver: Driver,
    wish: Wish = NO_WISH,
) -> Delivered:
    head = {
        "project": project.project,
        "name": plan.name,
        "format": plan.form,
        "as_of": newest.as_of,
    }
    head |= {"run_id": newest.run_id}
    try:
        done = deliver(plan, scores, project.root, newest, clock(), wish)
    except ConfigError:
        # It is the command that was wrong: nothing was to be delivered.
        raise
    except LeadscoreError as error:
        failure = {
            "delivery": newest.run_id,
            "status": "failed",
            "made_at": clock(),
            "message": error.headline,
        }
        store.record(head | failure)
        raise
    store.record(head | _row(done))
    if refused := done.manifest["refused"]["rows"]:
        example = done.manifest["refused"]["examples"][0]
        driver.note(
            f"{plan.name}: {refused:,} leads not delivered, their ids cannot be written safely, such as {example!r}"
        )
    return done


def _row(done: Delivered) -> dict[str, Any]:
    """Return what the ledger says of a delivery; one that was there before is told in its own words."""
    said = done.manifest
    return {
        "delivery": done.id,
        "status": "delivered",
        **{name: said[name] for name in ("run_id", "kind", "base", "rows", "cleared")},
        "refused": said["refused"]["rows"],
        "parts": len(said["parts"]),
        "manifest_sha256": hashlib.sha256((done.folder / MANIFEST).read_bytes()).hexdigest(),
        "made_at": datetime.fromisoformat(said["made_at"]),
    }
