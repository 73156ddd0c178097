"""Computes the customers of a project: states, chances, values, retention and revenue."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from configs.customers.customers import Customers
from configs.errors import ConfigError
from configs.schema import Project
from models.customers.result import CUSTOMER_SCHEMAS, CustomerResult, CustomerTables
from models.customers.states import count_flows
from pipelines.customers.acquisition_table import build_acquisition_table
from pipelines.customers.bridge import build_company_bridge
from pipelines.customers.contract_relation import ContractRelation
from pipelines.customers.customer_rows import build_customer_rows
from pipelines.customers.purchase_relation import PurchaseRelation
from pipelines.customers.purchases import CustomerPurchases, collect_purchases
from pipelines.customers.relation import CustomerRelation
from pipelines.customers.summary_tables import (
    build_basis,
    build_correction_table,
    build_flow_table,
    build_retention_table,
    build_state_table,
    build_track_table,
)
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]
# States are compared with those of this many days before.
FLOW_DAYS = 90


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
    relation = describe_relation(snapshot, config, bought)
    now = relation.describe_day(bought.end)
    before = relation.describe_day(bought.end - FLOW_DAYS)
    values = relation.predict_values()
    notes = relation.write_notes(now, values)
    rows = build_customer_rows(snapshot, bought, now, values, notes)
    flows = count_flows(before, now)
    bridge = build_company_bridge(relation, now.days)
    basis = build_basis(relation, values, bridge)
    value, ratio = (None, None) if values is None else (values.value, _find_ratio(basis))
    tables: dict[str, pa.Table] = {
        "customers": rows,
        "customer_states": build_state_table(rows, flows),
        "customer_flows": build_flow_table(flows),
        "retention": build_retention_table(*relation.list_active_months(), now.days),
        "revenue_bridge": bridge.table,
        "acquisition": build_acquisition_table(snapshot, bought, now, value, ratio),
        **relation.build_win_backs(now),
        "customer_track": build_track_table(snapshot, relation.chosen),
        "customer_corrections": build_correction_table(relation.trials),
        "customer_basis": basis,
    }
    ordered = {name: tables[name].select(rows.names) for name, rows in CUSTOMER_SCHEMAS.items()}
    return CustomerResult(snapshot.as_of, CustomerTables(ordered))


def _find_ratio(basis: pa.Table) -> tuple[float, float] | None:
    """Return the ends of the interval of all values by their total; None without a total."""
    row = basis.to_pylist()[0]
    return (row["clv_low"] / row["clv"], row["clv_high"] / row["clv"]) if row["clv"] else None


def describe_relation(
    snapshot: Snapshot, config: Customers, bought: CustomerPurchases
) -> CustomerRelation:
    """Return how the customers buy: with a contract or without."""
    if config.contract is None:
        return PurchaseRelation(snapshot, config, bought)
    return ContractRelation(snapshot, config, config.contract, bought)
