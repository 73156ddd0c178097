"""Computes the customers of a project: states, chances, values, retention and revenue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from configs.customers.customers import Customers
from configs.errors import ConfigError
from configs.schema import Project
from models.customers.past_accuracy import ChosenPurchases, choose_purchases
from models.customers.result import CUSTOMER_SCHEMAS, CustomerResult, CustomerTables
from models.customers.states import (
    CustomersAt,
    StateRules,
    classify_customers,
    count_flows,
    find_customer_days,
)
from models.customers.tree_trial import correct_by_trees
from models.purchases.histories import PurchaseHistories, summarize_purchases
from pipelines.customers.acquisition_table import build_acquisition_table
from pipelines.customers.customer_rows import build_customer_rows
from pipelines.customers.purchases import (
    CustomerPurchases,
    collect_purchases,
    find_days,
    seed_customers,
    select_events,
)
from pipelines.customers.summary_tables import (
    build_basis,
    build_correction_table,
    build_flow_table,
    build_retention_table,
    build_revenue_table,
    build_state_table,
    build_track_table,
)
from pipelines.customers.traits import collect_traits
from pipelines.customers.values import DAY, predict_values
from pipelines.customers.win_back_rows import build_win_back_tables
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]
# States are compared with those of this many days before.
FLOW_DAYS = 90
# An advocate is one who brought somebody within this time.
ADVOCACY_DAYS = 365


def compute_customers(
    project: Project, as_of: str | None, log: LogLine = discard_line
) -> CustomerResult:
    """Return the customers as known at an as-of, by default at the end of the data.

    Raises ConfigError for a config without `customers`, and as ``collect_purchases``.
    """
    require_customers(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    return build_customers(snapshot)


def require_customers(project: Project) -> Customers:
    """Return the section `customers`; raise ConfigError if the config has none."""
    if project.customers is None:
        raise ConfigError(
            "the config says nothing of customers",
            where=f"{project.path}: customers",
            found="no such section",
            fix="add customers: {purchases: [EVENT_TYPE]} with the event types that are purchases",
        )
    return project.customers


def build_customers(snapshot: Snapshot) -> CustomerResult:
    """Return the customers of a company's data."""
    config = require_customers(snapshot.project)
    bought = collect_purchases(snapshot, config)
    chosen = choose_purchases(bought.purchases, bought.end, config.horizon // DAY)
    histories = summarize_purchases(bought.purchases, bought.end)
    models = chosen if chosen is not None and chosen.refused is None else None
    now = _describe_day(snapshot, config, bought, models, bought.end, histories)
    start = bought.end - FLOW_DAYS
    earlier = summarize_purchases(bought.purchases, start)
    before = _describe_day(snapshot, config, bought, models, start, earlier)
    values = correction = None
    if models is not None:
        traits = collect_traits(snapshot, bought)
        correction = correct_by_trees(bought.purchases, traits, bought.end, models.fitted)
        values = predict_values(models, histories, config, seed_customers(bought), correction)
    rows = build_customer_rows(snapshot, config, bought, now, values)
    flows = count_flows(before, now)
    basis = build_basis(snapshot, config, bought, chosen, models, values)
    value, ratio = (None, None) if values is None else (values.value, _find_ratio(basis))
    tables: dict[str, pa.Table] = {
        "customers": rows,
        "customer_states": build_state_table(rows, flows),
        "customer_flows": build_flow_table(flows),
        "retention": build_retention_table(bought, now.days),
        "revenue_bridge": build_revenue_table(bought, now.days),
        "acquisition": build_acquisition_table(snapshot, bought, now, value, ratio),
        **build_win_back_tables(snapshot, config, bought, now, models),
        "customer_track": build_track_table(snapshot, chosen),
        "customer_corrections": build_correction_table(correction),
        "customer_basis": basis,
    }
    ordered = {name: tables[name].select(rows.names) for name, rows in CUSTOMER_SCHEMAS.items()}
    return CustomerResult(snapshot.as_of, CustomerTables(ordered))


def _find_ratio(basis: pa.Table) -> tuple[float, float] | None:
    """Return the ends of the interval of all values by their total; None without a total."""
    row = basis.to_pylist()[0]
    return (row["clv_low"] / row["clv"], row["clv_high"] / row["clv"]) if row["clv"] else None


def _describe_day(
    snapshot: Snapshot,
    config: Customers,
    bought: CustomerPurchases,
    models: ChosenPurchases | None,
    end: int,
    histories: PurchaseHistories,
) -> CustomersAt:
    """Return the customers before the day ``end``, by what the models say today."""
    days = find_customer_days(bought.purchases, end)
    alive = np.ones(len(histories))
    if models is not None:
        alive = models.fitted.forecast(histories).alive
    advocates = _find_advocates(snapshot, config, bought, end)[histories.customer]
    rules = StateRules(config.lapse // DAY, config.onboarding // DAY)
    return CustomersAt(histories, days, classify_customers(days, alive, advocates, end, rules))


def _find_advocates(
    snapshot: Snapshot, config: Customers, bought: CustomerPurchases, end: int
) -> np.ndarray:
    """Return whether each customer brought somebody in the year before ``end``."""
    rows = select_events(snapshot, config.advocacy)
    day = find_days(snapshot, snapshot.dataset.events["event_time"].take(pa.array(rows)))
    recent = (day < end) & (day >= end - ADVOCACY_DAYS)
    unit = bought.units.of_lead[snapshot.dataset.event_leads[rows[recent]]]
    return np.isin(bought.unit, unit)
