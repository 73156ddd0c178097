"""Types of the config's keys that hold an address or a path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from configs.addresses.database import parse_database_address
from configs.addresses.local_path import check_local_path, place_path, require_beside_yaml
from configs.addresses.object_store import is_object_address, parse_object_address
from configs.addresses.parser import Address, AddressError
from configs.addresses.sources import FILE_SCHEMES, parse_source_address

# The type of a validation error that carries its own fix.
ADDRESS_ERROR = "address"

# The key of the validation context that holds the folder at which relative paths start.
FOLDER = "folder"


def _make_reader(
    parse: Callable[[str], Address],
) -> Callable[[Any, ValidationInfo], Address]:
    """Return a validator that reads an address with one of the parsers."""

    def read(value: Any, info: ValidationInfo) -> Address:
        if isinstance(value, Address):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "Input should be a valid string")
        try:
            return _place_database(parse(value), _get_folder(info))
        except AddressError as error:
            raise _to_problem(error) from None

    return read


def _read_path(value: str, info: ValidationInfo) -> str:
    try:
        if is_object_address(value):
            parse_object_address(value)
            return value
        check_local_path(value)
        folder = _get_folder(info)
        placed = place_path(value, folder)
        require_beside_yaml(value, placed, folder)
    except AddressError as error:
        raise _to_problem(error) from None
    return placed


def _place_database(address: Address, folder: str) -> Address:
    """Return the address of a database, whose relative file starts at the folder of the YAML."""
    if address.scheme not in FILE_SCHEMES:
        return address
    placed = str(Path(folder, address.path))
    require_beside_yaml(address.path, placed, folder)
    return replace(address, path=placed)


def _get_folder(info: ValidationInfo) -> str:
    return (info.context or {}).get(FOLDER, "")


def _to_problem(error: AddressError) -> PydanticCustomError:
    return PydanticCustomError(ADDRESS_ERROR, "{what}", {"what": error.what, "fix": error.fix})


_ADDRESS_SCHEMA = WithJsonSchema({"type": "string", "format": "password"})

DatabaseAddress = Annotated[
    Address, PlainValidator(_make_reader(parse_database_address)), _ADDRESS_SCHEMA
]
SourceAddress = Annotated[
    Address, PlainValidator(_make_reader(parse_source_address)), _ADDRESS_SCHEMA
]
SourcePath = Annotated[str, AfterValidator(_read_path)]
