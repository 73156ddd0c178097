"""What goes to a CRM in its own format: part of a project's YAML."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from configs.source_rows import Frozen

FormName = Literal["csv", "jsonl", "parquet", "salesforce", "hubspot", "dynamics"]


def _folder(name: str) -> str:
    if name.lower() == "current":
        raise ValueError("“current” is the folder of the plain export: choose another name")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{,59}", name):
        raise ValueError(
            f"{name!r} cannot be a folder's name: write a letter, then letters, digits, _ and -, 60 at most"
        )
    return name


def _known(form: object) -> object:
    there = get_args(FormName)
    if form in there:
        return form
    near = difflib.get_close_matches(str(form), there, 1)
    raise ValueError(
        f"{form!r} is none of {', '.join(there)}" + (f": did you mean {near[0]}?" if near else "")
    )


ExportName = Annotated[str, AfterValidator(_folder)]
"""It is the name of a folder beside those of the plain export, whose names begin with a digit."""


class CrmExport(Frozen):
    """One delivery in a CRM's own format: one row a lead, all targets side by side."""

    format: Annotated[FormName, BeforeValidator(_known)]
    key: str | None = Field(
        None,
        description="the CRM's column that gets the entity_id: an external id, record id, e-mail or alternate key",
    )
    columns: dict[str, str] = Field(
        {},
        description="the CRM's column: target.column, or account_id, as_of, status; left out, the usual ones",
    )
    delta: bool = Field(False, description="each night only what changed, instead of every lead")
    changes: list[str] = Field(
        [],
        description="of a delta: the only target.columns whose change makes a lead due; left out, all of columns",
    )
