"""Attributes of units as known at their entry, without those that may have been filled later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.errors import ConfigError
from configs.suggestions import did_you_mean
from features.contracts import INSTANT, SPINE
from features.definitions.attributes import as_of_join, infer_attribute_kinds
from features.sources import list_carried_columns
from features.tools.instants import US_PER_DAY, column_to_microseconds, to_microseconds
from models.fit.late_columns import describe_late_filling
from models.leakage.origins import ColumnOrigins, LeadColumns
from models.leakage.suspects import describe_limits, find_suspects
from pipelines.fit.units import EntryUnits, MatureUnits
from pipelines.training_data import Snapshot

# Before the names of attributes in a matrix, so that none is equal to a column of SPINE.
PREFIX = "attribute "


@dataclass(frozen=True)
class EntryAttributes:
    """Attributes of units at their entry.

    Attributes:
        columns: Values by attribute, float64 or string (units,).
        dated: Names of those that have a history, so that they are known to be of the entry.
        refused: Evidence by attribute that its value was written later; these are not among
            ``columns``.
        limits: What the search for such attributes could not see, in sentences.
    """

    columns: Mapping[str, pa.Array]
    dated: frozenset[str]
    refused: Mapping[str, str]
    limits: tuple[str, ...]


def collect_entry_attributes(
    snapshot: Snapshot, units: EntryUnits, mature: MatureUnits, target: str
) -> EntryAttributes:
    """Return the attributes of all units, audited on the mature ones.

    An attribute with a history has the value that was available before the entry, later ones never
    count. Of one without, the leakage audit and the comparison of customers with others decide
    whether it may be used; ``audit.allow`` overrules both. Dates are left out, since they only
    follow time. Raises ConfigError for a name in ``fit.attributes`` that is no attribute.
    """
    kinds = infer_attribute_kinds(snapshot.dataset.values, snapshot.dataset.readings.columns)
    names = _choose_names(snapshot, [*snapshot.dataset.attributes, *kinds])
    columns = {name: read_entry_column(snapshot, units, name, kinds) for name in names}
    columns = {name: column for name, column in columns.items() if column.null_count < len(column)}
    current = {name: column for name, column in columns.items() if name not in kinds}
    refused, limits = _find_late_columns(snapshot, units, mature, target, current)
    return EntryAttributes(
        {name: column for name, column in columns.items() if name not in refused},
        frozenset(kinds) & frozenset(columns),
        refused,
        limits,
    )


def list_entry_names(snapshot: Snapshot, offered: list[str]) -> list[str]:
    """Return those of the names of attributes that models may use: no personal ones, no dates."""
    project, readings = snapshot.project, snapshot.dataset.readings.columns
    hidden = {*project.privacy.personal, *project.features.exclude}
    hidden |= list_carried_columns(project)
    hidden |= {name for name in offered if _is_date(readings, name)}
    return [name for name in dict.fromkeys(offered) if name not in hidden]


def _choose_names(snapshot: Snapshot, offered: list[str]) -> list[str]:
    """Return the names of the attributes that may enter a profile."""
    project, usable = snapshot.project, list_entry_names(snapshot, offered)
    chosen = project.fit.attributes
    for name in chosen:
        if name not in usable:
            known = ", ".join(usable)
            raise ConfigError(
                "no attribute of the leads that a profile can use",
                where=f"{project.path}: fit.attributes",
                found=repr(name),
                fix=did_you_mean(name, usable) or f"name some of {known}",
            )
    return [name for name in usable if not chosen or name in chosen]


def _is_date(readings: Mapping[str, object], name: str) -> bool:
    stored = getattr(readings.get(name), "stored", None)
    return getattr(stored, "kind", None) == "date"


def read_entry_column(
    snapshot: Snapshot, units: EntryUnits, name: str, kinds: Mapping[str, str]
) -> pa.Array:
    """Return an attribute of each unit's first lead, as it was available before the entry."""
    dataset = snapshot.dataset
    if name not in kinds:
        column = dataset.leads[name].take(pa.array(units.lead)).combine_chunks()
        return column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.string())
    reading = dataset.readings.columns.get(name)
    kind = "number" if kinds[name] == "number" else "category"
    return as_of_join(
        dataset.values,
        name,
        kind,  # type: ignore[arg-type]
        units.lead,
        units.entry,
        dataset.lead_ids,
        reading.stored if reading else None,
    )


def _find_late_columns(
    snapshot: Snapshot,
    units: EntryUnits,
    mature: MatureUnits,
    target: str,
    columns: Mapping[str, pa.Array],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the evidence by column without a history that was filled late, and what is unseen."""
    if not columns:
        return {}, ()
    labels = pa.table({"label": pa.array(mature.cohort.is_customer.astype(np.int8))})
    matrix = _build_entry_matrix(snapshot, units, mature, columns)
    allowed = frozenset(snapshot.project.audit.allow)
    origins = ColumnOrigins(
        current={PREFIX + name: name for name in columns},
        ordered=snapshot.dataset.ordered,
        account_id=None,
        allowed=allowed,
        leads=_gather_leads(snapshot, units, mature, columns),
    )
    refused = {
        suspect.column: suspect.evidence
        for suspect in find_suspects(matrix, labels, target, origins)
        if suspect.column in columns and not suspect.allowed
    }
    for name, column in columns.items():
        filled = column.take(pa.array(mature.rows)).is_valid().to_numpy(zero_copy_only=False)
        evidence = describe_late_filling(filled, mature.cohort.is_customer)
        if evidence and name not in allowed:
            refused.setdefault(name, evidence)
    limit = describe_limits(labels)
    return dict(sorted(refused.items())), (limit,) if limit else ()


def _build_entry_matrix(
    snapshot: Snapshot, units: EntryUnits, mature: MatureUnits, columns: Mapping[str, pa.Array]
) -> pa.Table:
    """Return SPINE and the columns of the mature units: one row per unit, at its entry."""
    rows = pa.array(mature.rows)
    lead, entry = units.lead[mature.rows], units.entry[mature.rows]
    keys = [
        snapshot.dataset.leads["entity_id"].take(pa.array(lead)),
        pa.array(entry).cast(INSTANT),
    ]
    own = {PREFIX + name: column.take(rows) for name, column in columns.items()}
    return pa.table(dict(zip(SPINE.names, keys, strict=True)) | own)


def _gather_leads(
    snapshot: Snapshot, units: EntryUnits, mature: MatureUnits, columns: Mapping[str, pa.Array]
) -> LeadColumns:
    """Return the units' first leads with their columns; those that are not mature are open."""
    created = column_to_microseconds(snapshot.dataset.leads["created_at"])[units.lead]
    is_open = np.ones(len(units), bool)
    is_open[mature.rows] = False
    timed = snapshot.dataset.timed
    return LeadColumns(
        pa.table(dict(columns)),
        mature.rows,
        np.flatnonzero(is_open),
        created,
        created / US_PER_DAY if timed else None,
        to_microseconds(snapshot.as_of) / US_PER_DAY if timed else None,
    )
