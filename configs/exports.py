"""What goes to a CRM in its own format: part of a project's YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from configs.source_rows import Frozen


def _not_current(name: str) -> str:
    if name.lower() == "current":
        raise ValueError("“current” is the folder of the plain export: choose another name")
    return name


ExportName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=60), AfterValidator(_not_current)
]
"""It is the name of a folder beside those of the plain export, whose names begin with a digit."""


class CrmExport(Frozen):
    """One delivery in a CRM's own format: one row a lead, all targets side by side."""

    format: Literal["csv", "jsonl", "parquet", "salesforce", "hubspot", "dynamics"]
    key: str | None = Field(
        None, description="the CRM's column that gets the entity_id: an external id, record id, e-mail or alternate key"
    )
    columns: dict[str, str] = Field(
        {}, description="the CRM's column: target.column, or account_id, as_of, status; left out, the usual ones"
    )
    delta: bool = Field(False, description="each night only what changed, instead of every lead")
    changes: list[str] = Field(
        [], description="of a delta: the only target.columns whose change makes a lead due; left out, all of columns"
    )
