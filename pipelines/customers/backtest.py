"""Forecasts the customers of a project as of the past, and compares with what came."""

from __future__ import annotations

from collections.abc import Callable

from configs.errors import DataError
from configs.schema import Project
from models.contracts.backtest import backtest_renewals
from models.customers.backtest import CustomerBacktest, backtest_customers
from pipelines.customers.contract_relation import collect_contract_events
from pipelines.customers.customers import require_customers
from pipelines.customers.purchases import collect_purchases, seed_customers
from pipelines.customers.traits import collect_traits
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import load_snapshot

LogLine = Callable[[str], None]


def backtest_project_customers(
    project: Project, as_of: str | None, days: int | None, log: LogLine = discard_line
) -> CustomerBacktest:
    """Return the forecast of the last ``days``, by default a third of the history.

    The model is chosen by what was bought before them. Raises ConfigError for a config without
    `customers`, DataError where the history is too short.
    """
    config = require_customers(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    bought = collect_purchases(snapshot, config)
    history = bought.end - int(bought.purchases.day.min())
    days = days or history // 3
    origin, seeds = bought.end - days, seed_customers(bought)
    if config.contract is None:
        traits = collect_traits(snapshot, bought)
        result = backtest_customers(bought.purchases, origin, days, seeds, traits)
    else:
        events = collect_contract_events(snapshot, config.contract, bought)
        result = backtest_renewals(events, origin, days, seeds)
    if result is None:
        raise DataError(
            "the history is too short to forecast customers from the past",
            where="customers.purchases",
            found=f"{history:,} days with {len(bought.purchases.day):,} purchases, {days:,} ahead",
            fix="give a smaller --days, or wait",
        )
    return result
