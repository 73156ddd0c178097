"""A seeded company whose true conversion probabilities are known: data for the demo and for tests.

``simulate`` writes what a real company has: late, duplicated, shuffled and broken rows in three sources. ``block``
gives the same rows clean, in the tables of ``features.contracts``. Leads come in blocks of whole accounts, each
with a random stream of its own, so that any number of leads needs the memory of one block.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from features.contracts import EVENTS, INSTANT, LEADS
from features.tools.instants import US_PER_DAY, to_microseconds
from pipelines.simulated import company
from pipelines.simulated.company import CHANGE, END, LATE, MARKS, OUTCOMES, Clock, Law
from pipelines.simulated.untidy import Summary, Writer

_inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # the stubs lack them
"""Called by compiled code only: without doors to Python it compiles sooner."""
BLOCK_LEADS = 5_000
GROUP_SIZES = (0.6, 0.25, 0.15)
"""Chances that one, two or three people of an account become leads."""
NO_ACCOUNT = 0.5
"""Share of the single leads whose account nobody wrote down: about a fifth of all leads."""
JOIN_WITHIN = 90.0
"""The others of a group come within so many business days of the first."""
BILLED = 0.85
"""Share of the leads with an opportunity that get a billing contact; nobody gets one before."""
FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chloé",
    "Dana",
    "Emre",
    "Fatma",
    "Goran",
    "Hana",
    "Ivo",
    "Jola",
    "Kofi",
    "Łucja",
)


class Block(NamedTuple):
    """One block's truth: ``leads`` as LEADS plus attributes and personal columns, ``events`` as EVENTS plus ``log``."""

    leads: pa.Table
    events: pa.Table


class _Marks(NamedTuple):
    """What a block's leads did: lead (row), tau (business days), kind (mark, or outcome after the marks), late."""

    lead: np.ndarray
    tau: np.ndarray
    kind: np.ndarray
    late: np.ndarray


