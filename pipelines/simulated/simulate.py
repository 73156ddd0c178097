"""A seeded company with known true conversion probabilities: data for the demo and for tests.

The company is written as late, duplicated, shuffled and broken rows in four sources. A simulated
block holds the same rows clean, in the tables of ``features.contracts``. Leads come in blocks of
whole accounts, each with a random stream of its own, so any number of leads needs the memory of one
block.
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

from features.contracts import EVENTS, INSTANT, LEADS
from features.tools.instants import US_PER_DAY, to_microseconds
from pipelines.simulated import company
from pipelines.simulated.committees import (
    CommitteeLaw,
    Contacts,
    add_contacts,
    compute_boosts,
    draw_contacts,
)
from pipelines.simulated.company import (
    END,
    LATE_DELAY,
    MARKS,
    OUTCOMES,
    BusinessClock,
    CompanyLaw,
)
from pipelines.simulated.costs import write_costs
from pipelines.simulated.customers import DEMO_CUSTOMERS, CustomerLaw, simulate_customers
from pipelines.simulated.marks import MarkLog, simulate_marks
from pipelines.simulated.outreach import OutreachWriter
from pipelines.simulated.untidy import CompanyWriter, SimulationSummary
from pipelines.simulated.visitors import VisitorFiles, VisitorLaw

# Leads of a block. A change changes the data of a seed: each block has its own random stream.
BLOCK_LEADS = 5_000
# Probability that one, two or three people of an account become leads.
GROUP_SIZE_CHANCES = (0.6, 0.25, 0.15)
# Share of the single leads without a recorded account: about a fifth of all leads.
NO_ACCOUNT_SHARE = 0.5
# Maximum business days between the first lead of an account and its others.
JOIN_WITHIN_DAYS = 90.0
# Share of the leads with an opportunity that have a billing contact. No other lead has one: this is
# the column that leaks the outcome, planted for the leakage audit.
BILLED_SHARE = 0.85
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
# Sales people of the company; each account, or lead without one, belongs to one of them.
OWNERS = ("Anna Berg", "Ben Okafor", "Clara Duarte", "David Kim", "Elif Aydin")


class SimulatedBlock(NamedTuple):
    """The true rows of one block.

    Attributes:
        leads: LEADS plus attributes and personal columns; one row per lead.
        events: EVENTS plus ``log``, the source of the row; one row per event.
    """

    leads: pa.Table
    events: pa.Table


def write_company(
    directory: Path,
    leads: int = 20_000,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
    committees: CommitteeLaw | None = None,
    customers: CustomerLaw | None = DEMO_CUSTOMERS,
    visitors: VisitorLaw | None = None,
) -> SimulationSummary:
    """Write a company to ``directory``: leads.csv, crm.csv, orders.csv, costs.csv,
    outreach.csv and web/.

    Each file is replaced when the new one is complete. The same seed and number of leads give the
    same bytes. ``progress(done, total)`` is called with numbers of leads after each block. Times in
    leads.csv have no offset and mean UTC. With ``committees`` it also has contacts, and columns
    title and known_at. Without ``customers`` there is no orders.csv; the other files are the same.
    With ``visitors`` there are also visits.csv and logins.csv.
    """
    visits = None if visitors is None else VisitorFiles(visitors)
    outreach = OutreachWriter()
    with _stage_files(directory) as stage, CompanyWriter(stage) as writer:
        for number, first in enumerate(range(0, leads, BLOCK_LEADS)):
            count = min(BLOCK_LEADS, leads - first)
            block = simulate_block(seed, number, count, committees=committees)
            # The untidy rows have a random stream of their own, so they change no true row.
            writer.add_block(*block, np.random.default_rng([seed, number, 1]))
            if customers is not None:
                after = simulate_customers(seed, number, *block, customers).events
                writer.add_orders(after, np.random.default_rng([seed, number, 6]))
            outreach.add_block(seed, number, *block)
            if visits is not None:
                visits.add_block(block.leads, seed, number)
            if progress is not None:
                progress(first + count, leads)
        if visits is not None:
            visits.write(stage)
        outreach.write(stage)
    write_costs(directory, leads, seed)
    return writer.summary


def simulate_block(
    seed: int,
    number: int,
    leads: int,
    law: CompanyLaw | None = None,
    committees: CommitteeLaw | None = None,
) -> SimulatedBlock:
    """Return the true rows of one block of whole accounts, as known at END.

    The rows depend on the arguments alone. With ``committees`` there are contacts besides the
    leads, and a column ``title``; `compute_oracle` does not know them.
    """
    rng = np.random.default_rng([seed, number, 0])
    clock = company.build_demo_clock()
    table, arrival, account = _draw_leads(rng, clock, number, leads)
    # Contacts have a random stream of their own, so that without them no value changes.
    own_rng = np.random.default_rng([seed, number, 4])
    contacts = _draw_committees(own_rng, committees, clock, table, arrival, account)
    happened = simulate_marks(
        rng,
        law or company.build_demo_law(),
        clock,
        account,
        arrival,
        company.compute_fit(table),
        company.find_entry_rows(table),
        compute_boosts(committees, contacts, clock, account.max(initial=-1) + 1)
        if committees and contacts
        else None,
    )
    events = _build_events(rng, clock, table, happened)
    leads_with_people = _add_personal_columns(rng, table, events)
    # Owners and the amounts of wins have random streams of their own, so they change no other
    # value.
    owners = _draw_owners(np.random.default_rng([seed, number, 2]), account)
    amount = _draw_win_amounts(np.random.default_rng([seed, number, 3]), table, events)
    events = events.set_column(events.column_names.index("value"), EVENTS.field("value"), amount)
    block = SimulatedBlock(leads_with_people.append_column("owner", owners), events)
    if committees is None or contacts is None:
        return block
    return SimulatedBlock(*add_contacts(own_rng, committees, clock, block, account, contacts))


def _draw_committees(
    rng: np.random.Generator,
    law: CommitteeLaw | None,
    clock: BusinessClock,
    leads: pa.Table,
    arrival: np.ndarray,
    account: np.ndarray,
) -> Contacts | None:
    """Return the contacts of all accounts; None without a law of committees."""
    if law is None:
        return None
    _, first = np.unique(account, return_index=True)
    recorded = leads["account_id"].take(pa.array(first)).is_valid().to_numpy()
    end = float(clock.to_business_days(np.array([to_microseconds(END)]))[0])
    return draw_contacts(rng, law, arrival[first], recorded, end)


def _draw_leads(
    rng: np.random.Generator, clock: BusinessClock, number: int, count: int
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return the table of leads, their arrivals in business days, and their accounts (0, 1, …)."""
    account = np.repeat(np.arange(count), rng.choice([1, 2, 3], count, p=GROUP_SIZE_CHANCES))[
        :count
    ]
    single = np.bincount(account)[account] == 1
    anonymous = single & (rng.random(count) < NO_ACCOUNT_SHARE)
    end = float(clock.to_business_days(np.array([to_microseconds(END)]))[0])
    first = rng.uniform(0, end, count)[account]
    founder = np.r_[True, account[1:] != account[:-1]][:count]
    arrival = np.where(
        founder, first, first + rng.random(count) * np.minimum(JOIN_WITHIN_DAYS, end - first)
    )
    created = pa.array(clock.to_instants(arrival), INSTANT)
    ids = pa.array([f"L{number:04d}{row:05d}" for row in range(count)])
    accounts = pa.array([f"A{number:04d}{group:05d}" for group in account], mask=anonymous)
    table = pa.Table.from_arrays([ids, accounts, created, created], schema=LEADS)
    for name, values in _draw_attributes(rng, account).items():
        table = table.append_column(name, values)
    return table, arrival, account


