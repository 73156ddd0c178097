"""Computes the channels of a project: cost, credit, and the cost of customers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from configs.channels.channels import Channels
from configs.errors import ConfigError
from configs.schema import Project
from features.tools.instants import US_PER_DAY, duration_to_microseconds
from models.channels.credits import ChannelCredits, estimate_credits
from models.channels.result import CHANNEL_SCHEMAS, ChannelResult, ChannelTables
from models.channels.schemas import CHANNEL_BASIS
from models.channels.steps import build_step_table
from pipelines.channels.account_journeys import (
    AccountJourneys,
    build_journeys,
    find_lookback,
    select_journeys,
)
from pipelines.channels.cohort_figures import ChannelCohorts, make_credit_rules
from pipelines.channels.cohort_rows import CHANNEL, build_channel_rows
from pipelines.channels.margins import collect_margins
from pipelines.channels.periods import build_periods
from pipelines.channels.touches import collect_touches
from pipelines.channels.weeks import build_channel_weeks
from pipelines.customers.customers import build_customers
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]
NO_COSTS = "no cost: add sources.costs with date, channel and cost"


def compute_channels(
    project: Project, as_of: str | None, log: LogLine = discard_line
) -> ChannelResult:
    """Return the channels as known at an as-of, by default at the end of the data.

    Raises ConfigError for a config without `channels`, and as ``collect_touches``.
    """
    require_channels(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    customers = None
    if project.customers is not None:
        customers = build_customers(snapshot).tables.tables["customers"]
    return build_channels(snapshot, customers)


def require_channels(project: Project) -> Channels:
    """Return the section `channels`; raise ConfigError if the config has none."""
    if project.channels is None:
        raise ConfigError(
            "the config says nothing of channels",
            where=f"{project.path}: channels",
            found="no such section",
            fix="add channels: {} for the channels of events, or channels: {attribute: NAME} for "
            "an attribute of the leads",
        )
    return project.channels


def build_channels(snapshot: Snapshot, customers: pa.Table | None) -> ChannelResult:
    """Return the channels of a company's data; ``customers`` is the table of customers, if any."""
    config = require_channels(snapshot.project)
    touches = collect_touches(snapshot, config)
    journeys = build_journeys(config, touches)
    spent = snapshot.dataset.costs["channel"].unique().to_pylist()
    names = (*touches.channels, *sorted(set(spent) - set(touches.channels)))
    margins, limits = collect_margins(snapshot, config, touches, journeys, customers)
    periods = build_periods(snapshot, config, journeys.entry, names)
    cohorts = ChannelCohorts(config, touches, journeys, periods, names, margins)
    rows = build_channel_rows(cohorts)
    followed = select_journeys(touches, journeys, periods.mature[periods.account])
    credits = estimate_credits(followed, make_credit_rules(config), replicates=1)
    limits = [*([] if snapshot.project.sources.costs else [NO_COSTS]), *limits]
    tables = {
        "channels": rows,
        "channel_weeks": build_channel_weeks(snapshot, touches, journeys, names),
        "channel_steps": build_step_table(credits),
        "channel_basis": _build_basis(snapshot, cohorts, credits, rows, limits),
    }
    ordered = {name: tables[name].select(rows.names) for name, rows in CHANNEL_SCHEMAS.items()}
    return ChannelResult(snapshot.as_of, ChannelTables(ordered))


def _build_basis(
    snapshot: Snapshot,
    cohorts: ChannelCohorts,
    credits: ChannelCredits,
    rows: pa.Table,
    limits: list[str],
) -> pa.Table:
    """Return CHANNEL_BASIS, one row."""
    config, journeys, types = cohorts.config, cohorts.journeys, cohorts.touches.types
    accounts = snapshot.dataset.leads["account_id"]
    refused = [
        f"{row['channel']}: {row['note']}"
        for row in rows.to_pylist()
        if row["scope"] == CHANNEL
        and row["period"] == "all"
        and row["accounts"] < config.min_accounts
    ]
    followed = cohorts.periods.mature[cohorts.periods.account]
    attribute = [f"attribute {config.attribute}"] if config.attribute else []
    row = {
        "unit": "account" if accounts.null_count < len(accounts) else "lead",
        "accounts": len(journeys.unit),
        "immature": int((~followed).sum()),
        "journeys": round(credits.conversions + credits.nulls),
        "conversions": round(credits.conversions),
        "without_touch": _count_untouched(journeys, followed, credits),
        "probability": credits.probability if credits.conversions else None,
        "conversion_types": ", ".join(types.conversions),
        "touch_types": ", ".join([*attribute, *types.touches]),
        "opportunity": types.opportunity,
        "window_days": duration_to_microseconds(config.window) / US_PER_DAY,
        "lookback_days": duration_to_microseconds(find_lookback(config)) / US_PER_DAY,
        "half_life_days": duration_to_microseconds(config.half_life) / US_PER_DAY,
        "min_accounts": config.min_accounts,
        "first_refused": refused[0] if refused else None,
        "limits": "\n".join(limits),
    }
    return pa.Table.from_pylist([row], schema=CHANNEL_BASIS)


def _count_untouched(
    journeys: AccountJourneys, followed: np.ndarray, credits: ChannelCredits
) -> int:
    """Return the customers of mature periods whose touches may get no credit."""
    return int((journeys.customer & followed).sum()) - round(credits.conversions)
