"""Addresses of the databases that scores go into: ``sqlite:///file`` and ``postgresql://…``."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
        raise make_scheme_error(text, SCHEMES, FIX_DATABASE)
    rest = strip_slashes(kind, slashes, rest)
    if kind == SQLITE:
        return parse_file_address(SQLITE, "SQLite", rest, FIX_DATABASE)
    return parse_checked_address(POSTGRESQL, "PostgreSQL", rest, POSTGRESQL_PARAMETERS)


def parse_checked_address(
    scheme: str, title: str, rest: str, parameters: frozenset[str], max_slashes: int = 0
) -> Address:
    """Return the parts of a server's address, which has only these parameters.

    ``rest`` follows the scheme and its two slashes; the path holds at most ``max_slashes``. Raises
    AddressError for any other address, and for one that can be read in two ways.
    """
    place, _, query = rest.partition("?")
    path = place.partition("/")[2]
    if "#" in rest or "@" in path or "@" in query:
        raise AddressError("the address can be read in two ways", FIX_ENCODING)
    address = parse_server_address(scheme, rest)
    if path.count("/") > max_slashes:
        raise AddressError("the name of the database holds a slash", "percent-encode it as %2F")
    for name in address.parameters:
        if name not in parameters:
            raise AddressError(
                f"{title} has no such parameter of an address",
                did_you_mean(name, parameters) or "remove it, or correct its name",
            )
    return address


def parse_file_address(scheme: str, title: str, rest: str, fix_server: str) -> Address:
    """Return the address of a database's file; ``rest`` follows the scheme and its two slashes.

    Raises AddressError where it names no file, with the advice ``fix_server`` if it looks like the
    address of a server.
    """
    fix_path = f"write {scheme}:///relative/path or {scheme}:////absolute/path"
    if not rest.startswith("/"):
        raise AddressError(f"the address of a {title} file has three slashes", fix_path)
    path = rest[1:]
    if "?" in path or "#" in path:
        raise AddressError(
            f"the address of a {title} file has no parameters",
            "remove them; in the name of a file write ? as %3F and # as %23",
        )
    # A server's address under the wrong scheme would become the name of a folder.
    if ":" in path.rpartition("@")[0]:
        raise AddressError(
            f"the path of the {title} file looks like a user and a password", fix_server
        )
    path = decode_component(path)
    if not path or path == ":memory:":
        raise AddressError("the address names no file", fix_path)
    return Address(scheme, path=path)


def strip_slashes(scheme: str, slashes: int, rest: str) -> str:
    """Return what follows the two slashes after a scheme; raise AddressError if one is missing."""
    if slashes < 2:
        raise AddressError(
            "the address lacks a slash after its scheme", f"did you mean {scheme}://?"
        )
    return "/" * (slashes - 2) + rest


def make_scheme_error(text: str, schemes: Mapping[str, str], fix: str) -> AddressError:
    """Return the error for an address whose scheme is none of these; ``fix`` lists them."""
    what = "the address is of no database that is supported"
    if _WINDOWS_PATH.match(text.strip()):
        return AddressError(what, "write a path as sqlite:///C:/folder/file.db")
    near = suggest_scheme(text, tuple(schemes))
    if near:
        return AddressError(what, f"did you mean {schemes[near]}://?")
    if _KEY_VALUE_FORM.search(text):
        return AddressError(what, "write key=value as postgresql://…")
    return AddressError(what, fix)
