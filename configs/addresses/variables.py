"""Environment variables inside an address: ``postgresql://user:${PASSWORD}@host/name``.

A value is put in percent-encoded where it is a user, a password, a parameter or a file, so that it
may hold any character. A value that is percent-encoded already stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from configs.addresses.parser import AddressError, parse_server_address
from configs.addresses.redaction import MASK
from configs.addresses.sources import FILE_SCHEMES, parse_source_address

REFERENCE = re.compile(r"\$\{(\w+)\}")

# Percent-encoding leaves none of these in a text.
_NEVER_ENCODED = re.compile(r"[^\x21-\x7e]|[@/?#\[\]\"<>\\^`{|}]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def expand_address(written: str, values: Mapping[str, str]) -> str:
    """Return an address with each ``${NAME}`` replaced, encoded as its place asks for.

    A reference at the start stands for a whole address, and that of a host for its name and port.
    """
    scheme = re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*:/*", written)
    if scheme is None:
        return REFERENCE.sub(lambda match: values[match[1]], written)

    def replace(match: re.Match[str]) -> str:
        before, after = written[scheme.end() : match.start()], written[match.end() :]
        value = values[match[1]]
        if scheme[0].strip().lower().startswith(FILE_SCHEMES):
            return quote(value, safe="/")
        if "?" in before:
            is_value = before.rpartition("&")[2].rpartition("?")[2].find("=") >= 0
            return encode_value(value) if is_value else value
        # Slashes and question marks after a reference may belong to a password that is written out.
        is_user = "/" not in before and "@" in after
        return encode_value(value) if is_user else value

    return REFERENCE.sub(replace, written)


def encode_value(value: str) -> str:
    """Return a value percent-encoded, or as it is where it can only be encoded already."""
    is_encoded = (
        "%" in value
        and not _NEVER_ENCODED.search(value)
        and len(_ESCAPE.findall(value)) == value.count("%")
    )
    return value if is_encoded else quote(value, safe="")


def redact_written_address(written: str) -> str:
    """Return an address of a config, as written, without secrets that are written out.

    ``${NAME}`` is none: an address whose secrets are all in the environment stays as it is.
    """
    if not REFERENCE.sub("", written).strip():
        return written
    try:
        # Any name and any port can stand for a reference.
        address = parse_source_address(REFERENCE.sub("1", written))
    except AddressError:
        return MASK
    if address.scheme in FILE_SCHEMES:
        return written
    bare = REFERENCE.sub("", written).partition("://")[2]
    return str(address) if parse_server_address(address.scheme, bare).secrets else written
