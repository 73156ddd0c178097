"""Customers of a company: their tables, and what these rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.tools.json_values import to_json_values
from models.customers.schemas import (
    ACQUISITION,
    CUSTOMER_BASIS,
    CUSTOMER_CORRECTIONS,
    CUSTOMER_FLOWS,
    CUSTOMER_STATES,
    CUSTOMER_TRACK,
    CUSTOMERS,
    RETENTION,
    REVENUE_BRIDGE,
    WIN_BACK_TRACK,
    WIN_BACKS,
)
from models.named_tables import NamedTables

# The tables by name, in their order.
CUSTOMER_SCHEMAS = {
    "customers": CUSTOMERS,
    "customer_states": CUSTOMER_STATES,
    "customer_flows": CUSTOMER_FLOWS,
    "retention": RETENTION,
    "revenue_bridge": REVENUE_BRIDGE,
    "acquisition": ACQUISITION,
    "win_backs": WIN_BACKS,
    "win_back_track": WIN_BACK_TRACK,
    "customer_track": CUSTOMER_TRACK,
    "customer_corrections": CUSTOMER_CORRECTIONS,
    "customer_basis": CUSTOMER_BASIS,
}


class CustomerTables(NamedTables):
    """Customers as tables, of CUSTOMER_SCHEMAS."""

    schemas = CUSTOMER_SCHEMAS


@dataclass(frozen=True)
class CustomerResult:
    """Customers as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        tables: Their tables.
    """

    as_of: datetime
    tables: CustomerTables

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the tables rest on: the row of CUSTOMER_BASIS."""
        return self.tables.list_rows("customer_basis")[0]

    def to_json(self) -> dict[str, Any]:
        """Return counts, value, model and figures first, then the tables as lists of rows."""
        basis, states = self.basis, self.tables.list_rows("customer_states")
        rows = {name: self.tables.list_rows(name) for name in CUSTOMER_SCHEMAS}
        content: dict[str, Any] = to_json_values(
            {
                "customers": basis["customers"],
                "states": {row["state"]: row["customers"] for row in states},
                "value": {
                    "total": basis["clv"],
                    "low": basis["clv_low"],
                    "high": basis["clv_high"],
                },
                "model": basis["model"],
                "figures": {
                    "orders_12m": basis["orders_12m"],
                    "margin_12m": basis["margin_12m"],
                },
                "rows": rows["customers"],
                "flows": rows["customer_flows"],
                "by_state": states,
                "retention": rows["retention"],
                "revenue_bridge": rows["revenue_bridge"],
                "acquisition": rows["acquisition"],
                "win_backs": rows["win_backs"],
                "win_back_track": rows["win_back_track"],
                "track": rows["customer_track"],
                "corrections": rows["customer_corrections"],
                "basis": basis,
            }
        )
        return content
