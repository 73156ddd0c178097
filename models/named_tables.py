"""Tables of a company by name, each with a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa


@dataclass(frozen=True)
class NamedTables:
    """Tables for the database, files and the page.

    Attributes:
        tables: A table of each of the class's ``schemas``, by name.
    """

    tables: Mapping[str, pa.Table]
    schemas: ClassVar[Mapping[str, pa.Schema]]

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> Self | None:
        """Return the own ones among tables by name, without other columns; None if absent."""
        if not tables.keys() >= cls.schemas.keys():
            return None
        return cls({name: tables[name].select(rows.names) for name, rows in cls.schemas.items()})

    def by_name(self) -> dict[str, pa.Table]:
        """Return the tables by name."""
        return dict(self.tables)

    def change_tables(self, column: str, change: Callable[[pa.Table], pa.Table]) -> Self:
        """Return the same tables, those with a column changed."""
        return type(self)(
            {
                name: change(table) if column in table.column_names else table
                for name, table in self.tables.items()
            }
        )

    def list_rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        rows: list[dict[str, Any]] = self.tables[name].to_pylist()
        return rows
