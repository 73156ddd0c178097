"""The parser of addresses, such as postgresql://user:password@host:5432/name?sslmode=require.

An address that can be read in two ways is refused: a library that reads it in the other way would
take a part of the password for a host or a file, and name it in a message. Errors quote nothing of
the address but words that are known beforehand.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from configs.addresses.redaction import MASK, mask_secrets
from configs.suggestions import nearest_name

_SECRET_PARAMETERS = (
    "password passfile sslpassword sslkey options oauth_client_id oauth_client_secret "
    "scram_client_key scram_server_key token credentials private_key_file private_key_passphrase "
    "ssl_key"
)
SECRET_PARAMETERS = frozenset(_SECRET_PARAMETERS.split())

FIX_ENCODING = (
    "percent-encode user and password: @ as %40, / as %2F, ? as %3F, # as %23, % as %25; a value "
    "of ${NAME} is encoded by itself"
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_HOST_NAME = re.compile(r"[\w.-]+")


class AddressError(ValueError):
    """An address that cannot be used.

    Attributes:
        what: The problem.
        fix: Advice how to resolve it.
    """

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix
        super().__init__(f"{what}; {fix}")


@dataclass(frozen=True, repr=False)
class Address:
    """The parts of an address, decoded. Its text has no secrets.

    Attributes:
        scheme: In lower case, without a driver such as ``+psycopg``.
        driver: The driver, where the scheme leaves a choice.
        hosts: Host and port of each server; an empty host or port is the default.
        path: What follows the slash after the hosts.
        parameters: What follows the question mark.
    """

    scheme: str
    user: str = ""
    password: str = ""
    hosts: tuple[tuple[str, str], ...] = ()
    path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    driver: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what no message may contain."""
        hidden = (value for name, value in self.parameters.items() if name in SECRET_PARAMETERS)
        return tuple(filter(None, (self.password, *hidden)))

    def mask(self, text: str) -> str:
        """Return a text without the secrets of this address."""
        return mask_secrets(text, self.secrets)

    def render(self, extra: Mapping[str, str] | None = None) -> str:
        """Return the address for a driver, secrets included, with everything encoded.

        ``extra`` are parameters that are used where the address does not set them.
        """
        password = f":{quote(self.password, safe='')}" if self.password else ""
        user = quote(self.user, safe="") + password
        parameters = {**(extra or {}), **self.parameters}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        place = self._render_place(f"{user}@" if user else "")
        return place + quote(self.path, safe="") + (f"?{query}" if query else "")

    def __str__(self) -> str:
        hidden = f":{MASK}" if self.password else ""
        user = f"{quote(self.user, safe='')}{hidden}@" if self.user or hidden else ""
        return self._render_place(user) + self.path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _render_place(self, user: str) -> str:
        hosts = ",".join(
            _render_host(host) + (f":{port}" if port else "") for host, port in self.hosts
        )
        return f"{self.scheme}://{user}{hosts}/"


def split_scheme(text: str) -> tuple[str, int, str]:
    """Return the scheme in lower case, the number of slashes after its colon, and the rest.

    The scheme is empty where there is none. Raises AddressError for a control character.
    """
    text = text.strip()
    if not text.isprintable() and any(
        ord(character) < 32 or character == "\x7f" for character in text
    ):
        raise AddressError(
            "the address holds a line break or another control character", FIX_ENCODING
        )
    match = _SCHEME.match(text)
    if match is None:
        return "", 0, text
    return match[1].lower(), len(match[2]), text[match.end() :]


def parse_server_address(scheme: str, rest: str) -> Address:
    """Return the parts of ``user:password@host:port/path?name=value``.

    Raises AddressError where the text can be read in two ways, or is no address.
    """
    place, has_query, query = rest.partition("?")
    authority, _, path = place.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    return Address(
        scheme,
        decode_component(user),
        decode_component(password),
        tuple(_parse_host(host) for host in hosts.split(",")) if hosts else (),
        decode_component(path),
        _parse_parameters(query) if has_query else {},
    )


def decode_component(text: str) -> str:
    """Return a part of an address without its percent-encoding.

    A text without any escape is literal: a password may hold a single %. Raises AddressError for a
    text that is encoded in part.
    """
    escapes = len(_ESCAPE.findall(text))
    if not escapes:
        return text
    if escapes != text.count("%"):
        raise AddressError("the address is percent-encoded in part only", FIX_ENCODING)
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise AddressError("the address has an escape that is not UTF-8 text", FIX_ENCODING)
    return decoded


def suggest_scheme(text: str, known: tuple[str, ...]) -> str:
    """Return the known scheme that the beginning of a text resembles, or ""."""
    word = re.match(r"(?:jdbc:)?([A-Za-z0-9]*)", text.strip().lower())
    return nearest_name(word[1], known, min_similarity=0.75) or "" if word else ""


def _parse_host(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            _refuse_host()
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            _refuse_host()
        return host, _parse_port(port.removeprefix(":"))
    name, _, port = text.partition(":")
    host = decode_component(name)
    if host and not host.startswith("/") and not _HOST_NAME.fullmatch(host):
        _refuse_host()
    return host, _parse_port(port)


def _refuse_host() -> NoReturn:
    raise AddressError(
        "the host of the address is no name or number of a host", FIX_ENCODING
    ) from None


def _parse_port(text: str) -> str:
    if not text:
        return ""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65_536):
        raise AddressError(
            "the port of the address is not a number from 1 to 65535",
            f"correct it, or {FIX_ENCODING}",
        )
    return text


def _parse_parameters(query: str) -> dict[str, str]:
    parameters = dict[str, str]()
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        name = decode_component(name)
        if not equals or name in parameters:
            raise AddressError(
                "the parameters of the address are not name=value, each once", FIX_ENCODING
            )
        parameters[name] = decode_component(value)
    return parameters


def _render_host(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    return quote(host, safe="")
