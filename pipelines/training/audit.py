"""Leakage audit of a project's columns: those of its features, and those the config leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

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
from features.sources import list_carried_columns
from models.leakage.suspects import (
    ColumnOrigins,
    Suspect,
    describe_limits,
    find_suspects,
)
from pipelines.results.audit import ALLOWED, LEFT_OUT, NO_FEATURE, OFFERED, AuditFinding
from pipelines.training_data import Snapshot, TrainingRows, build_training_rows, load_snapshot

ACCOUNT = "account_id"


def audit_targets(
    project: Project, as_of: str | None, targets: list[str], log: Callable[[str], None]
) -> Iterator[list[AuditFinding]]:
    """Yield each target's findings, by column, on the labelled rows of a training at ``as_of``.

    The audit covers the features, and every column of the leads source without a role, so also
    those that the config leaves out. ``log`` receives one line per step. Raises what reading data
    and building the rows raise.
    """
    log("reading the sources")
    # Columns that the config leaves out are audited too, so that new data can be examined in full.
    columns = _list_candidate_columns(project)
    snapshot = load_snapshot(_offer_columns(project, columns), as_of)
    left_out = set(columns) - set(_find_offered_columns(project, columns))
    snapshot = _trust_columns(snapshot, left_out)
    snapshot.log_warnings(log)
    for target in targets:
        log(f"{target}: rows and features")
        rows = build_training_rows(snapshot, target)
        columns_audited = len(snapshot.dataset.attributes)
        log(f"{target}: auditing {columns_audited} columns of {rows.matrix.num_rows:,} rows")
        log_limits(target, rows, log)
        suspects = find_suspects(rows.matrix, rows.labels, target, trace_origins(snapshot, rows))
        yield [AuditFinding(suspect, _describe_state(suspect, left_out)) for suspect in suspects]


def log_limits(target: str, rows: TrainingRows, log: Callable[[str], None]) -> None:
    """Log what the audit cannot see for lack of outcomes, if anything."""
    if limit := describe_limits(rows.labels):
        log(f"the leakage audit of {target} sees little: {limit}")


def drop_suspects(
    snapshot: Snapshot, target: str, rows: TrainingRows
) -> tuple[TrainingRows, list[Suspect]]:
    """Return the rows without the features of suspected columns, and the suspects.

    Columns that the config allows stay, and are among the suspects. Raises DataError if no feature
    remains.
    """
    origins = trace_origins(snapshot, rows)
    suspects = find_suspects(rows.matrix, rows.labels, target, origins)
    suspected = {(suspect.column, suspect.dated) for suspect in suspects if not suspect.allowed}
    # An event type and a column of the leads may share a name; only the suspect goes.
    dropped = {
        feature
        for is_dated, features in ((False, origins.current), (True, origins.dated))
        for feature, column in features.items()
        if (column, is_dated) in suspected
    }
    if not dropped:
        return rows, suspects
    remaining = [feature.name for feature in rows.catalog.features if feature.name not in dropped]
    # Without any feature a training would only repeat the base rate.
    if not remaining:
        raise DataError(
            "every feature comes from a column that seems to leak the outcome",
            where=f"target {target}",
            found=f"{len(suspected)} columns, such as {min(suspected)[0]!r}",
            fix="see `leadscore audit`; allow those that are known at the cutoff under audit.allow",
        )
    return TrainingRows(
        rows.matrix.select([*SPINE.names, *remaining]), rows.labels, rows.catalog.select(remaining)
    ), suspects


def trace_origins(snapshot: Snapshot, rows: TrainingRows) -> ColumnOrigins:
    """Trace the columns of a target's matrix to the columns and event types they come from."""
    origins = {
        feature.name: _find_source_column(feature.subject, feature.name)
        for feature in rows.catalog.features
    }
    current = {f.name: f.subject for f in rows.catalog.features if f.aggregate == "attribute"}
    dated = {
        name: column for name, column in origins.items() if name not in current
    } | _trace_roles(rows.catalog)
    account = None
    if snapshot.dataset.leads[ACCOUNT].null_count < snapshot.dataset.leads.num_rows:
        lead = snapshot.dataset.find_leads(rows.matrix["entity_id"])
        account = snapshot.dataset.leads[ACCOUNT].take(pa.array(lead))
    _check_allowed_columns(
        snapshot, {*current.values(), *dated.values(), *snapshot.dataset.attributes, ACCOUNT}
    )
    return ColumnOrigins(
        current, dated, snapshot.dataset.ordered, account, frozenset(snapshot.project.audit.allow)
    )


