"""Addresses of web servers, and of MLflow's tracking servers, which come from the environment."""

from __future__ import annotations

from configs.addresses.database import parse_database_address
from configs.addresses.parser import (
    FIX_ENCODING,
    Address,
    AddressError,
    parse_server_address,
    split_scheme,
    suggest_scheme,
)

# What MLflow calls its hosted registries.
HOSTED_SCHEMES = ("databricks", "databricks-uc", "uc")
# MLflow's other databases; it has a driver of SQLAlchemy for each.
FURTHER_DATABASES = ("mysql", "mssql", "oracle")


def parse_web_address(text: str) -> Address:
    """Return the parts of an ``https://`` or ``http://`` address.

    Raises AddressError for any other address, and for one without a host. Path and parameters stay
    out of it: those of a webhook are its secret, and only the server reads them.
    """
    scheme, slashes, rest = split_scheme(text)
    if scheme not in ("http", "https") or slashes != 2:
        near = scheme if scheme in ("http", "https") else suggest_scheme(text, ("http", "https"))
        fix = f"did you mean {near}://?" if near else "write https://… or http://…"
        raise AddressError("it is not a web address", fix)
    authority = rest.partition("?")[0].partition("#")[0].partition("/")[0]
    address = parse_server_address(scheme, authority)
    if len(address.hosts) != 1 or not address.hosts[0][0] or address.hosts[0][0].startswith("/"):
        raise AddressError("the web address names no host", FIX_ENCODING)
    return address


def check_tracking_address(text: str) -> None:
    """Raise AddressError for an address that MLflow would misread.

    MLflow takes a text without a scheme for a folder, and creates it.
    """
    scheme, slashes, rest = split_scheme(text)
    kind = scheme.partition("+")[0]
    if kind in ("http", "https"):
        parse_web_address(text)
    elif scheme in HOSTED_SCHEMES or text.strip() in HOSTED_SCHEMES:
        return
    elif kind in FURTHER_DATABASES and slashes == 2:
        parse_server_address(kind, rest)
    elif kind in ("sqlite", "postgresql", "postgres"):
        parse_database_address(text)
    else:
        raise AddressError(
            "MLflow's tracking address is of no kind that is supported",
            "write https://… or http://…, or the address of MLflow's database",
        )
