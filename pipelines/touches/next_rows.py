"""Rows of NEXT_TOUCH: which lead to touch next, when and how, and whom to leave alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from configs.touches.touches import Touches
from features.contracts import INSTANT
from features.tools.instants import (
    duration_to_microseconds,
    from_microseconds,
    to_microseconds,
)
from models.touches.choice import TouchChances, TouchChoice, TouchValues, choose_touches
from models.touches.schemas import NEXT_TOUCH
from models.touches.sequences import ALWAYS_US, number_next_touch
from pipelines.touches.touch_log import REPLY_HORIZON, TouchLog
from pipelines.training_data import Snapshot

DUE, WAITING, REPLIED, STOPPED, OPTED_OUT = STATES = (
    "due",
    "waiting",
    "replied",
    "stopped",
    "opted_out",
)
# Systems have different last instants; this one is within the range of all of them.
FOR_EVER = datetime(2999, 12, 31, tzinfo=UTC)
DESCRIPTIVE = "descriptive"


@dataclass(frozen=True)
class LeadStates:
    """Leads that may be touched, or have opted out; one element per lead, ascending.

    Attributes:
        lead: Row of the lead, int64.
        state: Place of its state in STATES, int64.
        number: Number that its next touch would have, at most the last one counted, int64.
        last: Its last touch, int64 microseconds; ALWAYS_US without one.
        due: Earliest time of its next touch, int64 microseconds.
    """

    lead: np.ndarray
    state: np.ndarray
    number: np.ndarray
    last: np.ndarray
    due: np.ndarray


@dataclass(frozen=True)
class TouchPlan:
    """What decides on next touches.

    Attributes:
        chances: Chances by channel and touch number.
        choice: The best touch of each number; None where no channel has a chance.
        values: What touches cost and bring.
    """

    chances: TouchChances
    choice: TouchChoice | None
    values: TouchValues

    @classmethod
    def from_chances(cls, chances: TouchChances, values: TouchValues) -> TouchPlan:
        """Return the plan that follows from chances and values."""
        choice = choose_touches(chances, values) if len(chances.channels) else None
        return cls(chances, choice, values)


def find_lead_states(
    snapshot: Snapshot, config: Touches, log: TouchLog, plan: TouchPlan
) -> LeadStates:
    """Return the state of each lead that has not ended, and of each that has opted out."""
    now = to_microseconds(snapshot.as_of)
    every = np.arange(snapshot.dataset.leads.num_rows)
    at = np.full(len(every), now)
    opted_out = log.answers.find_opted_out(every, at)
    lead = np.flatnonzero(opted_out | ~log.answers.find_ended(every, at))
    at, opted_out = at[lead], opted_out[lead]
    quiet = duration_to_microseconds(config.quiet_after)
    number = number_next_touch(log.sequences, log.answers, lead, now)
    number = np.minimum(number, config.max_number)
    last = log.sequences.times.find_last(lead, at)
    due = np.maximum(now, last + duration_to_microseconds(config.min_gap))
    stops = plan.choice.stops[number - 1] if plan.choice else np.zeros(len(lead), bool)
    tests = (opted_out, log.answers.find_responsive(lead, at, quiet), stops, due > now)
    places = [STATES.index(name) for name in (OPTED_OUT, REPLIED, STOPPED, WAITING)]
    return LeadStates(lead, np.select(tests, places, STATES.index(DUE)), number, last, due)


def build_next_touches(
    snapshot: Snapshot, log: TouchLog, plan: TouchPlan, states: LeadStates
) -> pa.Table:
    """Return NEXT_TOUCH: due ones first, of them those with the highest net value or chance."""
    leads, lead = snapshot.dataset.leads, pa.array(states.lead)
    is_next = np.isin(states.state, [STATES.index(DUE), STATES.index(WAITING)])
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "entity_id": leads["entity_id"].take(lead),
        "account_id": leads["account_id"].take(lead),
        "state": pa.array(STATES).take(pa.array(states.state)),
        "due": _make_instants(states.due, is_next),
        "touch_no": pa.array(states.number, mask=~is_next),
        "last_touch": _make_instants(states.last, states.last > ALWAYS_US),
        "do_not_contact_until": _list_blocks(states),
        "why": pa.array(_explain_states(snapshot, log, plan, states), pa.string()),
        "evidence": pa.array(np.where(is_next, DESCRIPTIVE, "")),
    }
    has_chance = is_next & (plan.choice is not None)
    columns |= _list_chances(log, plan, states, has_chance)
    table = pa.table({name: columns[name] for name in NEXT_TOUCH.names}).cast(NEXT_TOUCH)
    value = [_fill_chance(columns[name]) for name in ("net_value", "p_reply_14d")]
    order = np.lexsort((states.lead, -value[1], -value[0], states.due, states.state))
    return table.take(pa.array(order))


def _fill_chance(column: pa.Array) -> np.ndarray:
    filled: np.ndarray = np.nan_to_num(
        column.to_numpy(zero_copy_only=False).astype(float), nan=-np.inf
    )
    return filled


def _make_instants(time: np.ndarray, is_known: np.ndarray) -> pa.Array:
    return pa.array(time, mask=~is_known).cast(INSTANT)


def _list_blocks(states: LeadStates) -> pa.Array:
    """Return until when each lead must not be touched, null where it may be."""
    is_out = states.state == STATES.index(OPTED_OUT)
    until = np.where(is_out, to_microseconds(FOR_EVER), states.due)
    return _make_instants(until, is_out | (states.state == STATES.index(WAITING)))


def _list_chances(
    log: TouchLog, plan: TouchPlan, states: LeadStates, has_chance: np.ndarray
) -> dict[str, pa.Array]:
    """Return the channel of each next touch, its chances and its value; null without one."""
    names = ("p_reply_14d", "p_reply_low", "p_reply_high", "p_opt_out", "net_value")
    size = len(states.lead)
    if plan.choice is None:
        nothing = {name: pa.nulls(size, pa.float64()) for name in names}
        return {"channel": pa.nulls(size, pa.string()), **nothing}
    column = states.number - 1
    place = plan.choice.place[column]
    reply = plan.chances.reply
    values = (
        reply.rate[place, column],
        reply.low[place, column],
        reply.high[place, column],
        plan.chances.opt_out[place],
        plan.choice.net_value[column],
    )
    mask = ~has_chance
    columns = {
        name: pa.array(array, mask=mask, from_pandas=True)
        for name, array in zip(names, values, strict=True)
    }
    channel = pa.array(log.channels).take(pa.array(plan.chances.channels[place], mask=mask))
    return {"channel": channel, **columns}


def _explain_states(
    snapshot: Snapshot, log: TouchLog, plan: TouchPlan, states: LeadStates
) -> list[str]:
    """Return in words what decides on each lead."""
    at = np.full(len(states.lead), to_microseconds(snapshot.as_of))
    when = {
        OPTED_OUT: log.answers.opt_outs.find_last(states.lead, at),
        REPLIED: log.answers.replies.find_last(states.lead, at),
    }
    verbs = {OPTED_OUT: "opted out on", REPLIED: "replied on"}
    by_number = [
        explain_touch(log, plan, number) for number in range(1, states.number.max(initial=1) + 1)
    ]
    lines = list[str]()
    for row, place in enumerate(states.state):
        name = STATES[place]
        if name in when:
            day = from_microseconds(when[name][row]).astimezone(snapshot.project.zone)
            lines.append(f"{verbs[name]} {day:%Y-%m-%d}")
            continue
        lines.append(by_number[states.number[row] - 1])
    return lines


def explain_touch(log: TouchLog, plan: TouchPlan, number: int) -> str:
    """Return in words what decides on a touch of a number."""
    if plan.choice is None:
        return "too few touches were followed to give a chance of a reply"
    place = plan.choice.place[number - 1]
    reply = plan.chances.reply
    size, count = (int(values[place, number - 1]) for values in (reply.size, reply.count))
    first = int(plan.chances.first[place, number - 1])
    single = plan.chances.is_single[place, number - 1]
    numbers = f"touch {number}" if single else f"touches {first} and later"
    channel = log.channels[plan.chances.channels[place]]
    days = REPLY_HORIZON.days
    line = f"{numbers} by {channel}: {count:,} of {size:,} silent leads replied within {days} days"
    if not plan.choice.stops[number - 1]:
        return line
    values, rate = plan.values, float(reply.rate[place, number - 1])
    cost = float(values.cost[plan.chances.channels[place]])
    loss = float(plan.chances.opt_out[place])
    return (
        f"{line}; touch {number} would bring less than it costs: {rate:.1%} × "
        f"{values.reply_value:,g} − {cost:,g} − {loss:.1%} × {values.opt_out_harm:,g} = "
        f"{plan.choice.net_value[number - 1]:,.2f}"
    )
