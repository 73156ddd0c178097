"""Columns of the leads that are computed from a log: they know its later events too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from features.intake.formats.texts import to_plain_text, to_supported_type, to_text
from features.tools.duckdb_sql import run_query
from pipelines.proposal.findings.attributes import AttributeChoice
from pipelines.proposal.findings.event_logs import LeadsTable
from pipelines.proposal.reading.column_profile import NUMBER, TRUTH, ColumnProfile
from pipelines.proposal.reading.words import equals_phrase

# Correlation from which on a column is the same fact as a count of events.
MIN_CORRELATION = 0.95
# With fewer leads two columns may agree by chance.
MIN_LEADS = 30
MAX_COLUMNS = 60


def drop_log_summaries(
    choice: AttributeChoice, leads: LeadsTable | None, events: pa.Table
) -> AttributeChoice:
    """Return the attributes without those that count events, or say whether there was one.

    ``events`` as ``collect_events`` returns them. Such a column has today's value at each cutoff.
    """
    if leads is None or leads.entity_id is None or not events.num_rows:
        return choice
    numbers = {
        name: _read_numbers(leads.table.profiles[name], leads.table.columns[name])
        for name in choice.used
        if leads.table.profiles[name].kind == NUMBER or leads.table.profiles[name].is_flag
    }
    ids = to_plain_text(to_text(leads.table.columns[leads.entity_id]))
    if not numbers or len(ids) < MIN_LEADS:
        return choice
    counts = _count_events(ids, events)
    reasons = {}
    for name, values in list(numbers.items())[:MAX_COLUMNS]:
        for kind, count in counts.items():
            if _is_same(values, count) or _is_same(values, (count > 0).astype(np.float64)):
                what = f"the events of type {kind}" if kind else "the events"
                reasons[name] = f"it counts {what} of the log, later ones too"
                break
    used = tuple(name for name in choice.used if name not in reasons)
    return replace(choice, used=used, left_out={**choice.left_out, **reasons})


def _read_numbers(profile: ColumnProfile, column: pa.ChunkedArray) -> np.ndarray:
    """Return a number or a flag as floats, NaN where missing."""
    from features.intake.formats.number_signs import parse_plain_numbers

    if profile.kind != TRUTH:
        return np.asarray(
            parse_plain_numbers(to_supported_type(column)).to_numpy(zero_copy_only=False)
        )
    texts = to_plain_text(to_text(column)).to_pylist()
    return np.array(
        [np.nan if t is None else float(equals_phrase(t, "values.true")) for t in texts]
    )


def _count_events(ids: pa.ChunkedArray, events: pa.Table) -> dict[str, np.ndarray]:
    """Return the number of events of each lead, by type, and of all types under ``""``."""
    rows = run_query(
        "SELECT entity, type, count(*) AS n FROM rows WHERE type <> '' GROUP BY ALL", rows=events
    )
    places = {text: place for place, text in enumerate(ids.to_pylist())}
    counts = {"": np.zeros(len(ids))}
    for entity, kind, number in zip(
        rows["entity"].to_pylist(), rows["type"].to_pylist(), rows["n"].to_pylist(), strict=True
    ):
        place = places.get(entity)
        if place is not None:
            counts.setdefault(kind, np.zeros(len(ids)))[place] += number
            counts[""][place] += number
    return counts


def _is_same(values: np.ndarray, count: np.ndarray) -> bool:
    """Return whether a column rises with a count in nearly all leads."""
    known = ~np.isnan(values)
    if known.sum() < MIN_LEADS or not (np.ptp(values[known]) and np.ptp(count[known])):
        return False
    return bool(np.corrcoef(values[known], count[known])[0, 1] >= MIN_CORRELATION)
