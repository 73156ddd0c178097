"""One row per period and channel: cost, customers, credit and value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from features.tools.instants import from_microseconds
from models.channels.credits import METHODS
from models.channels.schemas import CHANNELS
from models.survival.bootstrap import find_interval
from pipelines.channels.cohort_figures import ChannelCohorts, CohortFigures, measure_cohort
from pipelines.channels.margins import find_payback_month

ALL = "all"
CHANNEL, REFUSED, TOTAL = "channel", "refused", "total"
NOT_TESTED = "not tested"


def build_channel_rows(cohorts: ChannelCohorts) -> pa.Table:
    """Return CHANNELS: all mature periods together, and then each, the latest first."""
    periods, rows = cohorts.periods, list[dict[str, Any]]()
    if periods.mature.any():
        last = int(periods.mature_at[periods.mature].max())
        rows += _list_period_rows(cohorts, np.flatnonzero(periods.mature), ALL, last)
    for number in range(len(periods.names) - 1, -1, -1):
        name, mature_at = periods.names[number], int(periods.mature_at[number])
        rows += _list_period_rows(cohorts, np.array([number]), name, mature_at)
    return pa.Table.from_pylist(rows, schema=CHANNELS)


def _list_period_rows(
    cohorts: ChannelCohorts, numbers: np.ndarray, name: str, mature_at: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of some periods: total, channels with most customers first, and refused."""
    mature = bool(cohorts.periods.mature[numbers].all())
    figures = measure_cohort(cohorts, numbers, mature)
    shown = (figures.touches + figures.after > 0) | (np.nan_to_num(figures.cost) != 0)
    if not shown.any():
        return
    head = {
        "period": name,
        "mature": mature,
        "mature_at": from_microseconds(mature_at),
        "incremental": NOT_TESTED,
    }
    places = np.arange(len(cohorts.names))
    accounts = np.array([figures.count_accounts(places == channel) for channel in places])
    refused = shown & (accounts < cohorts.config.min_accounts)
    order = np.lexsort((places, -accounts, -figures.customers[0]))
    yield head | _describe_group(cohorts, figures, shown, (TOTAL, ALL), mature)
    for channel in order[shown[order]]:
        own, label = places == channel, (CHANNEL, cohorts.names[channel])
        few = bool(refused[channel])
        yield head | _describe_group(cohorts, figures, own, label, mature, refused=few)
    if refused.any():
        yield head | _describe_group(cohorts, figures, refused, (REFUSED, ALL), mature)


def _describe_group(
    cohorts: ChannelCohorts,
    figures: CohortFigures,
    own: np.ndarray,
    label: tuple[str, str],
    mature: bool,
    *,
    refused: bool = False,
) -> dict[str, Any]:
    """Return the columns of the channels of a mask together; ``label`` is scope and channel."""
    known = own & ~np.isnan(figures.cost)
    cost = float(figures.cost[known].sum()) if known.any() else None
    accounts = figures.count_accounts(own)
    row: dict[str, Any] = {
        "scope": label[0],
        "channel": label[1],
        "touches": int(figures.touches[own].sum()),
        "accounts": accounts,
        "touches_after_opportunity": int(figures.after[own].sum()),
        "cost": cost,
        "leads": int(figures.leads[own].sum()),
        "customers": int(figures.customers[0, own].sum()) if mature else None,
    }
    notes = list[str]()
    if not mature:
        notes.append("not mature: some accounts have not been followed for the window")
    elif refused:
        notes.append(f"{accounts:,} accounts, fewer than {cohorts.config.min_accounts:,}")
    else:
        row |= _describe_credits(figures, own, label[0])
        if not row["leads"]:
            notes.append("touched no account first, so it has no customers of its own")
        elif label[0] != REFUSED:
            row |= _describe_cost(figures, own, cost)
            row |= _describe_value(cohorts, figures, own, cost)
    if cost is None and cohorts.periods.cost is not None:
        notes.append("no cost in sources.costs")
    if label[0] == TOTAL and (unknown := (own & ~known).sum()) and cost is not None:
        notes.append(f"without the cost of {unknown:,} channels, which is not known")
    return row | {"note": "; ".join(notes)}


def _describe_credits(figures: CohortFigures, own: np.ndarray, scope: str) -> dict[str, Any]:
    """Return the credits; those of several channels are sums, which have no intervals."""
    if figures.credits is None:
        return {}
    # Channels with costs alone come last, and have no credit.
    own, row = own[: len(figures.credits.channels)], dict[str, Any]()
    for name in METHODS:
        credit, column = figures.credits.by_method[name], f"{name}_credit"
        row[column] = float(credit.value[own].sum())
        if scope == CHANNEL:
            row[f"{column}_low"] = float(credit.low[own].sum())
            row[f"{column}_high"] = float(credit.high[own].sum())
    return row


def _describe_cost(figures: CohortFigures, own: np.ndarray, cost: float | None) -> dict[str, Any]:
    """Return the cost of a customer with its interval; no upper bound is null."""
    customers = figures.customers[:, own].sum(1)
    if cost is None or not customers[0]:
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(customers > 0, cost / customers, np.inf)
    low, high = find_interval(drawn[1:, None])
    ends = {"cac_low": float(low[0]), "cac_high": float(high[0])}
    return {"cac": cost / float(customers[0])} | {
        name: end if np.isfinite(end) else None for name, end in ends.items()
    }


def _describe_value(
    cohorts: ChannelCohorts, figures: CohortFigures, own: np.ndarray, cost: float | None
) -> dict[str, Any]:
    """Return margin, expected value, return and payback of the customers touched first."""
    margins = cohorts.margins
    if margins is None:
        return {}
    members = figures.customer & own[cohorts.journeys.first_channel]
    so_far = float(margins.sum_accounts(len(members))[members].sum())
    to_come = 0.0 if margins.to_come is None else float(margins.to_come[members].sum())
    row: dict[str, Any] = {"margin": so_far, "expected_value": so_far + to_come}
    if cost is not None and cost > 0:
        row["roi"] = (so_far + to_come - cost) / cost
        row["payback_months"] = find_payback_month(margins, members, cost)
    return row
