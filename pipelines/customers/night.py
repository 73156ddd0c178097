"""The customers of a night."""

from __future__ import annotations

from models.customers.result import CustomerResult
from pipelines.customers.customers import build_customers
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part

NightCustomers = NightPart[CustomerResult]


def compute_night_customers(snapshot: Snapshot) -> NightCustomers:
    """Return the customers of a night's data; nothing where the config describes none."""
    project = snapshot.project
    if project.customers is None or not project.publish.customers:
        return NightCustomers()
    return compute_night_part(
        "customers",
        lambda: build_customers(snapshot),
        lambda result: result.tables.by_name(),
    )
