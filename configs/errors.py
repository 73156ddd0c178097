"""Errors that a user can meet: one or two lines with problem, location, observed value and fix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from configs.addresses.redaction import redact_text

# A message must fit into a log line: each field of an error is cut to this many characters.
MAX_FIELD_CHARACTERS = 800


class LeadscoreError(Exception):
    """An error with an exit code that scripts can rely on.

    Attributes:
        what: The problem.
        where: File, config key or column that has it.
        found: Observed count, with an example.
        fix: Advice how to resolve it.
    """

    # Scripts rely on the exit codes that README.md lists, so a class keeps its number.
    exit_code = 1
    title = "error"

    def __init__(self, what: str, *, where: str = "", found: str = "", fix: str = "") -> None:
        self.what, self.where, self.found, self.fix = what, where, found, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        where, found, fix = (make_printable(part) for part in (self.where, self.found, self.fix))
        head = f"{self.title}: {make_printable(self.what)}"
        head += f" [{where}]" if where else ""
        head += f": {found}" if found else ""
        return head + (f"\n  fix: {fix}" if fix else "")

    @property
    def headline(self) -> str:
        """Return the first line, without the fix."""
        return str(self).partition("\n")[0]

    def __reduce__(self) -> tuple:
        """Keep all fields when a worker process or a flow engine copies the exception."""
        return _rebuild_error, (type(self), self.what, self.where, self.found, self.fix)


def join_names(names: Sequence[str], limit: int) -> str:
    """Return the first `limit` names joined by commas, and the number of further names."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def escape_controls(text: str, keep: str = "\n") -> str:
    """Return a text whose unprintable characters are visible: ESC as ``\\x1b``, and so on.

    A terminal obeys control characters, and marks of direction turn a text around. The characters
    in ``keep`` and all kinds of blanks stay.
    """
    # Most texts have none of these.
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep or unicodedata.category(character) == "Zs"
        else ascii(character)[1:-1]
        for character in text
    )


def make_printable(text: str) -> str:
    """Return a text without unprintable characters, cut to MAX_FIELD_CHARACTERS.

    The data may put any bytes or names into a message; terminals and logs must still show it in one
    line. Secrets are removed first: a part of one could not be recognised.
    """
    # Cut before the loop as well, since the data can hold a text of any length.
    text = redact_text(text[: 4 * MAX_FIELD_CHARACTERS])
    text = escape_controls(text[: 2 * MAX_FIELD_CHARACTERS], keep="")
    return text if len(text) <= MAX_FIELD_CHARACTERS else f"{text[:MAX_FIELD_CHARACTERS]} …"


def _rebuild_error(
    kind: type[LeadscoreError], what: str, where: str, found: str, fix: str
) -> LeadscoreError:
    return kind(what, where=where, found=found, fix=fix)


class ConfigError(LeadscoreError):
    """The command line or the YAML is invalid."""

    exit_code = 2
    title = "config error"


class StateError(LeadscoreError):
    """Stored state is missing although other state proves that it existed, or it is damaged.

    A run that went on would begin anew without anybody's decision, so it is never retried.
    """

    title = "state error"


class DataError(LeadscoreError):
    """The data violates its contract, or is insufficient for the request."""

    exit_code = 3
    title = "data error"


class GateRefused(LeadscoreError):
    """The challenger did not pass the gate; the champion stays in use."""

    exit_code = 4
    title = "gate refused"


class NotFitToPublish(LeadscoreError):
    """The scores failed a check; nothing was published."""

    exit_code = 5
    title = "not published"


class WorkspaceBusy(LeadscoreError):
    """Another run holds the lock of this workspace."""

    exit_code = 6
    title = "workspace busy"
