"""Types of the config's keys that hold an address or a path."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from configs.addresses.database import parse_database_address
from configs.addresses.local_path import check_local_path
from configs.addresses.parser import Address, AddressError

# The type of a validation error that carries its own fix.
ADDRESS_ERROR = "address"


def _read_database(value: Any) -> Address:
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    try:
        return parse_database_address(value)
    except AddressError as error:
        raise _to_problem(error) from None


def _read_path(value: str) -> str:
    try:
        check_local_path(value)
    except AddressError as error:
        raise _to_problem(error) from None
    return value


def _to_problem(error: AddressError) -> PydanticCustomError:
    return PydanticCustomError(ADDRESS_ERROR, "{what}", {"what": error.what, "fix": error.fix})


DatabaseAddress = Annotated[
    Address,
    PlainValidator(_read_database),
    WithJsonSchema({"type": "string", "format": "password"}),
]
LocalPath = Annotated[str, AfterValidator(_read_path)]
