"""Erasure of one entity from everything that a project stores, and a list of what remains."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import ConfigError, DataError, LeadscoreError
from configs.loading.workspace_place import REPORT_FOLDER
from configs.schema import Project
from features.intake.objections import WORKSPACE_LIST, has_personal_ids, workspace_list_source
from features.intake.reading import read_rows
from features.intake.same_as import read_merges
from features.intake.time_limits import TimeLimits
from features.tools.atomic_file import write_atomically
from pipelines.nightly.export import write_export_from_store
from pipelines.workspace import open_store, open_workspace
from serve.erasure.deliveries import erase_deliveries, erase_export
from serve.erasure.pages import erase_page
from serve.erasure.predictions import erase_predictions
from serve.erasure.quarantine import erase_quarantine
from serve.erasure.sweep import find_remaining_mentions
from serve.export.page_file import PAGE_NAME
from serve.store.entity_matcher import MIN_WORD_LENGTH, EntityMatcher
from serve.store.store import Store

# Places outside the workspace, which no run can reach.
OUT_OF_REACH = (
    "the sources: the entity is read from them again, and scored unless it is suppressed",
    "the CRM: clear or delete the lead there",
    "backups, logs of the scheduler, Prefect's own history, and files that were copied out of the "
    "workspace",
)


@dataclass(frozen=True)
class ErasureResult:
    """Result of erasing one entity.

    Attributes:
        entity: Id of the entity.
        records: Ids of other records that were merged with it; they are erased, too.
        suppressed: Whether it was put on the workspace's own suppression list.
        erased: Number of rows by place; of former exports, the number of folders.
        left: One line for each place that still names it, or may.
    """

    entity: str
    records: list[str]
    suppressed: bool
    erased: dict[str, int]
    left: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "entity": self.entity,
            "records": self.records,
            "suppressed": self.suppressed,
            "erased": self.erased,
            "left": self.left,
        }


def forget_entity(project: Project, entity: str, and_suppress: bool) -> ErasureResult:
    """Erase an entity, and the records merged with it, from all that is stored.

    With ``and_suppress`` it is put on the workspace's own suppression list first and never scored
    again. A second call finishes what a killed one left, and erases nothing once all is done.
    Raises WorkspaceBusy while another run holds the workspace, ConfigError for an empty id.
    """
    if not entity.strip():
        raise ConfigError("no entity is named", where="leadscore forget", fix="give an entity_id")
    records, problem = _find_merged_records(project, entity)
    with open_workspace(project) as root, open_store(project).hold(project.project) as store:
        # The list comes first: a run that is killed after it must not score the entity again.
        if and_suppress:
            _add_to_own_list(root / WORKSPACE_LIST, entity)
        erased, left = Counter[str](), list[str]()
        for record in (entity, *records):
            rows, lines = _erase_record(project, store, root, record)
            erased.update(rows)
            left += [line for line in lines if line not in left]
    return ErasureResult(
        entity, records, and_suppress, dict(erased), [*left, *problem, *OUT_OF_REACH]
    )


def _find_merged_records(project: Project, entity: str) -> tuple[list[str], list[str]]:
    """Return the ids of records merged with an entity, and a line if these are not known.

    Erasing the entity itself must not wait for a source that cannot be read.
    """
    try:
        merges, _ = read_merges(project, None, TimeLimits())
    except LeadscoreError as error:
        return [], [f"records merged with it, since sources.same_as cannot be read: {error}"]
    return [name for name in merges.list_records_of(entity) if name != entity], []


def _erase_record(
    project: Project, store: Store, root: Path, entity: str
) -> tuple[dict[str, int], list[str]]:
    """Erase one id; return the number of rows by place, and what still names it in words."""
    matcher = EntityMatcher(entity)
    erased, gone = store.erase(project.project, matcher)
    # The export is rewritten from the tables, so these are erased before it.
    erased |= erase_export(
        root / "exports", matcher, lambda: _rewrite_current_export(store, project)
    )
    erased |= erase_deliveries(root / "exports", matcher)
    page, shows_ids = root / REPORT_FOLDER / PAGE_NAME, not has_personal_ids(project)
    erased["reports/index.html (removed)"] = erase_page(page, matcher, shows_ids)
    erased |= erase_quarantine(root / "quarantine", matcher, _map_id_columns(project))
    erased["predictions of trainings"] = erase_predictions(root, matcher)
    remaining = find_remaining_mentions(root, matcher)
    if set(remaining) <= {WORKSPACE_LIST} and len(entity) >= MIN_WORD_LENGTH:
        erased["models, reports and all other files of the workspace"] = 0
    return erased, _describe_remains(project, root, entity, remaining, gone)


def _describe_remains(
    project: Project, root: Path, entity: str, files: list[str], gone: bool
) -> list[str]:
    """Return one line for each place in the workspace that still names the entity, or may."""
    lines = [f"{root / name}: {_explain_remaining_file(name)}" for name in files]
    if len(entity) < MIN_WORD_LENGTH:
        lines.append(
            f"{root}: an id shorter than {MIN_WORD_LENGTH} characters is not searched for in texts "
            "and other files"
        )
    if not gone and project.publish.database:
        lines.append(
            "the database's own files and logs: PostgreSQL overwrites removed rows in its own time"
        )
    elif not gone:
        lines.append(
            f"{root / 'scores.db'}: a reader still uses the state before the erasure; run it again "
            "once that reader is done"
        )
    return lines


def _explain_remaining_file(name: str) -> str:
    if name == WORKSPACE_LIST:
        return "the id alone, kept to go on suppressing it"
    if name.startswith(("artifacts/", "mlflow.db", "downloads/")):
        return (
            "a training names it: declare that column as privacy.personal, train again, delete the "
            "old runs in MLflow"
        )
    return "not a file of leadscore's, or one that it does not rewrite; remove it yourself"


def _add_to_own_list(path: Path, entity: str) -> None:
    """Add an id to the workspace's own suppression list in one step."""
    if "\0" in entity or "\n" in entity or "\r" in entity:
        raise DataError("no list can hold this id", where="entity", found=repr(entity))
    ids = list[str]()
    if path.exists():
        ids = read_rows(workspace_list_source(path), {}).column("entity_id", str(path)).to_pylist()
    if entity in ids:
        return
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([value] for value in ("entity_id", *ids, entity))
    write_atomically(path, text.getvalue())