def simulate(
    directory: Path,
    leads: int = 20_000,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write a company to ``directory``: leads.csv, crm.csv and web/part-*.parquet, each replaced when complete.

    The same seed and number of leads give the same bytes. ``progress(done, total)`` is called with numbers of leads
    after each block. Times in leads.csv are naive and mean UTC.
    """
    with _staged(directory) as stage, Writer(stage) as writer:
        for number, first in enumerate(range(0, leads, BLOCK_LEADS)):
            count = min(BLOCK_LEADS, leads - first)
            writer.add(*block(seed, number, count), np.random.default_rng([seed, number, 1]))
            if progress is not None:
                progress(first + count, leads)
    return writer.summary


def block(seed: int, number: int, leads: int, law: Law | None = None) -> Block:
    """Return the true rows of one block of whole accounts, as known at END; depends on its arguments alone."""
    rng = np.random.default_rng([seed, number, 0])
    clock = company.demo_clock()
    table, arrival, account = _leads(rng, clock, number, leads)
    happened = play(
        rng,
        law or company.demo_law(),
        clock,
        account,
        arrival,
        company.fit(table),
        company.entry_row(table),
    )
    events = _events(rng, clock, table, happened)
    return Block(_with_personal_columns(rng, table, events), events)


def _leads(
    rng: np.random.Generator, clock: Clock, number: int, count: int
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return the leads' table, their arrivals in business days, and the account (0, 1, …) of each, in order."""
    account = np.repeat(np.arange(count), rng.choice([1, 2, 3], count, p=GROUP_SIZES))[:count]
    single = np.bincount(account)[account] == 1
    anonymous = single & (rng.random(count) < NO_ACCOUNT)
    end = float(clock.business(np.array([to_microseconds(END)]))[0])
    first = rng.uniform(0, end, count)[account]
    founder = np.r_[True, account[1:] != account[:-1]][:count]
    arrival = np.where(
        founder, first, first + rng.random(count) * np.minimum(JOIN_WITHIN, end - first)
    )
    created = pa.array(clock.calendar(arrival), INSTANT)
    ids = pa.array([f"L{number:04d}{row:05d}" for row in range(count)])
    accounts = pa.array([f"A{number:04d}{group:05d}" for group in account], mask=anonymous)
    table = pa.Table.from_arrays([ids, accounts, created, created], schema=LEADS)
    for name, values in _attributes(rng, account).items():
        table = table.append_column(name, values)
    return table, arrival, account


def _attributes(rng: np.random.Generator, account: np.ndarray) -> dict[str, pa.Array]:
    """Draw what is known of each lead; firmographics are the account's, the source is the lead's own."""
    count = len(account)
    industry = rng.choice(list(company.INDUSTRIES), count)[account]
    country = rng.choice(list(company.COUNTRIES), count)[account]
    employees = np.ceil(company.TYPICAL_EMPLOYEES * np.exp(1.4 * rng.standard_normal(count)))[
        account
    ]
    return {
        "industry": pa.array(industry, mask=rng.random(count) < 0.05),
        "employees": pa.array(employees, mask=rng.random(count) < 0.10),
        "country": pa.array(country),
        "source": pa.array(rng.choice(list(company.SOURCES), count, p=company.SOURCE_SHARES)),
    }


def play(
    rng: np.random.Generator,
    law: Law,
    clock: Clock,
    account: np.ndarray,
    arrival: np.ndarray,
    fits: np.ndarray,
    entry: np.ndarray,
) -> _Marks:
    """Let leads live by the law from arrival (business days) to END; ``account`` must be 0, 1, … in order."""
    change, end = clock.business(np.array([to_microseconds(CHANGE), to_microseconds(END)]))
    return _Marks(*_play(rng, law, account, arrival, fits, entry, change, end))


@njit(cache=True)
def _play(
    rng: np.random.Generator,
    law: Law,
    account: np.ndarray,
    arrival: np.ndarray,
    fits: np.ndarray,
    entry: np.ndarray,
    change: float,
    end: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Simulate exactly (Gillespie 1977): first each account's own path, then its leads given that path."""
    log = ([0], [0.0], [0])
    row = 0
    while row < len(account):
        last = row
        while last < len(account) and account[last] == account[row]:
            last += 1
        path = _account_path(rng, law, arrival[row:last].min(), end)
        for lead in range(row, last):
            one = (lead, arrival[lead], fits[lead], entry[lead])
            _live(rng, law, path, one, (change, end), log)
        row = last
    kind = np.array(log[2])[1:]
    late = np.zeros(len(kind), np.bool_)
    for i in range(len(kind)):
        late[i] = kind[i] < len(law.late) and rng.random() < law.late[kind[i]]
    return np.array(log[0])[1:], np.array(log[1])[1:], kind, late


@_inner
def _account_path(
    rng: np.random.Generator, law: Law, start: float, end: float
) -> tuple[np.ndarray, int]:
    """Draw the account's state at ``start`` from its stationary law, and the times at which it flips until ``end``."""
    first = 1 if rng.random() < law.z_rate[0] / law.z_rate.sum() else 0
    z, now = first, start
    switches = [start]
    while now < end:
        now += rng.exponential(1 / law.z_rate[z])
        switches.append(now)
        z = 1 - z
    return np.array(switches)[1:], first


@_inner
def _pick(rng: np.random.Generator, rates: np.ndarray) -> int:
    """Draw an index in proportion to rates."""
    left = rng.random() * rates.sum()
    for i in range(len(rates)):
        left -= rates[i]
        if left < 0:
            return i
    return int(np.argmax(rates))


@_inner
def _live(
    rng: np.random.Generator,
    law: Law,
    path: tuple[np.ndarray, int],
    lead: tuple[int, float, float, int],
    span: tuple[float, float],
    log: tuple[list[int], list[float], list[int]],
) -> None:
    """Let one lead (row, arrival, fit, entry) live until it is done or the end comes; ``log`` what it does."""
    (switches, z), (row, now, fit, entry), (change, end) = path, lead, span
    intents, marks = law.x_rate.shape[1], law.mark_rate.shape[3]
    rates = np.empty(intents + marks + 2)
    x, phase, flip = _pick(rng, law.entry[entry]), 0, 0
    while phase < 2 and now < end:
        while switches[flip] <= now:
            flip, z = flip + 1, 1 - z
        regime = 1 if now >= change else 0
        bound = min(switches[flip], end if regime == 1 else change)
        rates[:intents] = law.x_rate[z, x]
        rates[intents : intents + marks] = law.mark_rate[regime, phase, x]
        rates[intents + marks] = law.exit_rate[phase, 0, z, x] * fit
        rates[intents + marks + 1] = law.exit_rate[phase, 1, z, x]
        now += rng.exponential(1 / rates.sum())
        if now >= bound:
            now = bound
            continue
        what = _pick(rng, rates)
        if what < intents:
            x = what
            continue
        kind = what - intents
        if kind >= marks:
            way = kind - marks
            kind += 2 * phase
            phase = 1 if phase == 0 and way == 0 else 2
        log[0].append(row)
        log[1].append(now)
        log[2].append(kind)


def _events(rng: np.random.Generator, clock: Clock, leads: pa.Table, done: _Marks) -> pa.Table:
    """Return the events known before END as EVENTS plus ``log``, in the order of EVENTS."""
    names = [
        *((m.event_type, m.channel, m.log) for m in MARKS),
        *((name, None, "crm") for name in OUTCOMES),
    ]
    time = clock.calendar(done.tau)
    known = time + done.late * (LATE.days * US_PER_DAY)
    kind = pa.array(done.kind)
    columns = [
        leads["entity_id"].combine_chunks().take(pa.array(done.lead)),
        pa.array(time, INSTANT),
        pa.array(known, INSTANT),
        *(pa.array([name[i] for name in names], pa.string()).take(kind) for i in (0, 1)),
        _values(rng, leads, done),
        pa.array([name[2] for name in names]).take(kind),
    ]
    table = pa.Table.from_arrays(columns, schema=EVENTS.append(pa.field("log", pa.string())))
    return table.filter(pa.array(known < to_microseconds(END))).sort_by(
        [(name, "ascending") for name in EVENTS.names]
    )


def _values(rng: np.random.Generator, leads: pa.Table, done: _Marks) -> pa.Array:
    """Draw minutes of calls and amounts of proposals; they say nothing of intent beyond the event's type."""
    carries = np.array([m.value for m in MARKS] + [""] * len(OUTCOMES))[done.kind]
    employees = leads["employees"].to_numpy(zero_copy_only=False)[done.lead]
    size = np.nan_to_num(employees, nan=company.TYPICAL_EMPLOYEES)
    noise = np.exp(0.5 * rng.standard_normal(len(done.kind)))
    amount = np.where(carries == "deal", np.round(900 * size**0.6 * noise, 2), np.ceil(12 * noise))
    return pa.array(amount, mask=carries == "")


def _with_personal_columns(rng: np.random.Generator, leads: pa.Table, events: pa.Table) -> pa.Table:
    """Add what no model may use: an address, and the contact that is only written down once there is a deal."""
    first = rng.choice(FIRST_NAMES, leads.num_rows)
    ids = leads["entity_id"].to_pylist()
    email = [
        f"{name.lower()}.{lead.lower()}@example.com" for name, lead in zip(first, ids, strict=True)
    ]
    dealt = pc.is_in(
        leads["entity_id"],
        events.filter(pc.equal(events["event_type"], "opportunity"))["entity_id"],
    )
    empty = ~dealt.to_numpy() | (rng.random(leads.num_rows) >= BILLED)
    contact = pa.array([f"{name} (accounts payable)" for name in first], mask=empty)
    return leads.append_column("email", pa.array(email)).append_column("billing_contact", contact)


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """Give a folder to write to; when the block ends well, move its files into ``directory``, one rename each."""
    stage = directory / ".partial"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        yield stage
        (directory / "web").mkdir(exist_ok=True)
        parts = sorted((stage / "web").iterdir())
        for file in (*parts, stage / "leads.csv", stage / "crm.csv"):
            file.replace(directory / file.relative_to(stage))
        for stale in set((directory / "web").glob("part-*.parquet")) - {
            directory / "web" / p.name for p in parts
        }:
            stale.unlink()
    finally:
        shutil.rmtree(stage, ignore_errors=True)
