"""Outreach of the simulated company: touches of ours, replies and opt-outs, with exact chances.

A lead is open to talk or closed to it, which no row shows. Each touch goes by e-mail or by call,
drawn with known chances. The chance of a reply depends on the touch number, the channel, and
whether the lead is open: of leads that stay silent more and more are closed, so the chance over
the leads still at risk falls while that of an open lead first rises. A lead is touched until it
replies, opts out, or ends.

Replies come before the next touch, within ``reply_within`` days. The events say nothing of the
law of leads: the demo's features leave them out.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.atomic_file import write_atomically
from features.tools.instants import (
    NEVER_US,
    US_PER_DAY,
    column_to_microseconds,
    from_microseconds,
    to_microseconds,
)
from pipelines.simulated.company import END

OUTREACH_FILE = "outreach.csv"
COLUMNS = ("lead", "at", "what", "channel")
REPLY, OPT_OUT = "reply", "unsubscribed"
# Event type and channel of a touch by each way.
WAYS = (("email_sent", "email"), ("outreach_call", "phone"))
OUTREACH_TYPES = (*(what for what, _ in WAYS), REPLY, OPT_OUT)
# What ends the touches of a lead.
ENDING_TYPES = ("opportunity", "disqualified", "won", "lost")
# The last number of the random streams of blocks that is in use elsewhere is 6.
OUTREACH_STREAM = 7
SECOND_US = 1_000_000


@dataclass(frozen=True)
class OutreachLaw:
    """How leads are touched, and how they answer.

    Attributes:
        open_share: Share of the leads that are open to talk.
        open_reply: Chance that an open lead replies to an e-mail, by touch number.
        closed_reply: Chance that a closed lead does, at any number.
        call_factor: Factor of these chances for a call.
        call_share: Chance that a touch is a call.
        opt_out: Chance that a lead that does not reply to a touch opts out.
        first_after: Mean days from the creation of a lead to its first touch.
        gap: Shortest days between touches, and mean days beyond that.
        reply_within: Days within which every reply and opt-out comes; below the shortest gap.
    """

    open_share: float = 0.45
    open_reply: tuple[float, ...] = (0.08, 0.12, 0.16, 0.18, 0.16, 0.12, 0.08, 0.05)
    closed_reply: float = 0.008
    call_factor: float = 1.7
    call_share: float = 0.3
    opt_out: float = 0.012
    first_after: float = 2.0
    gap: tuple[float, float] = (4.0, 4.0)
    reply_within: float = 3.0


DEMO_OUTREACH = OutreachLaw()


class SimulatedTouches(NamedTuple):
    """Touches of a block, ordered by lead and number, each of a lead at risk.

    Attributes:
        lead: Row of the lead.
        time: Instant, int64 microseconds.
        number: Touch number, from 1.
        way: Place in WAYS.
        chance: Exact chance that a reply is recorded, given all that was seen before the touch,
            float64.
        answer: Instant of the reply or opt-out, NEVER_US without one.
        replied: Whether the answer is a reply.
    """

    lead: np.ndarray
    time: np.ndarray
    number: np.ndarray
    way: np.ndarray
    chance: np.ndarray
    answer: np.ndarray
    replied: np.ndarray


def simulate_outreach(
    seed: int,
    number: int,
    leads: pa.Table,
    events: pa.Table,
    law: OutreachLaw = DEMO_OUTREACH,
) -> SimulatedTouches:
    """Return the touches of a block before END, whose rows are those of `simulate_block`.

    They have a random stream of their own, so that no value of the block changes.
    """
    rng = np.random.default_rng([seed, number, OUTREACH_STREAM])
    size, steps = leads.num_rows, len(law.open_reply)
    is_open = rng.random(size) < law.open_share
    ends = _find_ends(leads, events)
    limit = np.minimum(ends, to_microseconds(END))
    # Share of open leads among those with the same touches and no answer.
    weight = np.full(size, law.open_share)
    time = column_to_microseconds(leads["created_at"]) // SECOND_US * SECOND_US
    time = time + _to_microseconds(rng.exponential(law.first_after, size))
    going = np.ones(size, bool)
    parts = list[SimulatedTouches]()
    for step in range(steps):
        way = (rng.random(size) < law.call_share).astype(np.int64)
        factor = np.where(way == 1, law.call_factor, 1.0)
        by_kind = np.array([law.open_reply[step], law.closed_reply])[:, None] * factor
        delay = law.reply_within * rng.random(size)
        answers = rng.random((2, size))
        gap = law.gap[0] + rng.exponential(law.gap[1], size)
        going = going & (time < limit)
        replied = answers[0] < np.where(is_open, *by_kind)
        opted_out = ~replied & (answers[1] < law.opt_out)
        answer = np.where(replied | opted_out, time + _to_microseconds(delay), NEVER_US)
        # A reply after the end of the lead is none: its delay is uniform.
        in_time = np.clip((ends - time) / (law.reply_within * US_PER_DAY), 0.0, 1.0)
        chance = (weight * by_kind[0] + (1 - weight) * by_kind[1]) * in_time
        rows = np.flatnonzero(going)
        numbers = np.full(size, step + 1)
        columns = (np.arange(size), time, numbers, way, chance, answer, replied)
        parts.append(SimulatedTouches(*(column[rows] for column in columns)))
        silent = weight * (1 - by_kind[0]), (1 - weight) * (1 - by_kind[1])
        weight = silent[0] / (silent[0] + silent[1])
        going = going & ~replied & ~opted_out
        time = time + _to_microseconds(gap)
    joined = SimulatedTouches(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((joined.number, joined.lead))
    return SimulatedTouches(*(column[order] for column in joined))


class OutreachWriter:
    """Collects the outreach of blocks, and writes it as one file."""

    def __init__(self, law: OutreachLaw = DEMO_OUTREACH) -> None:
        self.law, self.rows = law, list[tuple[str, str, str, str]]()

    def add_block(self, seed: int, number: int, leads: pa.Table, events: pa.Table) -> None:
        """Add the outreach of a block, whose rows are those of `simulate_block`."""
        touches = simulate_outreach(seed, number, leads, events, self.law)
        self.rows += list_outreach_rows(leads, touches)

    def write(self, folder: Path) -> Path:
        """Write outreach.csv with all blocks; its first row comes twice."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *self.rows, *self.rows[:1]])
        path = folder / OUTREACH_FILE
        write_atomically(path, text.getvalue())
        return path


