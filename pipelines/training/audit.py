"""The leakage audit of a project: of the columns that its features use, and of those that the config leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from configs.schema import Project
from configs.source_rows import AllExcept
from configs.suggestions import did_you_mean
from features.contracts import LEADS, SPINE
from features.definitions.catalog import Catalog
from features.definitions.feature import CHANNEL_PREFIX, TYPE_PREFIX
from features.intake.reading import read_rows
from features.sources import carried_columns
from models.leakage.leakage import ColumnOrigins, Suspect, find_suspects
from pipelines.results.audit import ALLOWED, LEFT_OUT, NO_FEATURE, OFFERED, AuditFinding
from pipelines.training_data import Snapshot, TrainingRows, build_training_rows, load_snapshot

ACCOUNT = "account_id"


def audit_targets(
    project: Project, as_of: str | None, targets: list[str], note: Callable[[str], None]
) -> Iterator[list[AuditFinding]]:
    """Yield each target's findings, by column, on the labelled rows that a training at ``as_of`` would learn from.

    Beside the features it looks at every column of the leads source that no key maps, so also at those that the config
    leaves out. ``note`` is told each step in words. Raises what reading the data and the rows raise.
    """
    note("reading the sources")
    columns = _list_candidate_columns(project)
    now = load_snapshot(_offer_columns(project, columns), as_of)
    left_out = set(columns) - set(_find_offered_columns(project, columns))
    for name in targets:
        note(f"{name}: rows and features")
        rows = build_training_rows(now, name)
        note(
            f"{name}: looking at {len(now.dataset.attributes)} columns of {rows.matrix.num_rows:,} rows"
        )
        found = find_suspects(rows.matrix, rows.labels, name, trace_origins(now, rows))
        yield [AuditFinding(suspect, _describe_state(suspect, left_out)) for suspect in found]


def drop_suspects(
    now: Snapshot, name: str, rows: TrainingRows
) -> tuple[TrainingRows, list[Suspect]]:
    """Return the rows without the features of suspected columns, and the suspects among the features offered.

    Columns that the config allows stay, and are among the suspects returned. Raises DataError where no feature is left.
    """
    traced = trace_origins(now, rows)
    found = find_suspects(rows.matrix, rows.labels, name, traced)
    out = {suspect.column for suspect in found if not suspect.allowed}
    dropped = {
        feature for feature, column in {**traced.current, **traced.dated}.items() if column in out
    }
    if not dropped:
        return rows, found
    kept = [feature.name for feature in rows.catalog.features if feature.name not in dropped]
    if not kept:
        raise DataError(
            "every feature is of a column that seems to know the outcome",
            where=f"target {name}",
            found=f"{len(out)} columns, such as {min(out)!r}",
            fix="see `leadscore audit`; allow those that are known at the cutoff under audit.allow",
        )
    return TrainingRows(
        rows.matrix.select([*SPINE.names, *kept]), rows.labels, rows.catalog.select(kept)
    ), found


def trace_origins(now: Snapshot, rows: TrainingRows) -> ColumnOrigins:
    """Trace the columns of a target's matrix to the columns and event types they come from."""
    traced = {
        feature.name: _find_source_column(feature.subject, feature.name)
        for feature in rows.catalog.features
    }
    today = {f.name: f.subject for f in rows.catalog.features if f.aggregate == "attribute"}
    dated = {name: column for name, column in traced.items() if name not in today} | _trace_roles(
        rows.catalog
    )
    account = None
    if now.dataset.leads[ACCOUNT].null_count < now.dataset.leads.num_rows:
        lead = now.dataset.find_leads(rows.matrix["entity_id"])
        account = now.dataset.leads[ACCOUNT].take(pa.array(lead))
    _check_allowed_columns(
        now, {*today.values(), *dated.values(), *now.dataset.attributes, ACCOUNT}
    )
    return ColumnOrigins(
        today, dated, now.dataset.ordered, account, frozenset(now.project.audit.allow)
    )


def _check_allowed_columns(now: Snapshot, known: set[str]) -> None:
    """A column that is written wrong would allow nothing, and nobody would hear of it."""
    for name in now.project.audit.allow:
        if name not in known:
            raise ConfigError(
                "no feature comes from this column, so there is nothing to allow",
                where=f"{now.project.path}: audit.allow",
                found=repr(name),
                fix=did_you_mean(name, known)
                or "see `leadscore audit` for the columns, or leave it out",
            )


def _find_source_column(subject: str, feature: str) -> str:
    """Return the event type, channel or attribute that a feature is of, its own name where it is of no single one."""
    if subject.startswith((TYPE_PREFIX, CHANNEL_PREFIX)):
        return subject.partition(":")[2]
    return feature if subject == "any" or ":" in subject else subject


def _trace_roles(catalog: Catalog) -> dict[str, str]:
    """Trace what is counted of roles to the attribute that says them."""
    return {
        feature.name: catalog.role for feature in catalog.features if feature.aggregate == "roles"
    }


def _list_candidate_columns(project: Project) -> list[str]:
    """Return every column of the leads source that can be an attribute."""
    leads = project.sources.leads
    if leads is None:
        return []
    taken = {
        leads.entity_id,
        leads.created_at,
        leads.known_at,
        leads.account_id,
        leads.order,
        *LEADS.names,
    }
    taken |= (
        carried_columns(project) | _list_dated_attributes(project) | project.privacy.hidden_columns
    )
    return [name for name in read_rows(leads, {}).names if name not in taken]


def _list_dated_attributes(project: Project) -> set[str]:
    """Return the attributes that a history tells of; where the config does not name them, the data does."""
    sources = project.sources.attributes
    if all(source.declared_attributes for source in sources):
        return {name for source in sources for name in source.declared_attributes}
    return set(pc.unique(load_snapshot(project, None).dataset.values["attribute"]).to_pylist())


def _offer_columns(project: Project, columns: list[str]) -> Project:
    """Return the project as if the config offered these columns, whatever it leaves out."""
    sources, features = project.sources, project.features
    if sources.leads is None:
        return project
    leads = sources.leads.model_copy(update={"attributes": tuple(columns)})
    exclude = tuple(name for name in features.exclude if name not in columns)
    changed = {
        "sources": sources.model_copy(update={"leads": leads}),
        "features": features.model_copy(update={"exclude": exclude}),
    }
    return project.model_copy(update=changed)


def _find_offered_columns(project: Project, columns: list[str]) -> Iterator[str]:
    """Yield the columns that the config's own features use."""
    chosen = project.sources.leads.attributes if project.sources.leads else ()
    for name in columns:
        listed = name not in chosen.all_except if isinstance(chosen, AllExcept) else name in chosen
        if listed and name not in project.features.exclude:
            yield name


def _describe_state(suspect: Suspect, left_out: set[str]) -> str:
    if suspect.column == ACCOUNT:
        return NO_FEATURE
    if suspect.column in left_out:
        return LEFT_OUT
    return ALLOWED if suspect.allowed else OFFERED
