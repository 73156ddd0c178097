"""The tables of a night among the files of its export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from serve.night_tables import NIGHT_TABLES

# Of every table, in any format of the scores: spreadsheets read one, tools the other.
NIGHT_FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class NightFiles:
    """What an export has beside the scores of leads and accounts.

    Attributes:
        tables: Rows of NIGHT_TABLES by name, as they are stored.
        problems: Why a group of tables is missing, where it failed, by group.
    """

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def select_exported(self) -> dict[str, pa.Table]:
        """Return the tables by name, with the columns of their files."""
        return {
            table.name: self.tables[table.name].select(table.exported.names).cast(table.exported)
            for table in NIGHT_TABLES
            if table.name in self.tables
        }


NO_FILES = NightFiles()