def list_outreach_rows(
    leads: pa.Table, touches: SimulatedTouches
) -> list[tuple[str, str, str, str]]:
    """Return lead, time, event type and channel of each event before END, ordered by time."""
    ids, end = leads["entity_id"].to_pylist(), to_microseconds(END)
    rows = list[tuple[int, str, str, str]]()
    for lead, time, way, answer, replied in zip(
        touches.lead, touches.time, touches.way, touches.answer, touches.replied, strict=True
    ):
        rows.append((int(time), ids[lead], *WAYS[way]))
        if answer < end:
            what = REPLY if replied else OPT_OUT
            rows.append((int(answer), ids[lead], what, WAYS[way][1]))
    rows.sort()
    return [
        (lead, from_microseconds(time).isoformat(), what, via) for time, lead, what, via in rows
    ]


def expect_replies(
    touches: SimulatedTouches, until: datetime, horizon: timedelta
) -> dict[int, tuple[int, float]]:
    """Return by touch number the mature touches and the exact mean chance of a reply to them.

    Mature are those whose ``horizon`` ends at or before ``until``.
    """
    followed = touches.time + horizon // timedelta(microseconds=1) <= to_microseconds(until)
    cells = dict[int, tuple[int, float]]()
    for number in np.unique(touches.number[followed]).tolist():
        chance = touches.chance[followed & (touches.number == number)]
        cells[number] = len(chance), float(chance.mean())
    return cells


def _find_ends(leads: pa.Table, events: pa.Table) -> np.ndarray:
    """Return when each lead first ended, int64 microseconds; NEVER_US if it did not."""
    ended = events.filter(pc.is_in(events["event_type"], value_set=pa.array(ENDING_TYPES)))
    lead = pc.index_in(ended["entity_id"], leads["entity_id"].combine_chunks()).to_numpy()
    ends = np.full(leads.num_rows, NEVER_US)
    np.minimum.at(ends, lead, column_to_microseconds(ended["event_time"]))
    return ends


def _to_microseconds(days: np.ndarray) -> np.ndarray:
    # Whole seconds, as they are written.
    seconds: np.ndarray = np.ceil(days * (US_PER_DAY / SECOND_US)).astype(np.int64)
    return seconds * SECOND_US
