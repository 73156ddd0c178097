"""Spines: the entities that are eligible at each cutoff, for training and for scoring."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import ColumnOutcome, Target
from features.contracts import INSTANT, SPINE, Dataset
from features.eligibility import (
    Entries,
    OpenSpans,
    find_eligible_spans,
    find_entries,
    find_published_spans,
)
from features.tools.instants import (
    NEVER_US,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)


def build_training_spine(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    """Return the SPINE of all cutoffs before ``as_of`` at which an entity was eligible.

    Eligibility depends on rows known at the cutoff. A grid target has cutoffs ``as_of - k *
    every`` for k = 1, 2, …; a delay target one cutoff per entity. Cutoffs before ``observed_from``
    are left out, since their outcomes were not recorded. An outcome column gives one row per entity
    whose outcome is filled.
    """
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=True)
    entries = find_entries(dataset, target.population)
    spans = find_eligible_spans(dataset, target, entries)
    if target.cutoffs is not None and target.cutoffs.delay is not None:
        rows, cutoff = _compute_delayed_cutoffs(entries, spans, target.cutoffs.delay)
    elif target.cutoffs is not None:
        step = duration_to_microseconds(target.cutoffs.every)
        rows, cutoff = _expand_grid_cutoffs(spans, to_microseconds(as_of), step)
    else:
        rows, cutoff = np.empty(0, np.int64), np.empty(0, np.int64)
    keep = cutoff < to_microseconds(as_of)
    if target.observed_from is not None:
        keep &= cutoff >= to_microseconds(target.observed_from)
    return _make_spine(dataset.leads, rows[keep], cutoff[keep])


def build_scoring_spine(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    """Return the SPINE of the entities to score at ``as_of``, without suppressed entities.

    A grid target gives every entity eligible at ``as_of``. A delay target gives its open entities
    whose own cutoff has been reached and whose horizon has not ended, each at its own cutoff, as in
    training; ``closed_by`` closes them too, and ``reopen`` opens them again. An outcome column
    gives the entities whose outcome is still empty.
    """
    spine = _select_rows_to_score(dataset, target, as_of)
    if dataset.merges:
        # Its own cutoff may lie before the merge, but today another lead stands for it.
        ended = dataset.merges.ends(spine["entity_id"]) < to_microseconds(as_of)
        spine = spine.filter(pa.array(~ended))
    suppressed = pc.is_in(spine["entity_id"], value_set=dataset.suppressed.entity_ids)
    return spine.filter(pc.invert(suppressed)) if len(dataset.suppressed.entity_ids) else spine


def _select_rows_to_score(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=False)
    entries, as_of_us = find_entries(dataset, target.population), to_microseconds(as_of)
    spans = find_eligible_spans(dataset, target, entries)
    delay = target.cutoffs.delay if target.cutoffs else None
    if delay is None:
        rows = spans.lead[spans.select(as_of_us)]
        return _make_spine(dataset.leads, rows, np.full(len(rows), as_of_us))
    rows, cutoff = _compute_delayed_cutoffs(entries, spans, delay)
    own_cutoff = np.full(dataset.leads.num_rows, NEVER_US)
    own_cutoff[rows] = cutoff
    published = find_published_spans(dataset, target, entries, own_cutoff)
    open_now = published.lead[published.select(as_of_us)]
    horizon = duration_to_microseconds(target.horizon or timedelta(0))
    keep = (cutoff <= as_of_us) & (as_of_us < cutoff + horizon) & np.isin(rows, open_now)
    return _make_spine(dataset.leads, rows[keep], cutoff[keep])


def _make_spine(leads: pa.Table, rows: np.ndarray, cutoff: np.ndarray) -> pa.Table:
    # Leads are ordered by entity_id, so this is the order of (cutoff, entity_id).
    order = np.lexsort((rows, cutoff))
    ids = leads["entity_id"].take(pa.array(rows[order])).combine_chunks()
    return pa.table([ids, pa.array(cutoff[order]).cast(INSTANT)], schema=SPINE)


def _build_column_spine(dataset: Dataset, outcome: ColumnOutcome, *, filled: bool) -> pa.Table:
    known = pc.is_valid(dataset.leads[outcome.column]).to_numpy()
    # A record that became another one has its outcome in that one's row.
    known_rows = dataset.merges.ends(dataset.leads["entity_id"]) == NEVER_US
    rows = np.flatnonzero((known == filled) & known_rows)
    # Features see rows available before the cutoff: one microsecond later includes the lead row.
    cutoff = column_to_microseconds(dataset.leads["available_at"])[rows] + 1
    return _make_spine(dataset.leads, rows, cutoff)


def _compute_delayed_cutoffs(
    entries: Entries, spans: OpenSpans, delay: timedelta
) -> tuple[np.ndarray, np.ndarray]:
    """Return entity row and cutoff of each entity that is eligible at its own cutoff."""
    cutoff = entries.time[spans.lead] + duration_to_microseconds(delay)
    selected = spans.select(cutoff)
    return spans.lead[selected], cutoff[selected]


def _expand_grid_cutoffs(spans: OpenSpans, as_of: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return entity row and cutoff for each grid cutoff at which an entity is eligible.

    These are the cutoffs ``as_of - k * step``, k >= 1, in ``(start, end]`` of its spans.
    """
    end = np.minimum(spans.end, as_of - step)
    # The smallest k whose cutoff is <= end, and the largest k whose cutoff is > start.
    nearest = -((end - as_of) // step)
    farthest = (as_of - np.minimum(spans.start, as_of) - 1) // step
    count = np.maximum(farthest - nearest + 1, 0)
    # The k of a span's rows follow each other: the row number plus an offset of the span.
    offset = nearest - (np.cumsum(count) - count)
    k = np.arange(count.sum()) + np.repeat(offset, count)
    return np.repeat(spans.lead, count), as_of - k * step
