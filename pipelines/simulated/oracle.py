"""The exact probability of the demo company's outcomes, by forward filtering of all available rows.

The hidden state of an account is its own state (quiet or buying) and the intent of each active
lead. Between events the distribution moves by the generator without the rates of observable events,
since the absence of events is evidence too. At an event it is multiplied by the event's rate. The
account's state moves independently of its leads, so the outcome of one lead depends on the
account's state and on its own intent alone: the other leads matter for the belief at the cutoff,
not after it. What customers do after a win depends on the win alone, so it is no evidence.

In the last LATE days before a cutoff only rows that are not late are available. There the filter
starts from its belief LATE days before the cutoff, and takes each mark's rate times its share of
rows that are not late.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import Dataset
from features.tools.instants import (
    US_PER_DAY,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from pipelines.simulated import company
from pipelines.simulated.company import (
    CHANGE_AT,
    LATE_DELAY,
    MARKS,
    OUTCOME_OF_TARGET,
    OUTCOMES,
    BusinessClock,
    CompanyLaw,
)
from pipelines.simulated.customers import CUSTOMER_TYPES
from pipelines.simulated.filtering import AccountHistory, Queries, Rates, filter_accounts
from pipelines.simulated.outreach import OUTREACH_TYPES
from pipelines.simulated.visitors import VISIT_TYPE

LATE_DELAY_US = LATE_DELAY.days * US_PER_DAY
# The joint state has 2 * 4**leads values, so the cost grows by four with each lead of an account.
MAX_ACCOUNT_LEADS = 6


def compute_oracle(
    dataset: Dataset,
    spine: pa.Table,
    target: str,
    horizon: timedelta,
    law: CompanyLaw | None = None,
) -> np.ndarray:
    """Return, for each row of ``spine``, the exact probability of the outcome.

    The outcome counts in ``[cutoff, cutoff + horizon)``. The probability is conditional on all rows
    of the account (attributes, arrivals, events) with ``available_at < cutoff``. ``target`` is a
    key of ``OUTCOME_OF_TARGET``. Raises DataError for data or a target of another company.
    """
    if target not in OUTCOME_OF_TARGET:
        known = ", ".join(OUTCOME_OF_TARGET)
        raise DataError(
            "unknown target of the simulated company",
            where=f"target {target}",
            fix=f"use one of {known}",
        )
    law, clock = law or company.build_demo_law(), company.build_demo_clock()
    leads = _order_leads(dataset.leads)
    history, event_ends = _build_history(dataset.events, leads, clock)
    queries, order, query_ends = _build_queries(spine, leads, clock, horizon)
    onward = int(OUTCOME_OF_TARGET[target] == "won")
    bounds = np.stack([np.cumsum(np.bincount(leads["group"])), event_ends, query_ends])
    probability = np.empty(len(order))
    probability[order] = filter_accounts(_build_rates(law, clock), history, queries, bounds, onward)
    if np.isnan(probability).any():
        raise DataError(
            "the history has probability zero under the simulated company's law",
            found=f"{np.isnan(probability).sum()} spine rows",
        )
    return probability


def _build_rates(law: CompanyLaw, clock: BusinessClock) -> Rates:
    seen = np.stack([law.mark_rate.sum(axis=3), law.mark_rate @ (1 - law.late)])
    change = float(clock.to_business_days(np.array([to_microseconds(CHANGE_AT)]))[0])
    x_out = law.x_rate.sum(axis=2)
    return Rates(
        law.z_rate, law.x_rate, x_out, law.mark_rate, seen, law.exit_rate, law.entry, change
    )


def _order_leads(table: pa.Table) -> pd.DataFrame:
    """Return the leads by (account, arrival), with the account's number as ``group``.

    A lead without an account is an account of its own. Raises DataError above MAX_ACCOUNT_LEADS
    leads.
    """
    ids, accounts = (table[name].to_pandas().astype(object) for name in ("entity_id", "account_id"))
    # The prefixes keep the id of an account apart from an equal id of a lead.
    name = ("a" + accounts).where(accounts.notna(), "e" + ids)
    frame = pd.DataFrame(
        {
            "group": pd.factorize(name)[0],
            "id": ids,
            "us": column_to_microseconds(table["created_at"]),
            "fit": company.compute_fit(table),
            "entry": company.find_entry_rows(table),
        }
    )
    largest = int(frame["group"].value_counts().max())
    if largest > MAX_ACCOUNT_LEADS:
        raise DataError(
            "too many leads in one account",
            found=f"{largest} leads; at most {MAX_ACCOUNT_LEADS} can be filtered",
        )
    # The filter walks leads, events and queries once, so all are ordered by account. The sort is
    # stable, so that leads of one instant have the same order each time.
    return frame.sort_values(["group", "us"], kind="stable", ignore_index=True)


def _find_lead_rows(ids: pa.ChunkedArray, leads: pd.DataFrame, what: str) -> np.ndarray:
    """Return the row in ``leads`` of each id; raise DataError for an unknown id.

    ``what`` names the rows in the error message.
    """
    place = pd.Index(leads["id"]).get_indexer(ids.to_pandas().astype(object))
    if (place < 0).any():
        raise DataError(
            f"{what} with an id that is not in the leads table",
            found=f"{(place < 0).sum()} rows",
        )
    return place


def _build_history(
    events: pa.Table, leads: pd.DataFrame, clock: BusinessClock
) -> tuple[AccountHistory, np.ndarray]:
    """Return the history, and the end of each account's events in it."""
    others = pa.array([*CUSTOMER_TYPES, *OUTREACH_TYPES, VISIT_TYPE])
    events = events.filter(pc.invert(pc.is_in(events["event_type"], value_set=others)))
    names = [*((m.event_type, m.channel) for m in MARKS), *((name, None) for name in OUTCOMES)]
    kinds = pd.Index([f"{kind}|{channel or ''}" for kind, channel in names])
    types, channels = (
        events[name].to_pandas().astype(object) for name in ("event_type", "channel")
    )
    kind = kinds.get_indexer(types + "|" + channels.where(channels.notna(), ""))
    if (kind < 0).any():
        raise DataError(
            "unknown event type in the simulated company",
            found=f"{(kind < 0).sum()} events, such as {types[kind < 0].iloc[0]!r}",
        )
    lead = _find_lead_rows(events["entity_id"], leads, "events")
    group = leads["group"].to_numpy()
    us, known = (
        column_to_microseconds(events["event_time"]),
        column_to_microseconds(events["available_at"]),
    )
    order = np.lexsort((us, group[lead]))
    arrays = (us[order], clock.to_business_days(us[order]), known[order], lead[order], kind[order])
    arrivals = leads["us"].to_numpy()
    history = AccountHistory(
        arrivals,
        clock.to_business_days(arrivals),
        leads["fit"].to_numpy(),
        leads["entry"].to_numpy(),
        *arrays,
    )
    return history, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))


def _build_queries(
    spine: pa.Table, leads: pd.DataFrame, clock: BusinessClock, horizon: timedelta
) -> tuple[Queries, np.ndarray, np.ndarray]:
    """Return the queries, the spine row of each query, and the end of each account's queries."""
    lead, us, group = (
        _find_lead_rows(spine["entity_id"], leads, "spine rows"),
        column_to_microseconds(spine["cutoff"]),
        leads["group"].to_numpy(),
    )
    unborn = int((leads["us"].to_numpy()[lead] >= us).sum())
    if unborn:
        raise DataError(
            "spine rows with a lead that was created at or after the cutoff",
            found=f"{unborn} rows",
        )
    order = np.lexsort((us, group[lead]))
    lead, us = lead[order], us[order]
    tau, ends = (
        clock.to_business_days(us),
        clock.to_business_days(us + duration_to_microseconds(horizon)),
    )
    since = us - LATE_DELAY_US
    # The clock begins with the company, before which there are no rows.
    since_tau = clock.to_business_days(np.maximum(since, to_microseconds(company.START)))
    queries = Queries(lead, us, tau, since, since_tau, ends - tau)
    return queries, order, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))
