"""One entity erased from all that a project stores, and what of it lies elsewhere."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import ConfigError, DataError
from configs.schema import Project
from features.intake.objections import OWN_LIST, own_list
from features.intake.reading import read_rows
from features.tools.atomic_file import write_whole
from pipelines.nightly.export import write_export_from_store
from pipelines.workspace import hold_workspace, open_store
from serve.erasure.deliveries import erase_deliveries, erase_export
from serve.erasure.quarantine import erase_quarantine
from serve.erasure.sweep import find_remaining_mentions
from serve.store.entity_matcher import MIN_WORD_LENGTH, EntityMatcher
from serve.store.store import Store

OUT_OF_REACH = (
    "the sources: it is read from them again, and scored unless it is suppressed",
    "the CRM: clear or delete the lead there",
    "backups, logs of the scheduler, Prefect's own history, and files that were copied out of the workspace",
)
"""What no run can reach."""


@dataclass(frozen=True)
class ErasureResult:
    """``erased`` counts rows (of former exports, folders) by where they were; ``left`` says what still names it."""

    entity: str
    suppressed: bool
    erased: dict[str, int]
    left: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return dict(vars(self))


def forget_entity(project: Project, entity: str, and_suppress: bool) -> ErasureResult:
    """Erase an entity from tables, exports, deliveries and quarantine; with ``and_suppress`` it is never scored again.

    Doing it again finishes what was killed half-way, and finds nothing once all is done. Raises WorkspaceBusy while
    another run holds the workspace, ConfigError for an empty id.
    """
    if not entity.strip():
        raise ConfigError("no entity is named", where="leadscore forget", fix="give an entity_id")
    named = EntityMatcher(entity)
    with hold_workspace(project) as root, open_store(project).hold(project.project) as store:
        if and_suppress:
            _add_to_own_list(root / OWN_LIST, entity)
        rows, gone = store.erase(project.project, named)
        erased = rows | erase_export(root / "exports", named, lambda: _rewrite_current_export(store, project))
        erased |= erase_deliveries(root / "exports", named)
        erased |= erase_quarantine(root / "quarantine", named, _map_id_columns(project))
        left = find_remaining_mentions(root, named)
    if set(left) <= {OWN_LIST} and len(entity) >= MIN_WORD_LENGTH:
        erased["models, reports and all other files of the workspace"] = 0
    return ErasureResult(
        entity, and_suppress, erased, [*_describe_remains(project, root, named, left, gone), *OUT_OF_REACH]
    )


def _describe_remains(project: Project, root: Path, named: EntityMatcher, files: list[str], gone: bool) -> list[str]:
    found = [f"{root / name}: {_explain_remaining_file(name)}" for name in files]
    if len(named.entity_id) < MIN_WORD_LENGTH:
        found.append(
            f"{root}: an id of fewer than {MIN_WORD_LENGTH} signs is not looked for in texts and other files"
        )
    if not gone and project.publish.database:
        found.append(
            "the database's own files and logs: PostgreSQL writes over removed rows in its own time"
        )
    elif not gone:
        found.append(
            f"{root / 'scores.db'}: a reader still looks at the state before; run it again once it is done"
        )
    return found


def _explain_remaining_file(name: str) -> str:
    if name == OWN_LIST:
        return "the id alone, kept to go on suppressing it"
    if name.startswith(("artifacts/", "mlflow.db", "downloads/")):
        return "a training names it: declare that column as privacy.personal, train again, delete the old runs in MLflow"
    return "not a file of leadscore's, or one that it does not rewrite; remove it yourself"


def _add_to_own_list(path: Path, entity: str) -> None:
    """Add an id to the workspace's own list, whole or not at all."""
    if "\0" in entity or "\n" in entity or "\r" in entity:
        raise DataError("no list can hold this id", where="entity", found=repr(entity))
    known = list[str]()
    if path.exists():
        known = read_rows(own_list(path), {}).column("entity_id", str(path)).to_pylist()
    if entity in known:
        return
    text = io.StringIO()
    rows = [[one] for one in ("entity_id", *known, entity)]
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue())


def _rewrite_current_export(store: Store, project: Project) -> None:
    """Write the current export once more from the table, in the forms that it has."""
    newest = store.last_published_run(project.project)
    if newest is None:
        raise DataError(
            "there is an export and nothing was published", where=str(project.workspace_path / "exports")
        )
    there = {
        path.suffix.lstrip(".") for path in (project.workspace_path / "exports" / "current").glob("scores.*")
    }
    form = next(iter(sorted(there - {"csv"})), "csv")
    # The lists are not read: erasing must not wait for one that is broken.
    write_export_from_store(store, project, newest, form, store.scores(project.project, newest.as_of))


def _map_id_columns(project: Project) -> dict[str, str | None]:
    """Return the column that holds the id, by the name of a source's quarantine file."""
    sources = project.sources
    found = {f"events_{i + 1}": source.entity_id for i, source in enumerate(sources.events)}
    found |= {
        f"attributes_{i + 1}": source.entity_id for i, source in enumerate(sources.attributes)
    }
    return {**found, "leads": sources.leads.entity_id if sources.leads else None}
