"""The exact probability of the demo company's outcomes given everything known, by forward filtering.

An account's hidden state is its own (quiet or buying) and the intent of each of its leads that has come and is
not done. Between events the chance of each state moves by the generator with the rates of everything observable
taken out of it (what was not seen is evidence too); at an event it is multiplied by the event's rate. Because
the account's state moves by itself, what becomes of one lead depends on the account's state and its own intent
alone: the other leads matter for what is believed at the cutoff, and no longer after it.

In the last LATE days before a cutoff only rows that were not late can be known. So there the filter starts from
what it believed LATE days before the cutoff and takes each mark's rate times its share of rows that are not late.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from configs.errors import DataError
from features.contracts import Dataset
from features.tools.instants import (
    US_PER_DAY,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from pipelines.simulated import company
from pipelines.simulated.company import CHANGE, LATE, MARKS, OUTCOME_OF_TARGET, OUTCOMES, Clock, Law
from pipelines.simulated.filtering import Asked, History, Rates, answer

LATE_US = LATE.days * US_PER_DAY
MAX_GROUP = 6


def oracle(
    dataset: Dataset, spine: pa.Table, target: str, horizon: timedelta, law: Law | None = None
) -> np.ndarray:
    """Return the exact chance, for each row of ``spine``, of the outcome in ``[cutoff, cutoff + horizon)``.

    It is given all of the account (attributes, arrivals, events) with ``available_at < cutoff``. ``target`` is a
    key of ``OUTCOME_OF_TARGET``. Raises DataError for data or a target that are not the simulated company's.
    """
    if target not in OUTCOME_OF_TARGET:
        known = ", ".join(OUTCOME_OF_TARGET)
        raise DataError(
            "no such target in the simulated company", where=target, fix=f"ask for one of {known}"
        )
    law, clock = law or company.demo_law(), company.demo_clock()
    leads = _ordered_leads(dataset.leads)
    history, event_ends = _history(dataset.events, leads, clock)
    asked, order, asked_ends = _asked(spine, leads, clock, horizon)
    onward = int(OUTCOME_OF_TARGET[target] == "won")
    bounds = np.stack([np.cumsum(np.bincount(leads["group"])), event_ends, asked_ends])
    found = np.empty(len(order))
    found[order] = answer(_rates(law, clock), history, asked, bounds, onward)
    if np.isnan(found).any():
        raise DataError(
            "a history that the law holds to be impossible",
            found=f"{np.isnan(found).sum()} spine rows",
        )
    return found


def _rates(law: Law, clock: Clock) -> Rates:
    seen = np.stack([law.mark_rate.sum(axis=3), law.mark_rate @ (1 - law.late)])
    change = float(clock.business(np.array([to_microseconds(CHANGE)]))[0])
    x_out = law.x_rate.sum(axis=2)
    return Rates(
        law.z_rate, law.x_rate, x_out, law.mark_rate, seen, law.exit_rate, law.entry, change
    )


def _ordered_leads(table: pa.Table) -> pd.DataFrame:
    """Return leads by (account, arrival), with ``group`` 0, 1, …: those without an account are alone."""
    ids, accounts = (table[name].to_pandas().astype(object) for name in ("entity_id", "account_id"))
    name = ("a" + accounts).where(accounts.notna(), "e" + ids)
    frame = pd.DataFrame(
        {
            "group": pd.factorize(name)[0],
            "id": ids,
            "us": column_to_microseconds(table["created_at"]),
            "fit": company.fit(table),
            "entry": company.entry_row(table),
        }
    )
    largest = int(frame["group"].value_counts().max())
    if largest > MAX_GROUP:
        raise DataError(
            "too many leads in one account", found=f"{largest}, at most {MAX_GROUP} can be filtered"
        )
    return frame.sort_values(["group", "us"], kind="stable", ignore_index=True)


def _place(ids: pa.ChunkedArray, leads: pd.DataFrame, what: str) -> np.ndarray:
    """Return the row in ``leads`` of each id; raise DataError for an id that is not there."""
    place = pd.Index(leads["id"]).get_indexer(ids.to_pandas().astype(object))
    if (place < 0).any():
        raise DataError(
            f"{what} of leads that are not in the leads table", found=f"{(place < 0).sum()} rows"
        )
    return place


def _history(events: pa.Table, leads: pd.DataFrame, clock: Clock) -> tuple[History, np.ndarray]:
    """Return the history and, for each account, where its events end."""
    names = [*((m.event_type, m.channel) for m in MARKS), *((name, None) for name in OUTCOMES)]
    kinds = pd.Index([f"{kind}|{channel or ''}" for kind, channel in names])
    types, channels = (
        events[name].to_pandas().astype(object) for name in ("event_type", "channel")
    )
    kind = kinds.get_indexer(types + "|" + channels.where(channels.notna(), ""))
    if (kind < 0).any():
        raise DataError(
            "events that the law does not know",
            found=f"{(kind < 0).sum()}, as {types[kind < 0].iloc[0]!r}",
        )
    lead = _place(events["entity_id"], leads, "events")
    group = leads["group"].to_numpy()
    us, known = (
        column_to_microseconds(events["event_time"]),
        column_to_microseconds(events["available_at"]),
    )
    order = np.lexsort((us, group[lead]))
    arrays = (us[order], clock.business(us[order]), known[order], lead[order], kind[order])
    arrivals = leads["us"].to_numpy()
    history = History(
        arrivals,
        clock.business(arrivals),
        leads["fit"].to_numpy(),
        leads["entry"].to_numpy(),
        *arrays,
    )
    return history, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))


def _asked(
    spine: pa.Table, leads: pd.DataFrame, clock: Clock, horizon: timedelta
) -> tuple[Asked, np.ndarray, np.ndarray]:
    """Return what is asked, the spine row of each question, and for each account where its questions end."""
    lead, us, group = (
        _place(spine["entity_id"], leads, "spine rows"),
        column_to_microseconds(spine["cutoff"]),
        leads["group"].to_numpy(),
    )
    unborn = int((leads["us"].to_numpy()[lead] >= us).sum())
    if unborn:
        raise DataError(
            "spine rows whose lead is not yet known at the cutoff", found=f"{unborn} rows"
        )
    order = np.lexsort((us, group[lead]))
    lead, us = lead[order], us[order]
    tau, ends = clock.business(us), clock.business(us + duration_to_microseconds(horizon))
    since = us - LATE_US
    since_tau = clock.business(np.maximum(since, to_microseconds(company.START)))
    asked = Asked(lead, us, tau, since, since_tau, ends - tau)
    return asked, order, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))