def _rewrite_current_export(store: Store, project: Project) -> None:
    """Write the current export again from the table, in the formats that it has."""
    newest = store.last_published_run(project.project)
    exports = project.workspace_path / "exports"
    if newest is None:
        raise DataError("there is an export but nothing was published", where=str(exports))
    endings = {path.suffix.lstrip(".") for path in (exports / "current").glob("scores.*")}
    # CSV is always written; an export has at most one more format.
    form = next(iter(sorted(endings - {"csv"})), "csv")
    # Suppression lists are not read here: erasing must not wait for a broken one.
    scores = store.scores(project.project, newest.as_of)
    tables = store.night_tables(newest)
    write_export_from_store(store, project, newest, form, scores, tables)


def _map_id_columns(project: Project) -> dict[str, str | None]:
    """Return the column that holds the entity id, by the name of a source's quarantine file."""
    sources = project.sources
    columns = {f"events_{i + 1}": source.entity_id for i, source in enumerate(sources.events)}
    columns |= {
        f"attributes_{i + 1}": source.entity_id for i, source in enumerate(sources.attributes)
    }
    columns |= {
        f"identities_{i + 1}": source.entity_id for i, source in enumerate(sources.identities)
    }
    columns |= {
        f"experiments_{i + 1}": source.entity_id for i, source in enumerate(sources.experiments)
    }
    return {**columns, "leads": sources.leads.entity_id if sources.leads else None}
