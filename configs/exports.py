"""CRM exports, which files to deliver in which format: part of a project's YAML."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from configs.source_rows import FrozenModel
from configs.suggestions import did_you_mean

FormatName = Literal[
    "csv",
    "jsonl",
    "parquet",
    "salesforce",
    "hubspot",
    "dynamics",
    "dynamics_scores",
    "amocrm",
    "bitrix24",
]


def _check_folder_name(name: str) -> str:
    if name.lower() == "current":
        raise ValueError("“current” is the folder of the plain export; choose another name")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{,59}", name):
        raise ValueError(
            f"{name!r} is not a valid folder name: start with a letter, then use letters, digits, "
            "_ and -, at most 60 characters"
        )
    return name


def _check_format_name(value: object) -> object:
    formats = get_args(FormatName)
    if value in formats:
        return value
    hint = did_you_mean(str(value), formats)
    raise ValueError(
        f"{value!r} is not one of {', '.join(formats)}" + (f": {hint}" if hint else "")
    )


# Used as a folder name next to those of the plain export, which begin with a digit: so an export
# name begins with a letter.
ExportName = Annotated[str, AfterValidator(_check_folder_name)]


class CrmExport(FrozenModel):
    """One delivery in the format of a CRM: one row per lead, with columns of all targets."""

    # Before Pydantic tests the literal: its message would not suggest the nearest name.
    format: Annotated[FormatName, BeforeValidator(_check_format_name)]
    key: str | None = Field(
        None,
        description="CRM column that receives the entity_id: an external id, record id, e-mail or "
        "alternate key",
    )
    columns: dict[str, str] = Field(
        {},
        description="CRM column: target.column, or account_id, as_of, entity_type, status; "
        "default: a standard set",
    )
    entity_type: str = Field(
        "lead", description="value of the column entity_type: the CRM's table of the entities"
    )
    delta: bool = Field(
        False, description="deliver only changed leads each night, instead of all leads"
    )
    changes: list[str] = Field(
        [],
        description="delta only: the target.columns whose change makes a lead part of the "
        "delivery; "
        "default: all of columns",
    )
