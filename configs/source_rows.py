"""Sources of a company's rows, and the meaning of their columns."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from configs.addresses.fields import SourceAddress, SourcePath
from configs.addresses.queries import check_query
from configs.forms.time_formats import check_time_format
from configs.names import AUTO, BLANKS, Name

# Python's codecs that are for protocols and programs, not for files of text.
NO_FILE_ENCODINGS = (
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
    "undefined",
    "mbcs",
    "oem",
    "utf-7",
)

ColumnKind = Literal["number", "truth", "date", "category"]
# The key that stands for every column of a source.
ALL_COLUMNS = "*"

# Spaces that group digits: the common, the no-break, the narrow no-break and the thin one.
GROUPING_SPACES = " \u00a0\u202f\u2009"
GROUPING_APOSTROPHES = "'\u2019"


def _wrap_single_name(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _spread_missing(value: object) -> object:
    """Return a list for all columns as one by column."""
    if not isinstance(value, list | tuple | dict):
        raise ValueError("must be a list of texts, or a mapping from columns to such lists")
    return {ALL_COLUMNS: value} if isinstance(value, list | tuple) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_wrap_single_name)]
_LIST_OF_TEXTS = {"type": "array", "items": {"type": "string"}}
TIME_FORMAT_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ]
    }
)
MISSING_SCHEMA = WithJsonSchema(
    {"anyOf": [_LIST_OF_TEXTS, {"type": "object", "additionalProperties": _LIST_OF_TEXTS}]}
)


class FrozenModel(BaseModel):
    """Base of all config models: immutable; an unknown key is an error."""

    # Unknown keys are forbidden: a misspelled one would otherwise be ignored without a message.
    # Inputs are hidden: an address may hold a password, and pydantic would quote it.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )


class Constant(FrozenModel):
    """The same text for every row of a source."""

    constant: Name


class SourceRows(FrozenModel):
    """Origin of a source's rows: a file, folder or glob, or a query on a database."""

    path: SourcePath | None = Field(
        None,
        description="file, folder or glob, relative to the folder of the YAML, or in an object "
        "store: s3://, gs://, az://, abfss://",
    )
    format: Literal["csv", "json", "jsonl", "parquet", "workbook"] | None = Field(
        None, description="default: by the file extension"
    )
    sheet: str | None = Field(
        None, description="workbooks only: name of the sheet; default: the only one with rows"
    )
    records: str | None = Field(
        None,
        description="JSON documents only: key of the array that holds the rows; default: the only "
        "array of objects",
    )
    delimiter: str | None = Field(None, description="CSV only; default: found from the rows")
    encoding: str = Field(
        AUTO,
        description="CSV only: utf-8, windows-1251 or another; auto: found from the file",
    )
    skip_above: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="CSV and workbooks: lines before the header; auto: found from the file"
    )
    skip_below: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="CSV and workbooks: lines after the last row; auto: found from the file"
    )
    database: SourceAddress | None = Field(
        None,
        description="sqlite:///file, duckdb:///file, postgresql://…, mysql://…, snowflake://…, "
        "bigquery://…, grpc+tls://…, mssql://… or oracle://…; keep secrets in ${NAME}",
    )
    query: str | None = Field(None, description="SQL that returns the rows: one statement")
    missing: Annotated[dict[str, Texts], BeforeValidator(_spread_missing), MISSING_SCHEMA] = Field(
        {},
        description="texts that mean “no value”, in addition to the empty text: a list for all "
        "columns, or lists by column, under “*” that for all of them",
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="decimal sign in written numbers; default: read from each column"
    )
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        None,
        description="sign between groups of three digits; a space also stands for no-break spaces; "
        "default: read from each column",
    )

    @field_validator("delimiter")
    @classmethod
    def _check_delimiter(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n\0'):
            raise ValueError("must be one ASCII character, and neither a quote nor a line break")
        return value

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            codec = codecs.lookup(value) if value != AUTO else None
        except (LookupError, ValueError):
            raise ValueError("unknown encoding; well known are utf-8 and windows-1252") from None
        if codec and (
            codec.name.replace("_", "-") in NO_FILE_ENCODINGS
            or not getattr(codec, "_is_text_encoding", True)
        ):
            raise ValueError("not an encoding of text files, such as utf-8 or windows-1252")
        return value

    @field_validator("missing")
    @classmethod
    def _trim_missing(cls, value: dict[str, Texts]) -> dict[str, Texts]:
        # As the values that they are compared with.
        return {name: tuple(text.strip(BLANKS) for text in texts) for name, texts in value.items()}

    @field_validator("thousands", mode="before")
    @classmethod
    def _unify_thousands(cls, value: object) -> object:
        if isinstance(value, str) and len(value) == 1 and value in GROUPING_SPACES:
            return " "
        return "'" if isinstance(value, str) and value == "\u2019" else value

    @model_validator(mode="after")
    def _check_signs(self) -> Self:
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError("decimal and thousands must be two different signs")
        return self

    @model_validator(mode="after")
    def _check_origin(self) -> Self:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either path, or database and query")
        if (self.database is None) != (self.query is None):
            raise ValueError("database and query must be given together")
        if self.database is not None and self.query is not None:
            check_query(self.query, self.database.scheme)
        return self

    def list_missing(self, column: str | None) -> Texts:
        """Return the texts that mean “no value” in a column."""
        everywhere = self.missing.get(ALL_COLUMNS, ())
        return (*everywhere, *self.missing.get(column, ())) if column else everywhere

    @property
    def columns_by_key(self) -> dict[str, str]:
        """Return the columns that the source must have although no key maps them, by key."""
        return {f"missing.{name}": name for name in self.missing if name != ALL_COLUMNS}

    @property
    def label(self) -> str:
        """Return a name for messages that contains no secret."""
        return self.path or f"query on {self.database.scheme if self.database else ''}"


class AllExcept(FrozenModel):
    """All columns of the source except these and those mapped to another key."""

    all_except: tuple[str, ...] = ()


class TimedRows(SourceRows):
    """A source whose rows have times."""

    time_format: Annotated[str | dict[str, str], TIME_FORMAT_SCHEMA] = Field(
        AUTO,
        description="form of the times: auto (proven from all of them), iso, day_first, "
        "month_first, year_first, epoch_s, epoch_ms, epoch_us, epoch_ns, excel, excel_1904, "
        "dotnet_ticks, or a pattern such as “%d.%m.%Y %H:%M”; one for all columns, or by column",
    )

    @field_validator("time_format", mode="before")
    @classmethod
    def _check_time_format(cls, value: object) -> object:
        for text in value.values() if isinstance(value, dict) else (value,):
            if not isinstance(text, str):
                raise ValueError("must be the form of a time, or a mapping from columns to forms")
            check_time_format(text)
        return value

    @property
    def columns_by_key(self) -> dict[str, str]:
        """Return the columns that the source must have although no key maps them, by key."""
        formats = () if isinstance(self.time_format, str) else self.time_format
        return super().columns_by_key | {f"time_format.{name}": name for name in formats}


class NamedRows(TimedRows):
    """A source with names: event types, channels, or categories."""

    names: dict[Name, Annotated[tuple[Name, ...], BeforeValidator(_wrap_single_name)]] = Field(
        {},
        description="other spellings of event types, channels and categories, by the name as which "
        "they are read; an empty list says that a name resembles another one and is not the same",
    )

    @field_validator("names")
    @classmethod
    def _check_spellings(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        claims = [(repr(name), dict.fromkeys((name, *texts))) for name, texts in value.items()]
        if duplicate := find_duplicate_claim(claims):
            text, first, second = duplicate
            raise ValueError(
                f"{text!r} is read as {first} already, so not as {second}: list each text once"
            )
        return value

    @property
    def spellings(self) -> dict[str, str]:
        """Return the name as which each other spelling is read."""
        return {text: name for name, texts in self.names.items() for text in texts}


class LeadRows(NamedRows):
    """The leads source: one row per entity."""

    entity_id: str | None = Field(None, description="column; default: the row number is the id")
    created_at: str | None = Field(None, description="column; default: the data has no times")
    known_at: str | None = Field(None, description="column: when the row arrived in the source")
    account_id: str | None = Field(None, description="column")
    order: str | None = Field(
        None,
        description="without created_at: a column that increases with time, or “rows” for the "
        "order of rows",
    )
    attributes: tuple[str, ...] | AllExcept = Field(
        (), description="columns that describe the entity"
    )
    kinds: dict[str, ColumnKind] = Field(
        {},
        description="number, truth, date or category, by attribute; default: what most values are",
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine",
        description="skip: ignore rows without a created_at: the entity does not exist yet",
    )

    @model_validator(mode="after")
    def _check_order_without_time(self) -> Self:
        if self.created_at and self.order:
            raise ValueError(
                "order is for data without times; remove it, since created_at is given"
            )
        return self


class EventRows(NamedRows):
    """An events source: one row per event."""

    entity_id: str | None = Field(None, description="column; required without visitor_id")
    visitor_id: str | None = Field(
        None,
        description="column: the web visitor; rows without an entity_id count for the lead that "
        "sources.identities links to it",
    )
    landing_page: str | None = Field(None, description="column: the page of a web event")
    call_to_action: str | None = Field(
        None, description="column: the call to action that was clicked; empty for other events"
    )
    event_time: str = Field(description="column")
    event_type: str | Constant = Field(description="column, or {constant: text}")
    known_at: str | None = Field(None, description="column: when the row arrived in the source")
    channel: str | Constant | None = None
    value: str | None = Field(None, description="column with an amount")
    account_id: str | None = Field(None, description="column; used if there is no leads source")
    event_id: str | None = Field(
        None, description="column: the event's own id; default: equal rows are one event"
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: ignore rows without a time: the event has not happened yet"
    )

    @model_validator(mode="after")
    def _check_owner(self) -> Self:
        if self.entity_id is None and self.visitor_id is None:
            raise ValueError("entity_id: give the column with the lead, or visitor_id")
        for key in ("landing_page", "call_to_action"):
            if getattr(self, key) and self.visitor_id is None:
                raise ValueError(f"{key} needs visitor_id: it divides the web visitors")
        return self


class AttributeRows(NamedRows):
    """A history of changing attributes, in wide or long format.

    A wide row gives the values of all its ``columns`` from ``valid_from`` on, up to ``valid_to``.
    A long row names the one ``attribute`` that changed and its new ``value``, like the field
    history of a CRM. An empty value clears the attribute.
    """

    entity_id: str
    valid_from: str = Field(description="column: start of the value's validity")
    valid_to: str | None = Field(
        None,
        description="column: end of the value's validity, which is not part of it; empty: still "
        "valid",
    )
    known_at: str | None = Field(None, description="column: when the row arrived in the source")
    columns: tuple[str, ...] = Field(
        (), description="wide: the columns with the attributes' values"
    )
    attribute: str | None = Field(None, description="long: the column that names the attribute")
    value: str | None = Field(None, description="long: the column with its new value")
    only: tuple[str, ...] = Field((), description="long: the attributes to use; default: all")
    kinds: dict[str, ColumnKind] = Field(
        {},
        description="number, truth, date or category, by attribute; default: what most values are",
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine",
        description="skip: ignore rows without a valid_from: the value is not valid yet",
    )

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if bool(self.columns) == (self.attribute is not None):
            raise ValueError(
                "give either columns (one column per attribute), or attribute and value (one row "
                "per change)"
            )
        if (self.attribute is None) != (self.value is None):
            raise ValueError(
                "attribute and value must be given together: the columns with the attribute's name "
                "and new value"
            )
        if self.columns and self.only:
            raise ValueError(
                "only selects names from the attribute column; with columns, list just the columns "
                "you want"
            )
        return self

    @property
    def declared_attributes(self) -> tuple[str, ...]:
        """Return the attributes named in the config; empty if only the data names them."""
        return self.columns or self.only


class MergeRows(TimedRows):
    """Merged records: one row per id that became another one."""

    old_id: str = Field(alias="from", description="column: the id that is gone")
    new_id: str = Field(alias="to", description="column: the id that it became")
    known_at: str | None = Field(
        None, description="column: when the merge was made; default: it holds at every cutoff"
    )


def find_duplicate_claim(
    claims: Iterable[tuple[str, Iterable[str]]],
) -> tuple[str, str, str] | None:
    """Return the first name that two owners claim, with both owners; None if there is none.

    ``claims`` are pairs of an owner and the names it claims.
    """
    owners = dict[str, str]()
    for owner, names in claims:
        for name in names:
            if name in owners:
                return name, owners[name], owner
            owners[name] = owner
    return None
