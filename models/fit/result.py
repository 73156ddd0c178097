"""Fit of a company: its tables, and the counts that describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from features.tools.json_values import to_json_values
from models.fit.accounts import select_white_space
from models.fit.schemas import FIT_ACCOUNTS, FIT_BASIS, FIT_CLASSES, FIT_GRID, FIT_PROFILE

# The tables by name, in their order.
FIT_SCHEMAS = {
    "fit_basis": FIT_BASIS,
    "fit_profile": FIT_PROFILE,
    "fit_classes": FIT_CLASSES,
    "fit_grid": FIT_GRID,
    "fit_accounts": FIT_ACCOUNTS,
}


@dataclass(frozen=True)
class FitTables:
    """Fit as tables, for the database, files and the page.

    Attributes:
        fit_basis: FIT_BASIS, one row.
        fit_profile: FIT_PROFILE.
        fit_classes: FIT_CLASSES.
        fit_grid: FIT_GRID; no rows without times.
        fit_accounts: FIT_ACCOUNTS.
    """

    fit_basis: pa.Table
    fit_profile: pa.Table
    fit_classes: pa.Table
    fit_grid: pa.Table
    fit_accounts: pa.Table

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> Self | None:
        """Return the fit among tables by name, without other columns; None if it is absent."""
        if not tables.keys() >= FIT_SCHEMAS.keys():
            return None
        return cls(**{name: tables[name].select(rows.names) for name, rows in FIT_SCHEMAS.items()})

    def by_name(self) -> dict[str, pa.Table]:
        """Return the tables by name."""
        return {name: getattr(self, name) for name in FIT_SCHEMAS}


@dataclass(frozen=True)
class FitResult:
    """Fit of a company's accounts as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC; None in data without times.
        tables: Its tables.
        refused: Evidence by attribute that its value was written after the entry.
    """

    as_of: datetime | None
    tables: FitTables
    refused: Mapping[str, str]

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the fit was learned on: the row of FIT_BASIS."""
        row: dict[str, Any] = self.tables.fit_basis.to_pylist()[0]
        return row

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows of plain JSON values, and what they rest on."""
        rows = {name: table.to_pylist() for name, table in self.tables.by_name().items()}
        content: dict[str, Any] = to_json_values(
            {
                "profile": rows["fit_profile"],
                "classes": rows["fit_classes"],
                "grid": rows["fit_grid"],
                "accounts": rows["fit_accounts"],
                "white_space": select_white_space(self.tables.fit_accounts).to_pylist(),
                "refused": [
                    {"attribute": name, "evidence": text} for name, text in self.refused.items()
                ],
                "basis": self.basis,
            }
        )
        return content
