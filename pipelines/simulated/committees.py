"""Buying committees of the simulated company: an option, planted into accounts with a lead.

Contacts join an account after its first lead and take part in turns, at times that depend on no
lead. While a role is engaged, which is 30 days from each event of a contact in it, opportunities of
the account are won at its factor times the rate. So the effect of a role is known. Other contacts
are entered only because a deal advanced, with the date of the account as that of their creation:
without their known_at they show the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.tools.instants import US_PER_DAY, column_to_microseconds, to_microseconds
from pipelines.simulated.company import END, BusinessClock

# Titles by role. The words of each role are those of accounts.roles in the demo of committees.
TITLES = {
    "finance": ("CFO", "Head of Finance", "Leiter Finanzen", "Финансовый директор"),
    "it": ("CTO", "IT Manager", "Leiterin IT", "Руководитель ИТ"),
    "user": ("Operations Manager", "Sachbearbeiterin", "Специалист по закупкам"),
    "legal": ("General Counsel", "Legal Counsel", "Юрист"),
    "other": ("Assistant", "Praktikant", ""),
}
# Days from an event of a contact for which its role counts as engaged.
ENGAGED_DAYS = 30
# Events of contacts, all on the web.
EVENT_TYPES = (("page_view", "web"), ("email_click", "email"), ("chat", "chat"))


@dataclass(frozen=True)
class CommitteeLaw:
    """How contacts join, act, and change the rate at which opportunities are won.

    Attributes:
        factors: Factor of the rate of wins while a role is engaged; 1 for every other role.
        joining: Roles of contacts that join by themselves, with the chance that one does.
        join_days: Mean business days from the first lead of the account to a contact's joining.
        turn_days: Mean business days of a turn in which a contact acts, and of a pause.
        act_rate: Events per business day in a turn.
        late_role: Role of contacts entered because a deal advanced.
        late_chances: Chance that one is entered at the first proposal, and at the win.
    """

    factors: dict[str, float] = field(default_factory=lambda: {"finance": 3.0, "it": 1.0})
    joining: dict[str, float] = field(
        default_factory=lambda: {"finance": 0.5, "it": 0.5, "user": 0.5, "other": 0.3}
    )
    join_days: float = 30.0
    turn_days: tuple[float, float] = (40.0, 60.0)
    act_rate: float = 0.15
    late_role: str = "legal"
    late_chances: tuple[float, float] = (0.3, 0.9)


class Boosts(NamedTuple):
    """Factors of the rate of wins, piecewise constant in time, of accounts 0, 1, ….

    Attributes:
        first: (accounts + 1,) position of each account's first step.
        tau: Time of each step in business days, ascending within an account.
        factor: Factor from that step on; it is 1 before the first.
    """

    first: np.ndarray
    tau: np.ndarray
    factor: np.ndarray


class Contacts(NamedTuple):
    """Contacts that joined by themselves, ordered by account, and what they did.

    Attributes:
        account: Account of each contact.
        joined: Time of joining in business days.
        role: Role of each contact.
        event_contact: Contact of each event.
        event_tau: Time of each event in business days.
    """

    account: np.ndarray
    joined: np.ndarray
    role: np.ndarray
    event_contact: np.ndarray
    event_tau: np.ndarray


def build_no_boosts(accounts: int) -> Boosts:
    """Return factors of 1 at all times."""
    return Boosts(np.zeros(accounts + 1, np.int64), np.empty(0), np.empty(0))


def draw_contacts(
    rng: np.random.Generator,
    law: CommitteeLaw,
    arrival: np.ndarray,
    recorded: np.ndarray,
    end: float,
) -> Contacts:
    """Draw the contacts of accounts from the arrival (business days) of each one's first lead.

    Accounts that are not ``recorded`` have none: nobody could be added to them.
    """
    people: list[tuple[int, float, str]] = []
    events: list[tuple[int, float]] = []
    for account in np.flatnonzero(recorded).tolist():
        first = float(arrival[account])
        for role, chance in law.joining.items():
            joined = first + rng.exponential(law.join_days)
            if rng.random() >= chance or joined >= end:
                continue
            events += [(len(people), tau) for tau in _draw_acts(rng, law, joined, end)]
            people.append((account, joined, role))
    contact, tau = (np.array([event[i] for event in events]) for i in (0, 1))
    return Contacts(
        np.array([row[0] for row in people], np.int64),
        np.array([row[1] for row in people]),
        np.array([row[2] for row in people], object),
        contact.astype(np.int64),
        tau,
    )


def _draw_acts(
    rng: np.random.Generator, law: CommitteeLaw, joined: float, end: float
) -> list[float]:
    """Return the times of a contact's events: it joins with one, and then acts in turns."""
    times, now = [joined], joined
    while now < end:
        stop = min(now + rng.exponential(law.turn_days[0]), end)
        times += sorted(rng.uniform(now, stop, rng.poisson(law.act_rate * (stop - now))).tolist())
        now = stop + rng.exponential(law.turn_days[1])
    return times