def _check_allowed_columns(snapshot: Snapshot, known: set[str]) -> None:
    """Raise ConfigError for an allowed column that no feature comes from.

    Without this error a misspelt name would have no effect and stay unnoticed.
    """
    for name in snapshot.project.audit.allow:
        if name not in known:
            raise ConfigError(
                "no feature comes from this column, so there is nothing to allow",
                where=f"{snapshot.project.path}: audit.allow",
                found=repr(name),
                fix=did_you_mean(name, known)
                or "see `leadscore audit` for the columns, or leave it out",
            )


def _find_source_column(subject: str, feature: str) -> str:
    """Return the event type, channel or attribute of a feature; its own name if it has several."""
    if subject.startswith((TYPE_PREFIX, CHANNEL_PREFIX)):
        return subject.partition(":")[2]
    return feature if subject == "any" or ":" in subject else subject


def _trace_roles(catalog: Catalog) -> dict[str, str]:
    """Return for each feature that counts roles the attribute that holds the role."""
    return {
        feature.name: catalog.role for feature in catalog.features if feature.aggregate == "roles"
    }


def _trust_columns(snapshot: Snapshot, columns: set[str]) -> Snapshot:
    """Return the snapshot without doubts and warnings about columns that the config leaves out."""
    dataset, readings = snapshot.dataset, snapshot.dataset.readings
    lines = {
        line for name in columns & set(readings.columns) for line in readings.columns[name].warnings
    }
    counts = tuple(
        replace(count, warnings=tuple(line for line in count.warnings if line not in lines))
        for count in dataset.counts
    )
    dataset = replace(dataset, counts=counts, readings=readings.trust(columns))
    return replace(snapshot, dataset=dataset)


def _list_candidate_columns(project: Project) -> list[str]:
    """Return every column of the leads source that can be an attribute."""
    leads = project.sources.leads
    if leads is None:
        return []
    reserved = {
        leads.entity_id,
        leads.created_at,
        leads.known_at,
        leads.account_id,
        leads.order,
        *LEADS.names,
    }
    # Columns with a history show each cutoff the value known then, so there is nothing to suspect.
    # Personal columns are not read beyond the reader.
    reserved |= (
        list_carried_columns(project)
        | _list_dated_attributes(project)
        | project.privacy.hidden_columns
    )
    return [name for name in read_rows(leads, {}).names if name not in reserved]


def _list_dated_attributes(project: Project) -> set[str]:
    """Return the attributes with a history: those declared in the config, or those in the data."""
    sources = project.sources.attributes
    if all(source.declared_attributes for source in sources):
        return {name for source in sources for name in source.declared_attributes}
    # A history that declares no attributes names them in its rows, so the rows must be read.
    return set(pc.unique(load_snapshot(project, None).dataset.values["attribute"]).to_pylist())


def _offer_columns(project: Project, columns: list[str]) -> Project:
    """Return the project with a config that offers these columns as attributes."""
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
    offered = project.sources.leads.attributes if project.sources.leads else ()
    for name in columns:
        is_offered = (
            name not in offered.all_except if isinstance(offered, AllExcept) else name in offered
        )
        if is_offered and name not in project.features.exclude:
            yield name


def _describe_state(suspect: Suspect, left_out: set[str]) -> str:
    if suspect.column == ACCOUNT:
        return NO_FEATURE
    if suspect.column in left_out:
        return LEFT_OUT
    return ALLOWED if suspect.allowed else OFFERED