def _draw_attributes(rng: np.random.Generator, account: np.ndarray) -> dict[str, pa.Array]:
    """Draw the attributes of each lead: firmographics by account, the source by lead."""
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


def _draw_owners(rng: np.random.Generator, account: np.ndarray) -> pa.Array:
    """Draw the sales person of each account; no rate depends on it."""
    return pa.array(rng.choice(OWNERS, len(account))[account])


def _build_events(
    rng: np.random.Generator, clock: BusinessClock, leads: pa.Table, done: MarkLog
) -> pa.Table:
    """Return the events known before END as EVENTS plus ``log``, in the order of EVENTS."""
    names = [
        *((m.event_type, m.channel, m.log) for m in MARKS),
        *((name, None, "crm") for name in OUTCOMES),
    ]
    time = clock.to_instants(done.tau)
    known = time + done.late * (LATE_DELAY.days * US_PER_DAY)
    kind = pa.array(done.kind)
    columns = [
        leads["entity_id"].combine_chunks().take(pa.array(done.lead)),
        pa.array(time, INSTANT),
        pa.array(known, INSTANT),
        *(pa.array([name[i] for name in names], pa.string()).take(kind) for i in (0, 1)),
        _draw_values(rng, leads, done),
        pa.array([name[2] for name in names]).take(kind),
    ]
    table = pa.Table.from_arrays(columns, schema=EVENTS.append(pa.field("log", pa.string())))
    return table.filter(pa.array(known < to_microseconds(END))).sort_by(
        [(name, "ascending") for name in EVENTS.names]
    )


