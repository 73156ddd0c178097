"""The tables of a night among the files of its export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from serve.export.atomic_folders import FOLDER_NAME, read_manifest
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


def read_table_problems(root: Path, run_id: str) -> dict[str, str]:
    """Return why groups of tables of a run are missing, as its exports in a workspace say it.

    Only a night knows it, and the database does not keep it. An export that cannot be read says
    nothing.
    """
    exports = root / "exports"
    folders = sorted(exports.iterdir(), reverse=True) if exports.is_dir() else []
    for folder in folders:
        if FOLDER_NAME.fullmatch(folder.name):
            try:
                manifest = read_manifest(folder)
            except (OSError, ValueError):
                continue
            problems = manifest.get("table_problems")
            if manifest.get("run_id") == run_id and isinstance(problems, dict) and problems:
                return {str(group): str(problem) for group, problem in problems.items()}
    return {}
