"""Addresses of databases: ``sqlite:///file`` and ``postgresql://…``."""

from __future__ import annotations

import re

from configs.addresses.parser import (
    FIX_ENCODING,
    Address,
    AddressError,
    decode_component,
    parse_server_address,
    split_scheme,
    suggest_scheme,
)
from configs.suggestions import did_you_mean

SQLITE, POSTGRESQL = "sqlite", "postgresql"
SCHEMES = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}

FIX_SQLITE = "write sqlite:///relative/path or sqlite:////absolute/path"
FIX_DATABASE = "write sqlite:///file or postgresql://…"

# The parameters of libpq (PostgreSQL 18); it refuses any other one itself, and quotes it.
_POSTGRESQL_PARAMETERS = (
    "host hostaddr port dbname user password passfile require_auth channel_binding "
    "connect_timeout client_encoding options application_name fallback_application_name "
    "keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout "
    "replication gssencmode sslmode ssl requiressl sslnegotiation sslcompression sslcert "
    "sslkey sslkeylogfile sslpassword sslcertmode sslrootcert sslcrl sslcrldir sslsni "
    "requirepeer ssl_min_protocol_version ssl_max_protocol_version min_protocol_version "
    "max_protocol_version krbsrvname gsslib gssdelegation scram_client_key scram_server_key "
    "service servicefile target_session_attrs load_balance_hosts oauth_issuer oauth_client_id "
    "oauth_client_secret oauth_scope"
)
POSTGRESQL_PARAMETERS = frozenset(_POSTGRESQL_PARAMETERS.split())

_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")
_KEY_VALUE_FORM = re.compile(r"(?i)\b(?:host|hostaddr|user|password|dbname|port|service)\s*=")


def parse_database_address(text: str) -> Address:
    """Return the parts of a database's address; for SQLite, ``path`` is the file.

    Raises AddressError for an address that is neither SQLite's nor PostgreSQL's, or ambiguous.
    """
    scheme, slashes, rest = split_scheme(text)
    kind = SCHEMES.get(scheme.partition("+")[0])
    if kind is None:
        raise _unknown_scheme(text)
    if slashes < 2:
        raise AddressError("the address lacks a slash after its scheme", f"did you mean {kind}://?")
    rest = "/" * (slashes - 2) + rest
    return _parse_sqlite(rest) if kind == SQLITE else _parse_postgresql(rest)


def _parse_postgresql(rest: str) -> Address:
    place, _, query = rest.partition("?")
    if "#" in rest or "@" in place.partition("/")[2] or "@" in query:
        raise AddressError("the address can be read in two ways", FIX_ENCODING)
    address = parse_server_address(POSTGRESQL, rest)
    if "/" in place.partition("/")[2]:
        raise AddressError("the name of the database holds a slash", "percent-encode it as %2F")
    for name in address.parameters:
        if name not in POSTGRESQL_PARAMETERS:
            raise AddressError(
                "PostgreSQL has no such parameter of an address",
                did_you_mean(name, POSTGRESQL_PARAMETERS) or "remove it, or correct its name",
            )
    return address


def _parse_sqlite(rest: str) -> Address:
    if not rest.startswith("/"):
        raise AddressError("the address of a SQLite file has three slashes", FIX_SQLITE)
    path = rest[1:]
    if "?" in path or "#" in path:
        raise AddressError(
            "the address of a SQLite file has no parameters",
            "remove them; in the name of a file write ? as %3F and # as %23",
        )
    # A server's address under the wrong scheme would become the name of a folder.
    if ":" in path.rpartition("@")[0]:
        raise AddressError(
            "the path of the SQLite file looks like a user and a password", FIX_DATABASE
        )
    path = decode_component(path)
    if not path or path == ":memory:":
        raise AddressError("the address names no file", FIX_SQLITE)
    return Address(SQLITE, path=path)


def _unknown_scheme(text: str) -> AddressError:
    what = "the address is of no database that is supported"
    if _WINDOWS_PATH.match(text.strip()):
        return AddressError(what, "write a path as sqlite:///C:/folder/file.db")
    near = suggest_scheme(text, tuple(SCHEMES))
    if near:
        return AddressError(what, f"did you mean {SCHEMES[near]}://?")
    if _KEY_VALUE_FORM.search(text):
        return AddressError(what, "write key=value as postgresql://…")
    return AddressError(what, FIX_DATABASE)
