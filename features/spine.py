"""Spines: the entities that are eligible at each cutoff, for training and for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import ColumnOutcome, Target
from features.contracts import INSTANT, SPINE, Dataset
from features.tools.instants import (
    NEVER_US,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)


@dataclass(frozen=True)
class EligibilitySpans:
    """Time spans in which each entity may be a row of a target.

    Each array has one element per entity, int64 microseconds since 1970. An entity is eligible at
    cutoff c if ``entry_known < c <= end_known`` and ``c <= last``. Events at the cutoff itself are
    not known yet, so an entity whose end becomes known exactly at c is still eligible.

    Attributes:
        entry: Time of the entry.
        entry_known: Time at which the entry and the lead's row became known.
        end_known: Time at which the first end became known.
        last: Latest cutoff by the maximum age.
    """

    entry: np.ndarray
    entry_known: np.ndarray
    end_known: np.ndarray
    last: np.ndarray


def build_training_spine(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    """Return the SPINE of all cutoffs before ``as_of`` at which an entity was eligible.

    Eligibility depends on rows known at the cutoff. A grid target has cutoffs ``as_of - k *
    every`` for k = 1, 2, …; a delay target one cutoff per entity. Cutoffs before ``observed_from``
    are left out, since their outcomes were not recorded. An outcome column gives one row per entity
    whose outcome is filled.
    """
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=True)
    spans = _find_eligibility(dataset, target)
    if target.cutoffs is not None and target.cutoffs.delay is not None:
        rows, cutoff = _compute_delayed_cutoffs(spans, target.cutoffs.delay)
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
    training; ``closed_by`` closes them too. An outcome column gives the entities whose outcome is
    still empty.
    """
    spine = _select_rows_to_score(dataset, target, as_of)
    suppressed = pc.is_in(spine["entity_id"], value_set=dataset.suppressed.entity_ids)
    return spine.filter(pc.invert(suppressed)) if len(dataset.suppressed.entity_ids) else spine


def _select_rows_to_score(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=False)
    spans, as_of_us = _find_eligibility(dataset, target), to_microseconds(as_of)
    delay = target.cutoffs.delay if target.cutoffs else None
    if delay is None:
        rows = np.flatnonzero(
            (spans.entry_known < as_of_us)
            & (as_of_us <= spans.end_known)
            & (as_of_us <= spans.last)
        )
        return _make_spine(dataset.leads, rows, np.full(len(rows), as_of_us))
    rows, cutoff = _compute_delayed_cutoffs(spans, delay)
    horizon = duration_to_microseconds(target.horizon or timedelta(0))
    closed = np.minimum(
        spans.end_known,
        _find_first_known(dataset, target.population.closed_by, since=spans.entry)[1],
    )
    keep = (cutoff <= as_of_us) & (as_of_us < cutoff + horizon) & (closed[rows] >= as_of_us)
    return _make_spine(dataset.leads, rows[keep], cutoff[keep])


def _make_spine(leads: pa.Table, rows: np.ndarray, cutoff: np.ndarray) -> pa.Table:
    # Leads are ordered by entity_id, so this is the order of (cutoff, entity_id).
    order = np.lexsort((rows, cutoff))
    ids = leads["entity_id"].take(pa.array(rows[order])).combine_chunks()
    return pa.table([ids, pa.array(cutoff[order]).cast(INSTANT)], schema=SPINE)


def _build_column_spine(dataset: Dataset, outcome: ColumnOutcome, *, filled: bool) -> pa.Table:
    known = pc.is_valid(dataset.leads[outcome.column]).to_numpy()
    rows = np.flatnonzero(known == filled)
    # Features see rows available before the cutoff: one microsecond later includes the lead row.
    cutoff = column_to_microseconds(dataset.leads["available_at"])[rows] + 1
    return _make_spine(dataset.leads, rows, cutoff)


def _find_eligibility(dataset: Dataset, target: Target) -> EligibilitySpans:
    population = target.population
    entry = column_to_microseconds(dataset.leads["created_at"])
    entry_known = column_to_microseconds(dataset.leads["available_at"])
    if population.after != "created":
        entry, known = _find_first_known(dataset, (population.after,))
        # An event may arrive before the lead's row; both are needed to know the entity.
        entry_known = np.maximum(entry_known, known)
    _, end_known = _find_first_known(
        dataset, (*population.until, *target.outcome_types), since=entry
    )
    longest = duration_to_microseconds(population.max_age)
    reachable = entry < NEVER_US - longest
    # The inner where avoids an overflow of NEVER_US + longest.
    oldest = np.where(reachable, entry, 0) + longest
    last = np.where(reachable & bool(population.max_age), oldest, NEVER_US)
    return EligibilitySpans(entry, entry_known, end_known, last)


def _find_first_known(
    dataset: Dataset, types: tuple[str, ...], since: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each entity time and availability of the first known event of these types.

    First known, not first to happen: an earlier event that is reported later must not change past
    decisions. NEVER_US if there is none.
    """
    size = dataset.leads.num_rows
    time, known = np.full(size, NEVER_US), np.full(size, NEVER_US)
    events = dataset.events.filter(
        pc.is_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    )
    lead, event_time = (
        dataset.find_leads(events["entity_id"]),
        column_to_microseconds(events["event_time"]),
    )
    keep = np.flatnonzero((lead >= 0) & (event_time >= since[lead] if since is not None else True))
    lead, event_time, available = (
        lead[keep],
        event_time[keep],
        column_to_microseconds(events["available_at"])[keep],
    )
    # Of several assignments to one element the last one stays: reversed, that is the first known.
    order = np.lexsort((event_time, available, lead))[::-1]
    time[lead[order]], known[lead[order]] = event_time[order], available[order]
    return time, known


def _compute_delayed_cutoffs(
    spans: EligibilitySpans, delay: timedelta
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(spans.entry < NEVER_US)
    cutoff = spans.entry[rows] + duration_to_microseconds(delay)
    keep = (
        (spans.entry_known[rows] < cutoff)
        & (cutoff <= spans.end_known[rows])
        & (cutoff <= spans.last[rows])
    )
    return rows[keep], cutoff[keep]


def _expand_grid_cutoffs(
    spans: EligibilitySpans, as_of: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return entity row and cutoff for each grid cutoff at which an entity is eligible.

    These are the cutoffs ``as_of - k * step``, k >= 1, in ``(entry_known, min(end_known, last)]``.
    """
    end = np.minimum(np.minimum(spans.end_known, spans.last), as_of - step)
    # The smallest k whose cutoff is <= end, and the largest k whose cutoff is > entry_known.
    nearest = -((end - as_of) // step)
    farthest = (as_of - np.minimum(spans.entry_known, as_of) - 1) // step
    count = np.maximum(farthest - nearest + 1, 0)
    rows = np.repeat(np.arange(len(count)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return rows, as_of - (nearest[rows] + within) * step
