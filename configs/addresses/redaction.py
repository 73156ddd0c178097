"""Removal of secrets from texts that people read: messages, logs, ledgers and reports.

Addresses are parsed before they are used, so that a message quotes their public parts only. This
redaction also covers what a library quotes, and addresses that nothing has parsed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

# Shorter texts occur in any message, so their removal would garble it and hide nothing.
MIN_SECRET = 4
# The value of a variable is masked in messages that have nothing to do with it, so it must be long
# enough not to be an ordinary word or number, such as true.
MIN_VARIABLE = 6
# Ordinary words shorter than this occur in messages of a database by themselves.
MIN_WORD_PART = 8

# Variables whose name has one of these words hold a secret.
_SECRET_WORDS = (
    "PASSWORD PASSWD PASSPHRASE PASS PWD SECRET SECRETS TOKEN APIKEY KEY CREDENTIAL "
    "CREDENTIALS SAS SIGNATURE WEBHOOK DSN"
)
SECRET_WORDS = frozenset(_SECRET_WORDS.split())
# The shell's own names of folders.
PUBLIC_VARIABLES = frozenset({"PWD", "OLDPWD"})

_SCHEME = r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]+:/{1,3})"
# A user and a password, up to the last @ of the line: a password may hold any character. A port
# is no password.
_USER_AND_PASSWORD = re.compile(_SCHEME + r"(?![^\s/@:]*:\d+(?:[/\s,;]|$))[^\s/@:]*:[^\n]*@")
_USER = re.compile(_SCHEME + r"[^\s\"'<>]*@")
_QUERY = re.compile(_SCHEME + r"(?P<place>[^\s?#\"'<>]*)[?#][^\s?#\"'<>]*=[^\s\"'<>]*")
_PARAMETER = re.compile(
    r"(?i)(?P<name>(?<![A-Za-z])[\w-]*"
    r"(?:password|passwd|passphrase|pwd|secret|token|signature|sslkey|(?<![A-Za-z])sig"
    r"|(?:api|access|account)[_-]?key)\s?=\s?)"
    r"(?P<value>'[^'\n]*'|\"[^\"\n]*\"|[^\s&;,'\"]+)"
)
_WITHOUT_SCHEME = re.compile(r"(?<![\w/:])[\w.+-]+:[^\s:@/'\"]{3,}@(?=[\w\[])")


def redact_text(text: str) -> str:
    """Return a text without the secrets of addresses and of the environment in it."""
    values = find_environment_secrets(os.environ)
    return redact_addresses(_mask_forms(text, _list_forms(values, MIN_VARIABLE)))


def redact_addresses(text: str) -> str:
    """Return a text in which no address has a user's password, a query or a fragment."""
    # Most texts have none of these, and all of them pass through here.
    if not any(sign in text for sign in ":="):
        return text
    text = _USER_AND_PASSWORD.sub(rf"\g<scheme>{MASK}@", text)
    text = _USER.sub(lambda match: _mask_user(match), text)
    text = _QUERY.sub(rf"\g<scheme>\g<place>?{MASK}", text)
    text = _PARAMETER.sub(rf"\g<name>{MASK}", text)
    return _WITHOUT_SCHEME.sub(f"{MASK}@", text)


def redact_exception(
    error: BaseException, redact: Callable[[str], str] = redact_text
) -> BaseException:
    """Redact the texts of an exception and of the causes that a traceback shows; return it."""
    pending, seen = [error], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        current.args = tuple(
            redact(value) if isinstance(value, str) else value for value in current.args
        )
        # Many exceptions make their text of attributes, such as the `what` of our own.
        names = [*vars(current), *(("filename",) if isinstance(current, OSError) else ())]
        for name in names:
            value = getattr(current, name)
            if isinstance(value, str):
                setattr(current, name, redact(value))
        pending += [cause for cause in (current.__cause__, current.__context__) if cause]
        pending += list(getattr(current, "exceptions", ()))
    return error


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text without secrets: as written, percent-encoded or decoded, whole or in part.

    A part counts from 4 characters on, or from 8 where it is an ordinary word.
    """
    forms = _list_forms(secrets, MIN_SECRET)
    return _mask_parts(_mask_forms(text, forms), forms)


def find_environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the values of the variables whose names say that they are secret."""
    return [
        value
        for name, value in environment.items()
        if value and name not in PUBLIC_VARIABLES and SECRET_WORDS & set(name.upper().split("_"))
    ]


def _mask_user(match: re.Match[str]) -> str:
    # The user of a database is public and helps to find the cause; that of a web address is often
    # the secret itself.
    is_web = match["scheme"].lower().startswith("http")
    return f"{match['scheme']}{MASK}@" if is_web else match[0]


def _list_forms(secrets: Iterable[str], min_length: int) -> list[str]:
    """Return the forms in which a library may quote secrets, the longest first."""
    forms = {
        form
        for secret in secrets
        for form in (
            *(secret, unquote(secret), quote(secret, safe=""), quote(secret), quote_plus(secret)),
            *(repr(secret)[1:-1], secret.encode("unicode_escape").decode("ascii")),
        )
    }
    return sorted((form for form in forms if len(form) >= min_length), key=len, reverse=True)


def _mask_forms(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    return text


def _mask_parts(text: str, forms: list[str]) -> str:
    """Mask the longest runs of characters that a text shares with a form of a secret."""
    masked, at = [], 0
    while at < len(text):
        size = max((_measure_shared(text, at, form) for form in forms), default=0)
        part = text[at : at + size]
        is_word = part.isalpha() and part.islower()
        if size >= (MIN_WORD_PART if is_word else MIN_SECRET) and part != MASK:
            masked.append(MASK)
            at += size
        else:
            masked.append(text[at])
            at += 1
    return "".join(masked)


def _measure_shared(text: str, at: int, form: str) -> int:
    """Return how many characters from a place on occur in a form as they are."""
    if text[at : at + MIN_SECRET] not in form:
        return 0
    size = MIN_SECRET
    while at + size < len(text) and text[at : at + size + 1] in form:
        size += 1
    return size
