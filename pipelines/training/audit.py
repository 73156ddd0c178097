"""Leakage audit of a project's columns: those of its features, and those the config leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.contracts import SPINE, Dataset
from features.definitions.catalog import Catalog
from features.definitions.feature import CHANNEL_PREFIX, TYPE_PREFIX
from features.left_out import LeftOutColumns
from features.sources import list_carried_columns
from features.spine import build_scoring_spine
from features.tools.instants import US_PER_DAY, column_to_microseconds, to_microseconds
from models.leakage.early import find_known_too_early
from models.leakage.origins import ColumnOrigins, LeadColumns
from models.leakage.suspects import Suspect, describe_limits, find_suspects
from models.leakage.worked import MIN_COMPARED_LEADS
from pipelines.results.audit import (
    ALLOWED,
    LEFT_OUT,
    NO_FEATURE,
    OFFERED,
    AuditFinding,
    TargetAudit,
)
from pipelines.runner import read_clock
from pipelines.training_data import Snapshot, TrainingRows, build_training_rows, load_snapshot

ACCOUNT = "account_id"
# Number of people known in a role, and how the audit names what it comes from.
ROLE_KNOWN, ROLE_COLUMN = "role_known", "accounts.roles.{}"


def audit_targets(
    project: Project, as_of: str | None, targets: list[str], log: Callable[[str], None]
) -> Iterator[TargetAudit]:
    """Yield the audit of each target on the labelled rows of a training at ``as_of``.

    It covers the features, and every column of the leads source without a role, so also those that
    the config leaves out. ``log`` receives one line per step. Raises what reading data and building
    the rows raise.
    """
    log("reading the sources")
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    for target in targets:
        log(f"{target}: rows and features")
        rows = build_training_rows(snapshot, target)
        count = len(snapshot.dataset.attributes) + snapshot.left_out.table.num_columns
        log(f"{target}: auditing {count} columns of {rows.matrix.num_rows:,} rows")
        audit = audit_rows(snapshot, target, rows)
        for limit in audit.limits:
            log(f"{target}: {limit}")
        yield audit


def audit_rows(snapshot: Snapshot, target: str, rows: TrainingRows) -> TargetAudit:
    """Return the suspected columns of a target, with the state in which training finds each.

    `audit` reports them, `train` obeys them: this is the only place that decides. ``rows`` are the
    target's training rows. Columns that the config leaves out are audited too, since one of them
    may show that another is a leak.
    """
    left_out = snapshot.left_out
    leads = _gather_leads(snapshot, target, rows)
    origins = replace(trace_origins(snapshot, rows), leads=leads)
    suspects = find_suspects(rows.matrix, rows.labels, target, origins)
    suspects += _find_early_roles(target, rows, origins, {s.column for s in suspects})
    suspects.sort(key=lambda suspect: suspect.column)
    limits = [describe_limits(rows.labels), left_out.problem and _describe_unread(left_out)]
    return TargetAudit(
        tuple(AuditFinding(suspect, _describe_state(suspect, origins)) for suspect in suspects),
        tuple(limit for limit in limits if limit),
    )


def _find_early_roles(
    target: str, rows: TrainingRows, origins: ColumnOrigins, named: set[str]
) -> list[Suspect]:
    """Return the roles whose people were known too early, and that no other rule names."""
    early = find_known_too_early(rows.matrix, rows.labels, _list_role_counts(rows.catalog))
    return [
        Suspect(target, column, evidence, column in origins.allowed)
        for column, evidence in early
        if column not in named
    ]


def _list_role_counts(catalog: Catalog) -> dict[str, str]:
    """Return how the audit names each count of known people, by feature."""
    return {
        f.name: ROLE_COLUMN.format(f.meaning.name)
        for f in catalog.features
        if f.aggregate == ROLE_KNOWN
    }


def _describe_unread(left_out: LeftOutColumns) -> str:
    return f"columns that the config leaves out could not be read for the audit: {left_out.problem}"


def _describe_state(suspect: Suspect, origins: ColumnOrigins) -> str:
    if suspect.column == ACCOUNT and not suspect.dated:
        return NO_FEATURE
    used = origins.dated if suspect.dated else origins.current
    if suspect.column not in used.values():
        return LEFT_OUT
    return ALLOWED if suspect.allowed else OFFERED


def _gather_leads(snapshot: Snapshot, target: str, rows: TrainingRows) -> LeadColumns:
    """Return the leads with the columns to audit, and which of them are to be scored."""
    project, dataset, left_out = snapshot.project, snapshot.dataset, snapshot.left_out
    carried = list_carried_columns(project)
    table = dataset.leads.select([name for name in dataset.attributes if name not in carried])
    for field in left_out.table.schema:
        if field.name != left_out.order:
            table = table.append_column(field, left_out.table[field.name])
    created_us = column_to_microseconds(dataset.leads["created_at"])
    lead_row = dataset.find_leads(rows.matrix["entity_id"])
    return LeadColumns(
        table,
        lead_row,
        _find_open_leads(snapshot, target, rows, lead_row),
        created_us,
        created_us / US_PER_DAY if dataset.timed else _read_order_day(dataset, left_out),
        to_microseconds(snapshot.as_of) / US_PER_DAY if dataset.timed else None,
        frozenset(_list_dates(dataset) | left_out.dates),
    )


def _find_open_leads(
    snapshot: Snapshot, target: str, rows: TrainingRows, lead_row: np.ndarray
) -> np.ndarray:
    """Return the rows of the leads to score; where there are few, those of immature rows."""
    spine = build_scoring_spine(
        snapshot.dataset, snapshot.project.target_config(target), snapshot.as_of
    )
    if spine.num_rows >= MIN_COMPARED_LEADS:
        return np.unique(snapshot.dataset.find_leads(spine["entity_id"]))
    return np.unique(lead_row[rows.labels["label"].is_null().to_numpy()])


def _read_order_day(dataset: Dataset, left_out: LeftOutColumns) -> np.ndarray | None:
    """Return the day that gives the order of leads without times; None if it is no date."""
    if left_out.order in left_out.dates:
        return pc.fill_null(left_out.table[left_out.order], np.nan).to_numpy()
    if left_out.order in _list_dates(dataset):
        return pc.fill_null(dataset.leads[left_out.order], np.nan).to_numpy()
    return None


def _list_dates(dataset: Dataset) -> set[str]:
    """Return the attributes of the leads that were read as dates."""
    readings = dataset.readings.columns
    return {
        name
        for name in dataset.attributes
        if name in readings and readings[name].stored.kind == "date"
    }


def drop_suspects(
    snapshot: Snapshot, target: str, rows: TrainingRows
) -> tuple[TrainingRows, TargetAudit]:
    """Return the rows without the features of suspected columns, and the audit.

    Columns that the config allows stay. Raises DataError if no feature remains.
    """
    audit = audit_rows(snapshot, target, rows)
    suspected = {
        (finding.suspect.column, finding.suspect.dated)
        for finding in audit.findings
        if finding.state == OFFERED
    }
    origins = trace_origins(snapshot, rows)
    # An event type and a column of the leads may share a name; only the suspect goes.
    dropped = {
        feature
        for is_dated, features in ((False, origins.current), (True, origins.dated))
        for feature, column in features.items()
        if (column, is_dated) in suspected
    }
    # Where people of a role were known too early, so was what they did.
    roles = {f.subject for f in rows.catalog.features if f.aggregate == ROLE_KNOWN} & {
        f.subject for f in rows.catalog.features if f.name in dropped
    }
    dropped |= {f.name for f in rows.catalog.features if f.subject in roles}
    if not dropped:
        return rows, audit
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
    ), audit


def trace_origins(snapshot: Snapshot, rows: TrainingRows) -> ColumnOrigins:
    """Trace the columns of a target's matrix to the columns and event types they come from."""
    origins = {
        feature.name: _find_source_column(feature.subject, feature.name)
        for feature in rows.catalog.features
    }
    current = {f.name: f.subject for f in rows.catalog.features if f.aggregate == "attribute"}
    # Contacts that were entered after the outcome show it like a column, if known_at is wrong.
    current |= _list_role_counts(rows.catalog)
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
