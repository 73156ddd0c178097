"""Which entities are eligible at which cutoffs: the rows to compute, for training and for scoring alike."""

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
    """When each entity of ``leads`` may be a row of a target; one element an entity, in microseconds since 1970.

    Eligible at cutoff c: ``entry_known < c <= end_known`` and ``c <= last``: what happens at the cutoff itself is
    not known yet, so an entity whose end becomes known exactly at c is still eligible.
    """

    entry: np.ndarray
    entry_known: np.ndarray
    end_known: np.ndarray
    last: np.ndarray


def build_training_spine(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    """Return the SPINE of all cutoffs before ``as_of`` at which an entity was eligible, by what was known then.

    A grid target has cutoffs ``as_of - k * every`` for k = 1, 2, …; a delay target one cutoff an entity. Rows before
    ``observed_from`` are left out, since their outcomes were not recorded. An outcome column gives one row for
    each entity whose outcome is filled.
    """
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=True)
    spans = _find_eligibility(dataset, target)
    if target.cutoffs is not None and target.cutoffs.delay is not None:
        rows, cutoff = _compute_delayed_cutoffs(spans, target.cutoffs.delay)
    else:
        rows, cutoff = (
            _expand_grid_cutoffs(spans, to_microseconds(as_of), duration_to_microseconds(target.cutoffs.every))
            if target.cutoffs
            else _empty_rows()
        )
    keep = cutoff < to_microseconds(as_of)
    if target.observed_from is not None:
        keep &= cutoff >= to_microseconds(target.observed_from)
    return _make_spine(dataset.leads, rows[keep], cutoff[keep])


def build_scoring_spine(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    """Return the SPINE of the entities to score at ``as_of``.

    A grid target gives every entity eligible at ``as_of``. A delay target gives its open entities whose own cutoff
    has come and whose horizon still runs, each at its own cutoff, as in training; ``closed_by`` closes them too. An
    outcome column gives the entities whose outcome is still empty. Nobody who is suppressed is among them.
    """
    spine = _select_open_rows(dataset, target, as_of)
    suppressed = pc.is_in(spine["entity_id"], value_set=dataset.suppressed.entity_ids)
    return spine.filter(pc.invert(suppressed)) if len(dataset.suppressed.entity_ids) else spine


def _select_open_rows(dataset: Dataset, target: Target, as_of: datetime) -> pa.Table:
    if isinstance(target.outcome, ColumnOutcome):
        return _build_column_spine(dataset, target.outcome, filled=False)
    spans, now = _find_eligibility(dataset, target), to_microseconds(as_of)
    delay = target.cutoffs.delay if target.cutoffs else None
    if delay is None:
        rows = np.flatnonzero(
            (spans.entry_known < now) & (now <= spans.end_known) & (now <= spans.last)
        )
        return _make_spine(dataset.leads, rows, np.full(len(rows), now))
    rows, cutoff = _compute_delayed_cutoffs(spans, delay)
    horizon = duration_to_microseconds(target.horizon or timedelta(0))
    closed = np.minimum(
        spans.end_known, _find_first_known(dataset, target.population.closed_by, since=spans.entry)[1]
    )
    keep = (cutoff <= now) & (now < cutoff + horizon) & (closed[rows] >= now)
    return _make_spine(dataset.leads, rows[keep], cutoff[keep])


def _empty_rows() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int64)


def _make_spine(leads: pa.Table, rows: np.ndarray, cutoff: np.ndarray) -> pa.Table:
    order = np.lexsort(
        (rows, cutoff)
    )  # leads are ordered by entity_id, so this is (cutoff, entity_id)
    ids = leads["entity_id"].take(pa.array(rows[order])).combine_chunks()
    return pa.table([ids, pa.array(cutoff[order]).cast(INSTANT)], schema=SPINE)


def _build_column_spine(dataset: Dataset, outcome: ColumnOutcome, *, filled: bool) -> pa.Table:
    known = pc.is_valid(dataset.leads[outcome.column]).to_numpy()
    rows = np.flatnonzero(known == filled)
    return _make_spine(
        dataset.leads, rows, column_to_microseconds(dataset.leads["available_at"])[rows] + 1
    )


def _find_eligibility(dataset: Dataset, target: Target) -> EligibilitySpans:
    population = target.population
    entry, entry_known = (
        column_to_microseconds(dataset.leads["created_at"]),
        column_to_microseconds(dataset.leads["available_at"]),
    )
    if population.after != "created":
        entry, known = _find_first_known(dataset, (population.after,))
        entry_known = np.maximum(
            entry_known, known
        )  # without its lead row an entity cannot be looked at
    _, end_known = _find_first_known(dataset, (*population.until, *target.outcome_types), since=entry)
    longest = duration_to_microseconds(population.max_age)
    reachable = entry < NEVER_US - longest
    last = np.where(
        reachable & bool(population.max_age), np.where(reachable, entry, 0) + longest, NEVER_US
    )
    return EligibilitySpans(entry, entry_known, end_known, last)


def _find_first_known(
    dataset: Dataset, types: tuple[str, ...], since: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each entity, when the event of these types that became known first happened and became known.

    The first known, not the first to happen: an earlier one that is reported later must not move what was decided.
    """
    time, known = (
        np.full(dataset.leads.num_rows, NEVER_US),
        np.full(dataset.leads.num_rows, NEVER_US),
    )
    events = dataset.events.filter(
        pc.is_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    )
    code, at = dataset.find_leads(events["entity_id"]), column_to_microseconds(events["event_time"])
    keep = np.flatnonzero((code >= 0) & (at >= since[code] if since is not None else True))
    code, at, available = code[keep], at[keep], column_to_microseconds(events["available_at"])[keep]
    order = np.lexsort((at, available, code))[
        ::-1
    ]  # of several writes to one place the last stays: the first known
    time[code[order]], known[code[order]] = at[order], available[order]
    return time, known


def _compute_delayed_cutoffs(spans: EligibilitySpans, delay: timedelta) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(spans.entry < NEVER_US)
    cutoff = spans.entry[rows] + duration_to_microseconds(delay)
    keep = (
        (spans.entry_known[rows] < cutoff)
        & (cutoff <= spans.end_known[rows])
        & (cutoff <= spans.last[rows])
    )
    return rows[keep], cutoff[keep]


def _expand_grid_cutoffs(spans: EligibilitySpans, as_of: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Expand each entity to its cutoffs ``as_of - k * step`` in ``(entry_known, min(end_known, last)]``, k >= 1."""
    end = np.minimum(np.minimum(spans.end_known, spans.last), as_of - step)
    nearest = -((end - as_of) // step)  # smallest k whose cutoff is <= end
    farthest = (
        as_of - np.minimum(spans.entry_known, as_of) - 1
    ) // step  # largest k whose cutoff is > entry_known
    count = np.maximum(farthest - nearest + 1, 0)
    rows = np.repeat(np.arange(len(count)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return rows, as_of - (nearest[rows] + within) * step
