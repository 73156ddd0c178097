"""States of a hand-over: who is handed over, who goes back and why, and since when.

A lead that was handed over keeps its state while its score stays near the threshold. It goes back
when sales rejects it or gives it back, when it is silent, or when its score was too low for long.
The rule of the score is that of the grades: up immediately, down after a delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.score_tables import QUALIFICATION_COLUMNS, SCORES
from features.tools.instants import NEVER_US, duration_to_microseconds, to_microseconds
from models.grades import settle_falls

MQL, SAL, SQL = "MQL", "SAL", "SQL"
# What a lead is before its hand-over, and after it, by the step of the config.
NOT_QUALIFIED = "none"
STEP_STATES = {"mql": (NOT_QUALIFIED, MQL), "sql": (SAL, SQL)}
PROBABILITY, EXPLORED, ACCEPTED = "probability", "explore", "accepted"
# Why a lead goes back. Where several hold, the first counts.
REASONS = REJECTED, RETURNED, SILENT, COOLED = ("rejected", "returned", "silent", "cooled")

# Columns of a lead in one step, as a night stores them and the next one reads them.
STATES = pa.schema([SCORES.field(name) for name in QUALIFICATION_COLUMNS])


class StepRules(NamedTuple):
    """Rules of a step.

    Attributes:
        step: “mql” or “sql”.
        wait: Time before a lead that went back may be handed over again.
        silent: Time without an activity after which a lead goes back; None for never.
        settle: Time for which the score must be too low before a lead goes back.
        horizon: Time for which a lead that was drawn at random is not judged by its score.
    """

    step: str
    wait: timedelta
    silent: timedelta | None
    settle: timedelta
    horizon: timedelta


class LeadEvidence(NamedTuple):
    """Evidence on each lead at the as-of; instants in microseconds since 1970.

    Attributes:
        is_low: Whether the score is below those that keep the state.
        rejected: First rejection at or after the hand-over; NEVER_US without one.
        returned: The same for events by which sales gives a lead back.
        active: Last activity of the lead; its hand-over or earlier without one since.
    """

    is_low: np.ndarray
    rejected: np.ndarray
    returned: np.ndarray
    active: np.ndarray


def recycle_leads(
    previous: pa.Table, evidence: LeadEvidence, rules: StepRules, as_of: datetime
) -> pa.Table:
    """Return STATES after the leads that go back; ``previous`` are those of the last night.

    Both have one row per lead; a row of nulls is a lead that the last night did not score. Null
    are ``handover_due``, which needs the touches, and ``handover_chance``.
    """
    lower, upper = STEP_STATES[rules.step]
    handed = _match_value(previous["qualification"], upper)
    since, now = read_nullable_instants(previous["qualified_at"]), to_microseconds(as_of)
    drawn = _match_value(previous["qualified_because"], EXPLORED)
    # Without the guard, the time of a lead that was never handed over would overflow.
    age = np.where(handed, now - np.where(handed, since, now), 0)
    is_trial = drawn & (age < duration_to_microseconds(rules.horizon))
    cooled, cooling = settle_falls(
        handed & evidence.is_low & ~is_trial, previous["cooling_since"], as_of, rules.settle
    )
    quiet = np.full(len(handed), False)
    if rules.silent is not None:
        last = np.maximum(evidence.active, np.where(handed, since, now))
        quiet = now - last >= duration_to_microseconds(rules.silent)
    parts = (evidence.rejected < now, evidence.returned < now, quiet, cooled)
    reason = np.select([handed & part for part in parts], range(len(parts)), -1)
    gone = reason >= 0
    first = previous["qualification"].is_null().to_numpy()
    moved = pa.array(gone | first) if rules.step == "sql" else pa.array(gone)
    reasons = pa.array(REASONS).take(pa.array(reason, mask=~gone))
    at = pc.if_else(moved, pa.scalar(as_of, INSTANT), previous["qualified_at"])
    because = previous["qualified_because"]
    accepted = pa.scalar(ACCEPTED if rules.step == "sql" else None, pa.string())
    columns = {
        "qualification": pa.array(np.where(handed & ~gone, upper, lower)),
        "qualified_at": at,
        "qualified_because": pc.if_else(pa.array(handed & ~gone), because, accepted),
        "recycle_reason": pc.coalesce(reasons, previous["recycle_reason"]),
        "cooling_since": pc.if_else(pa.array(gone), pa.scalar(None, INSTANT), cooling),
    }
    return _build_states(columns, len(handed))


def find_candidates(states: pa.Table, rules: StepRules, as_of: datetime) -> np.ndarray:
    """Return a mask of the leads that may be handed over: not yet, and not back too recently."""
    lower, _ = STEP_STATES[rules.step]
    is_back = states["recycle_reason"].is_valid().to_numpy()
    since = np.where(is_back, read_nullable_instants(states["qualified_at"]), 0)
    waits = is_back & (since + duration_to_microseconds(rules.wait) > to_microseconds(as_of))
    return _match_value(states["qualification"], lower) & ~waits


def hand_over_leads(
    states: pa.Table,
    rows: np.ndarray,
    because: str,
    chance: np.ndarray,
    step: str,
    as_of: datetime,
) -> pa.Table:
    """Return STATES in which the leads of a mask are handed over, each with its chance.

    A chance of NaN is unknown.
    """
    mask = pa.array(rows)
    values = {
        "qualification": pa.scalar(STEP_STATES[step][1]),
        "qualified_at": pa.scalar(as_of, INSTANT),
        "qualified_because": pa.scalar(because),
        "recycle_reason": pa.scalar(None, pa.string()),
        "handover_chance": pa.array(chance, mask=np.isnan(chance)),
        "cooling_since": pa.scalar(None, INSTANT),
    }
    columns = {name: states[name] for name in STATES.names}
    columns |= {name: pc.if_else(mask, value, columns[name]) for name, value in values.items()}
    return _build_states(columns, states.num_rows)


def set_due_dates(states: pa.Table, touched: np.ndarray, sla: timedelta, step: str) -> pa.Table:
    """Return STATES with ``handover_due`` of the leads that are handed over and not touched yet."""
    waits = _match_value(states["qualification"], STEP_STATES[step][1]) & ~touched
    due = pc.add(states["qualified_at"], pa.scalar(sla, pa.duration("us")))
    column = pc.if_else(pa.array(waits), due, pa.scalar(None, INSTANT))
    return states.set_column(states.column_names.index("handover_due"), "handover_due", column)


def read_nullable_instants(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of instants as microseconds since 1970, NEVER_US where null."""
    values: np.ndarray = pc.fill_null(pc.cast(column, pa.int64()), NEVER_US).to_numpy()
    return values


def _match_value(column: pa.ChunkedArray, value: str) -> np.ndarray:
    is_equal: np.ndarray = pc.fill_null(pc.equal(column, value), False).to_numpy()
    return is_equal


def _build_states(columns: dict[str, pa.Array | pa.ChunkedArray], rows: int) -> pa.Table:
    arrays: Sequence[pa.Array | pa.ChunkedArray] = [
        columns[field.name] if field.name in columns else pa.nulls(rows, field.type)
        for field in STATES
    ]
    return pa.table(arrays, names=STATES.names).cast(STATES)
