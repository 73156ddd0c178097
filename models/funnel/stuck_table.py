"""Stuck leads, and what came last before others moved on from their stage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.paths.activities import Activities
from features.paths.last_events import find_last_events
from features.tools.instants import US_PER_DAY
from models.funnel.funnel_table import P80, StageEstimates, find_stuck_visits
from models.funnel.history import FunnelHistory
from models.funnel.moves import mark_moves
from models.funnel.schemas import STUCK

# Latest visits of each stage from which the last event is read: shares are exact to about 1 %.
MAX_VISITS = 5_000
# Events that are named, the most frequent first.
MAX_NAMED = 2
# From fewer visits nothing can be said about what came last.
MIN_VISITS = 10


def build_stuck_table(
    history: FunnelHistory,
    staged: StageEstimates,
    dataset: Dataset,
    activities: Activities,
    owner: pa.Array,
) -> pa.Table:
    """Return STUCK: open leads, those of the largest expected value first, then the oldest.

    ``staged`` are the estimates of the stages of all leads; ``owner`` has one text per lead. Leads
    that must not be scored are left out.
    """
    visits, p80 = history.paths.visits, staged.moves.quantile[:, P80]
    rows = np.flatnonzero(find_stuck_visits(history, visits.stage, p80))
    age = history.as_of - visits.start[rows]
    chance = staged.win_times.chance_ever(visits.stage[rows], age)
    lead, stage = pa.array(visits.lead[rows]), visits.stage[rows]
    last_events = describe_last_events(history, dataset, np.unique(stage))
    value = (
        np.full(len(rows), np.nan) if history.value is None else history.value[visits.lead[rows]]
    )
    columns = [
        dataset.leads["entity_id"].take(lead).combine_chunks(),
        pa.array([history.states.stages[place] for place in stage], pa.string()),
        owner.take(lead),
        pa.array(age / US_PER_DAY),
        pa.array(p80[stage]),
        pa.array(_count_silent_days(history, activities, visits.lead[rows])),
        pa.array(value, from_pandas=True),
        pa.array(chance, from_pandas=True),
        pa.array(chance if history.value is None else chance * value, from_pandas=True),
        pa.array([last_events[place] for place in stage.tolist()], pa.string()),
    ]
    table = pa.table(columns, schema=STUCK)
    hidden = pc.is_in(table["entity_id"], value_set=dataset.suppressed.entity_ids)
    table = table.filter(pc.invert(hidden)) if len(dataset.suppressed.entity_ids) else table
    keys = [
        ("expected_value", "descending"),
        ("age_days", "descending"),
        ("entity_id", "ascending"),
    ]
    return table.take(pc.sort_indices(table, keys))


def _count_silent_days(
    history: FunnelHistory, activities: Activities, lead: np.ndarray
) -> np.ndarray:
    """Return the days since the last activity of each lead, or since it was created."""
    after = activities.first[lead + 1]
    has_any = after > activities.first[lead]
    last = history.created[lead]
    last[has_any] = np.maximum(last, activities.time[after - 1])[has_any]
    return (history.as_of - last) / US_PER_DAY


def describe_last_events(
    history: FunnelHistory, dataset: Dataset, stages: np.ndarray
) -> dict[int, str | None]:
    """Return for each stage the events that came last before visits went on to a later state.

    Each has its share of those visits. None where fewer than MIN_VISITS went on, or all without an
    event before.
    """
    visits = history.paths.visits
    is_forward = mark_moves(visits.stage, visits.exit, history.states.won)
    rows_of = {}
    for stage in stages.tolist():
        rows = np.flatnonzero(is_forward & (visits.stage == stage))
        rows = _select_latest(rows, visits.end[rows])
        rows_of[stage] = rows if len(rows) >= MIN_VISITS else rows[:0]
    # One call for all stages, since it reads the whole log.
    every = np.concatenate([np.empty(0, np.int64), *rows_of.values()])
    last_events = find_last_events(dataset, history.states, visits, every)
    edges = np.cumsum([0, *(len(rows) for rows in rows_of.values())]).tolist()
    return {
        stage: _describe_shares(last_events.slice(begin, end - begin))
        for stage, (begin, end) in zip(rows_of, pairwise(edges), strict=True)
    }


def _select_latest(rows: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the MAX_VISITS rows that ended last, the last one first."""
    if len(rows) > MAX_VISITS:
        # Few are left to sort.
        is_late = end >= np.partition(end, -MAX_VISITS)[-MAX_VISITS]
        rows, end = rows[is_late], end[is_late]
    # Visits are ordered by lead, so that ties have one order.
    return rows[np.argsort(-end, kind="stable")[:MAX_VISITS]]


def _describe_shares(last_events: pa.Array) -> str | None:
    counts = pc.value_counts(last_events.drop_null()).to_pylist()
    counts.sort(key=lambda row: (-row["counts"], row["values"]))
    named = [
        f"{row['values']} ({row['counts'] / len(last_events):.0%})" for row in counts[:MAX_NAMED]
    ]
    return ", ".join(named) or None
