"""Draws the sample that the rules of the leakage audit read."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
import pyarrow as pa

from features.tools.instants import US_PER_DAY
from models.encoding import sample_evenly
from models.leakage.origins import ColumnOrigins, LeadColumns
from models.leakage.sample import AuditSample, OpenLeads, SampleDates
from models.leakage.standouts import MAX_COMPARED
from models.leakage.strength import AuditColumn, measure_single_strength
from models.training.folds import hash_entities

# Rows that rank the dated features; only the strongest are compared on all rows.
PILOT_ROWS = 4_000
# Leads to score that are read, spread evenly: shares of filled values need no more.
MAX_OPEN_LEADS = 20_000


def draw_sample(
    matrix: pa.Table, rows: np.ndarray, label: np.ndarray, origins: ColumnOrigins
) -> AuditSample:
    """Return the audit sample of some rows of the matrix."""
    ids = matrix["entity_id"].take(rows).to_numpy()
    # Halves keep accounts together: leads of one account share their outcome, so a column that only
    # identifies the account would seem strong in the other half.
    group, account = ids, None
    if origins.account_id is not None:
        account = origins.account_id.take(rows).to_numpy()
        group = account = np.where(account == None, ids, account)  # noqa: E711 - element by element
    half = hash_entities(group.astype(str), 0) % np.uint64(2) == 0
    current = {
        column: AuditColumn.from_arrow(column, matrix[name].take(rows))
        for name, column in origins.current.items()
    }
    leads = origins.leads
    if leads is not None:
        # The columns that no feature uses; the matrix has the others.
        at_rows = leads.lead_row[rows]
        current |= _take_columns(leads, at_rows, skipped=set(current))
    columns = {name: column for name, column in current.items() if column.filled.any()}
    return AuditSample(
        label=label,
        half=half,
        entity=_encode_ids(ids),
        account=None if account is None else _encode_ids(account),
        time_order=matrix["cutoff"].take(rows).cast(pa.int64()).to_numpy().astype(np.float64)
        if origins.ordered
        else None,
        id_number=_parse_numeric_ids(ids),
        columns=columns,
        dated=_select_dated_features(matrix, rows, label, half, origins.dated),
        left_out=frozenset(columns) - set(origins.current.values()),
        created_us=None if leads is None or not origins.ordered else leads.created_us[at_rows],
        open_leads=None if leads is None else _draw_open_leads(leads, at_rows, columns, origins),
        dates=None if leads is None else _compare_dates(leads, at_rows, matrix, rows),
    )


def _take_columns(
    leads: LeadColumns, rows: np.ndarray, skipped: Set[str] = frozenset()
) -> dict[str, AuditColumn]:
    """Return the columns of some leads by name."""
    table = leads.table.select([n for n in leads.table.column_names if n not in skipped])
    taken = table.take(pa.array(rows))
    return {
        name: AuditColumn.from_arrow(name, taken[name].cast(_audited_type(taken[name].type)))
        for name in taken.column_names
    }


def _audited_type(kind: pa.DataType) -> pa.DataType:
    return pa.float64() if pa.types.is_floating(kind) else pa.string()


def _draw_open_leads(
    leads: LeadColumns,
    at_rows: np.ndarray,
    names: Mapping[str, AuditColumn],
    origins: ColumnOrigins,
) -> OpenLeads | None:
    """Return a sample of the leads to score; None if there are none."""
    if not len(leads.open_rows):
        return None
    rows = leads.open_rows[sample_evenly(len(leads.open_rows), MAX_OPEN_LEADS)]
    is_open = np.zeros(leads.table.num_rows, bool)
    is_open[leads.open_rows] = True
    columns = _take_columns(leads, rows, skipped=set(leads.table.column_names) - set(names))
    return OpenLeads(
        leads.created_us[rows] if origins.ordered else None,
        None if leads.created_day is None else leads.created_day[rows],
        columns,
        is_open[at_rows],
    )


def _compare_dates(
    leads: LeadColumns, at_rows: np.ndarray, matrix: pa.Table, rows: np.ndarray
) -> SampleDates | None:
    """Return the days that the date columns are compared with; None if nothing is known of them."""
    if leads.created_day is None or not leads.dates:
        return None
    if leads.as_of_day is None:
        return SampleDates(
            leads.dates, None, leads.created_day[at_rows], float(np.nanmax(leads.created_day))
        )
    cutoff_us = matrix["cutoff"].take(rows).cast(pa.int64()).to_numpy()
    return SampleDates(
        leads.dates, cutoff_us / US_PER_DAY, leads.created_day[at_rows], leads.as_of_day
    )


def _select_dated_features(
    matrix: pa.Table,
    rows: np.ndarray,
    label: np.ndarray,
    half: np.ndarray,
    dated: Mapping[str, str],
) -> list[AuditColumn]:
    """Return the strongest dated features, named by their event type or attribute."""
    pilot = sample_evenly(len(rows), PILOT_ROWS)
    strengths = {}
    for name in dated:
        bins = AuditColumn.from_arrow(name, matrix[name].take(rows[pilot])).bins
        strengths[name] = (
            measure_single_strength(bins, label[pilot], half[pilot]) if bins.any() else -1.0
        )
    strongest = sorted(strengths, key=lambda name: (-strengths[name], name))[:MAX_COMPARED]
    return [
        AuditColumn.from_arrow(dated[name], matrix[name].take(rows))
        for name in strongest
        if strengths[name] > 0
    ]


def _encode_ids(texts: np.ndarray) -> np.ndarray:
    return np.unique(texts.astype(str), return_inverse=True)[1]


def _parse_numeric_ids(ids: np.ndarray) -> np.ndarray | None:
    """Return the ids as numbers, or None if any is not a number.

    Numeric ids mostly follow the order in which the rows were created.
    """
    try:
        return ids.astype(np.float64)
    except ValueError:
        return None
