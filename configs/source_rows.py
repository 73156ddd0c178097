"""Where a company's rows come from, and which column is what: leads, events, and the histories of attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Frozen(BaseModel):
    """Base of every part of the config: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Constant(Frozen):
    """The same text for every row of a source."""

    constant: str


class Rows(Frozen):
    """Where rows come from: a file, a folder or a glob; or a query on a database."""

    path: str | None = Field(
        None, description="file, folder or glob, relative to the current directory"
    )
    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        None, description="default: by the file's ending"
    )
    delimiter: str | None = Field(None, description="CSV only; default: found from the file")
    database: str | None = Field(
        None, description="sqlite:///file or postgresql://…; keep secrets in ${NAME}"
    )
    query: str | None = Field(None, description="SQL that returns the rows")
    missing: tuple[str, ...] = Field(
        (), description="texts that mean “no value”, besides the empty one"
    )

    @field_validator("delimiter")
    @classmethod
    def _one_sign(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n\0'):
            raise ValueError("a delimiter is one ASCII sign, and neither a quote nor a line end")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either path, or database with query")
        if (self.database is None) != (self.query is None):
            raise ValueError("database and query go together")
        return self

    @property
    def label(self) -> str:
        """Return a name for messages that holds no secret."""
        return self.path or f"query on {(self.database or '').split(':', 1)[0]}"


class AllExcept(Frozen):
    """Every column of the source but these (and but those mapped otherwise)."""

    all_except: tuple[str, ...] = ()


class LeadRows(Rows):
    """One row an entity."""

    entity_id: str | None = Field(None, description="column; left out, the row's number is the id")
    created_at: str | None = Field(None, description="column; left out, the data has no times")
    known_at: str | None = Field(None, description="column: when the row reached the data")
    account_id: str | None = Field(None, description="column")
    order: str | None = Field(
        None, description="without created_at: a column that rises with time, or “rows”"
    )
    attributes: tuple[str, ...] | AllExcept = Field(
        (), description="columns that describe the entity"
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: a row without a created_at is an entity that has not begun"
    )

    @model_validator(mode="after")
    def _order_needs_no_time(self) -> Self:
        if self.created_at and self.order:
            raise ValueError(
                "order is for data without times; leave it out where created_at is given"
            )
        return self


class EventRows(Rows):
    """One row an event."""

    entity_id: str
    event_time: str = Field(description="column")
    event_type: str | Constant = Field(description="column, or {constant: text}")
    known_at: str | None = Field(None, description="column: when the row reached the data")
    channel: str | Constant | None = None
    value: str | None = Field(None, description="column with an amount")
    account_id: str | None = Field(None, description="column; used where there is no leads source")
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: a row without a time is an event that has not happened"
    )


class AttributeRows(Rows):
    """A history of attributes that change: wide, with a column an attribute, or long, with a row a change.

    A wide row says the values of all its ``columns`` from ``valid_from`` on; a long one names the one ``attribute``
    that changed and its new ``value``, as the field history of a CRM does. An empty value clears the attribute.
    """

    entity_id: str
    valid_from: str = Field(description="column: since when the value holds")
    known_at: str | None = Field(None, description="column: when the row reached the data")
    columns: tuple[str, ...] = Field(
        (), description="wide: the columns that hold the attributes' values"
    )
    attribute: str | None = Field(None, description="long: the column that names the attribute")
    value: str | None = Field(None, description="long: the column that holds its new value")
    only: tuple[str, ...] = Field(
        (), description="long: the attributes to use; left out, all of them"
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: a row without a valid_from is a value that has not begun"
    )

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if bool(self.columns) == (self.attribute is not None):
            raise ValueError(
                "give either columns (a column an attribute), or attribute and value (a row a change)"
            )
        if (self.attribute is None) != (self.value is None):
            raise ValueError(
                "attribute and value go together: the columns of an attribute's name and of its new value"
            )
        if self.columns and self.only:
            raise ValueError(
                "only chooses among the names in the attribute column; with columns list those you want"
            )
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """Return the attributes that the config names; none where the data names them all."""
        return self.columns or self.only


def claimed_twice(claims: Iterable[tuple[str, Iterable[str]]]) -> tuple[str, str, str] | None:
    """Return the first name that two claims share, with the two; each claim is who makes it, and the names."""
    owners = dict[str, str]()
    for owner, names in claims:
        for name in names:
            if name in owners:
                return name, owners[name], owner
            owners[name] = owner
    return None