def compute_boosts(
    law: CommitteeLaw, contacts: Contacts, clock: BusinessClock, accounts: int
) -> Boosts:
    """Return the factors of each account that follow from what its contacts did."""
    role = contacts.role[contacts.event_contact]
    owner = contacts.account[contacts.event_contact]
    steps: list[tuple[int, float, float]] = []
    for name, factor in law.factors.items():
        chosen = (role == name) if factor != 1 else np.zeros(len(role), bool)
        for account, start, stop in _merge_spells(owner[chosen], contacts.event_tau[chosen], clock):
            steps += [(account, start, factor), (account, stop, 1 / factor)]
    steps.sort()
    first = np.searchsorted([step[0] for step in steps], np.arange(accounts + 1))
    tau = np.array([step[1] for step in steps])
    change = np.array([np.log(step[2]) for step in steps])
    # The factors of the roles that are engaged at a time are multiplied.
    total = np.cumsum(change)
    before = np.repeat(np.append(0.0, total)[first[:-1]], np.diff(first))
    return Boosts(first.astype(np.int64), tau, np.exp(total - before))


def _merge_spells(
    owner: np.ndarray, tau: np.ndarray, clock: BusinessClock
) -> list[tuple[int, float, float]]:
    """Return account, begin and end of each time for which a role is engaged."""
    order = np.lexsort((tau, owner))
    owner, tau = owner[order], tau[order]
    ends = clock.to_business_days(clock.to_instants(tau) + ENGAGED_DAYS * US_PER_DAY)
    spells: list[tuple[int, float, float]] = []
    for account, start, stop in zip(owner.tolist(), tau.tolist(), ends.tolist(), strict=True):
        if spells and spells[-1][0] == account and start <= spells[-1][2]:
            spells[-1] = (account, spells[-1][1], stop)
        else:
            spells.append((account, start, stop))
    return spells


def add_contacts(
    rng: np.random.Generator,
    law: CommitteeLaw,
    clock: BusinessClock,
    block: tuple[pa.Table, pa.Table],
    account: np.ndarray,
    contacts: Contacts,
) -> tuple[pa.Table, pa.Table]:
    """Return leads and events of a block with those of contacts, and titles of all people.

    ``account`` is that of each lead.
    """
    leads, events = block
    _, first = np.unique(account, return_index=True)
    joined = _make_people(leads, first[contacts.account], clock.to_instants(contacts.joined), "C")
    late, known, role = _draw_late_contacts(rng, law, leads, events, account)
    created = column_to_microseconds(leads["created_at"])[first[account[late]]]
    entered = _make_people(leads, late, known, "D", created)
    roles = [rng.choice(["user", "other"], leads.num_rows), contacts.role, role]
    people = pa.concat_tables([leads, joined, entered])
    titles = [rng.choice(TITLES[name]) for name in np.concatenate(roles)]
    people = people.append_column("title", pa.array([title or None for title in titles]))
    done = _make_events(rng, clock, joined["entity_id"], contacts)
    done = done.select(events.column_names).cast(events.schema)
    return people, pa.concat_tables([events, done])


def _make_people(
    leads: pa.Table,
    row: np.ndarray,
    known: np.ndarray,
    mark: str,
    created: np.ndarray | None = None,
) -> pa.Table:
    """Return contacts with the account, attributes and owner of a lead each, and their own id."""
    table = leads.take(pa.array(row))
    number = np.arange(len(row)).astype(str)
    base = table["entity_id"].to_pylist()
    ids = [f"{mark}{name[1:]}-{n}" for name, n in zip(base, number, strict=True)]
    made = {
        "entity_id": pa.array(ids, pa.string()),
        "created_at": pa.array(known if created is None else created, INSTANT),
        "available_at": pa.array(known, INSTANT),
        "email": pa.array([f"{name.lower()}@example.com" for name in ids], pa.string()),
        "billing_contact": pa.nulls(len(row), pa.string()),
    }
    for name, column in made.items():
        table = table.set_column(table.column_names.index(name), leads.schema.field(name), column)
    return table


def _draw_late_contacts(
    rng: np.random.Generator,
    law: CommitteeLaw,
    leads: pa.Table,
    events: pa.Table,
    account: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lead, entry time and role of the contacts entered because its deal advanced."""
    rows, times = list[np.ndarray](), list[np.ndarray]()
    for kind, chance in zip(("proposal", "won"), law.late_chances, strict=True):
        chosen = events.filter(pc.equal(events["event_type"], kind))
        lead = pc.index_in(chosen["entity_id"], leads["entity_id"].combine_chunks()).to_numpy()
        # Events are in the order of time by lead, so the first of a lead is its first proposal.
        row, place = np.unique(lead, return_index=True)
        drawn = (rng.random(len(row)) < chance) & leads["account_id"].is_valid().to_numpy()[row]
        rows.append(row[drawn])
        # Entered within the two days after.
        wait = rng.integers(1, 2 * US_PER_DAY, drawn.sum())
        times.append(column_to_microseconds(chosen["event_time"])[place[drawn]] + wait)
    lead, known = np.concatenate(rows), np.concatenate(times)
    in_time = known < to_microseconds(END)
    return lead[in_time], known[in_time], np.full(in_time.sum(), law.late_role, object)


def _make_events(
    rng: np.random.Generator, clock: BusinessClock, ids: pa.ChunkedArray, contacts: Contacts
) -> pa.Table:
    time = pa.array(clock.to_instants(contacts.event_tau), INSTANT)
    kind = rng.integers(0, len(EVENT_TYPES), len(time))
    names, channels = (pa.array([pair[i] for pair in EVENT_TYPES]) for i in (0, 1))
    columns = {
        "entity_id": ids.take(pa.array(contacts.event_contact)),
        "event_time": time,
        "available_at": time,
        "event_type": names.take(pa.array(kind)),
        "channel": channels.take(pa.array(kind)),
        "value": pa.nulls(len(time), pa.float64()),
        "log": pa.array(["web"] * len(time)),
    }
    return pa.table(columns)
