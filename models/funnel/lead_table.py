"""The place of each lead in the funnel: its stage, its age in it, and when it closes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT
from features.paths.visits import OPEN
from features.score_tables import FUNNEL_COLUMNS, SCORES
from features.tools.instants import US_PER_DAY
from models.funnel.funnel_table import P80, StageEstimates
from models.funnel.history import FunnelHistory

# One row per lead of the history, in its order.
LEAD_PLACES = pa.schema([SCORES.field(name) for name in FUNNEL_COLUMNS])
# Shares of the leads that are won eventually, by the column with the time by which they are.
CLOSE_SHARES = {
    "expected_close_p20": 0.2,
    "expected_close_p50": 0.5,
    "expected_close_p80": 0.8,
}
OVERDUE_SHARE = 0.8
US_PER_SECOND = 1_000_000


def build_place_table(history: FunnelHistory, staged: StageEstimates) -> pa.Table:
    """Return LEAD_PLACES. ``staged`` are the estimates of the stages of all leads.

    A closed lead has its end for a stage and no other value; a lead without a path, which became
    another one, has none at all.
    """
    visits = history.paths.visits
    rows = np.flatnonzero(visits.exit == OPEN)
    lead, stage = visits.lead[rows], visits.stage[rows]
    age = history.as_of - visits.start[rows]
    limit = staged.moves.quantile[:, P80][stage]
    times = staged.win_times
    at_entry = times.quantile_days(stage, np.zeros_like(age), OVERDUE_SHARE)
    days = age / US_PER_DAY
    columns = {
        "stage_age": pa.array(days),
        "stuck": _compare_days(days, limit),
        "overdue": _compare_days(days, at_entry),
    }
    for name, share in CLOSE_SHARES.items():
        columns[name] = _add_days(history.as_of, times.quantile_days(stage, age, share))
    row_of_lead = np.full(len(history.created), -1)
    row_of_lead[lead] = np.arange(len(lead))
    row = pa.array(row_of_lead, mask=row_of_lead < 0)
    columns = {name: column.take(row) for name, column in columns.items()}
    columns["stage"] = _name_states(history, lead, stage)
    return pa.table([columns[name] for name in LEAD_PLACES.names], schema=LEAD_PLACES)


def _name_states(history: FunnelHistory, lead: np.ndarray, stage: np.ndarray) -> pa.Array:
    """Return the state of each lead: its stage, or the end of its last spell."""
    spells = history.paths.spells
    state = np.full(len(history.created), OPEN)
    # Spells are ordered by lead and time, so the last of several assignments stays.
    state[spells.lead] = spells.exit
    state[lead] = stage
    return pa.array(history.states.names, pa.string()).take(pa.array(state, mask=state == OPEN))


def _compare_days(days: np.ndarray, limit: np.ndarray) -> pa.Array:
    """Return whether days exceed a limit; null where there is none."""
    return pa.array(days > limit, mask=np.isnan(limit))


def _add_days(instant: int, days: np.ndarray) -> pa.Array:
    """Return the instants some days later, to the second; null where they are unknown."""
    unknown = np.isnan(days)
    seconds = np.rint(np.where(unknown, 0.0, days) * US_PER_DAY / US_PER_SECOND).astype(np.int64)
    return pa.array(instant + seconds * US_PER_SECOND, mask=unknown).cast(INSTANT)