def _draw_values(rng: np.random.Generator, leads: pa.Table, done: MarkLog) -> pa.Array:
    """Draw minutes of calls and amounts of proposals; they depend on no hidden state."""
    carries = np.array([m.value for m in MARKS] + [""] * len(OUTCOMES))[done.kind]
    noise = np.exp(0.5 * rng.standard_normal(len(done.kind)))
    deal = _compute_deal_amounts(leads, done.lead, noise)
    return pa.array(np.where(carries == "deal", deal, np.ceil(12 * noise)), mask=carries == "")


def _compute_deal_amounts(leads: pa.Table, lead: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the amount of a deal of each lead: it grows with the number of employees."""
    employees = leads["employees"].to_numpy(zero_copy_only=False)[lead]
    size = np.nan_to_num(employees, nan=company.TYPICAL_EMPLOYEES)
    return np.round(900 * size**0.6 * noise, 2)


def _draw_win_amounts(
    rng: np.random.Generator, leads: pa.Table, events: pa.Table
) -> pa.ChunkedArray:
    """Return the value of each event, that of a win being the amount of the lead's newest proposal.

    That of a lead without one is drawn as proposals are.
    """
    lead = pc.index_in(events["entity_id"], leads["entity_id"].combine_chunks()).to_numpy()
    kind, value = events["event_type"], events["value"].to_numpy()
    offered = pc.equal(kind, "proposal").to_numpy()
    newest = np.full(leads.num_rows, np.nan)
    # A proposal comes before the win, which ends a lead. Of several assignments to one element the
    # last one stays: the newest, since the events of a lead are in the order of time.
    newest[lead[offered]] = value[offered]
    # Drawn for every lead, so that no amount depends on which leads are won.
    drawn = _compute_deal_amounts(
        leads, np.arange(leads.num_rows), np.exp(0.5 * rng.standard_normal(leads.num_rows))
    )
    amount = np.where(np.isnan(newest), drawn, newest)[lead]
    return pc.if_else(pc.equal(kind, "won"), pa.chunked_array([amount]), events["value"])


def _add_personal_columns(rng: np.random.Generator, leads: pa.Table, events: pa.Table) -> pa.Table:
    """Add columns that no model may use: an e-mail address and the billing contact.

    The billing contact is filled only after an opportunity, so it leaks the outcome.
    """
    first = rng.choice(FIRST_NAMES, leads.num_rows)
    ids = leads["entity_id"].to_pylist()
    email = [
        f"{name.lower()}.{lead.lower()}@example.com" for name, lead in zip(first, ids, strict=True)
    ]
    has_opportunity = pc.is_in(
        leads["entity_id"],
        events.filter(pc.equal(events["event_type"], "opportunity"))["entity_id"],
    )
    empty = ~has_opportunity.to_numpy() | (rng.random(leads.num_rows) >= BILLED_SHARE)
    contact = pa.array([f"{name} (accounts payable)" for name in first], mask=empty)
    return leads.append_column("email", pa.array(email)).append_column("billing_contact", contact)


@contextmanager
def _stage_files(directory: Path) -> Iterator[Path]:
    """Yield a staging folder; if the block succeeds, move its files into ``directory``."""
    stage = directory / ".partial"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        yield stage
        (directory / "web").mkdir(exist_ok=True)
        parts = sorted((stage / "web").iterdir())
        for file in (*parts, *stage.glob("*.csv")):
            file.replace(directory / file.relative_to(stage))
        # Parts of a larger company that was written before would be read as data.
        for stale in set((directory / "web").glob("part-*.parquet")) - {
            directory / "web" / p.name for p in parts
        }:
            stale.unlink()
    finally:
        shutil.rmtree(stage, ignore_errors=True)
