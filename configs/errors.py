"""The failures a user can meet. Each is one or two lines: what, where, how many with an example, and the fix."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 800
"""Signs of one part of a failure that are shown."""


class LeadscoreError(Exception):
    """A failure with an exit code that scripts can rely on.

    ``what`` says what is wrong, ``where`` names the file, key or column, ``found`` the observed count with an
    example, ``fix`` what to do about it.
    """

    exit_code = 1
    title = "error"

    def __init__(self, what: str, *, where: str = "", found: str = "", fix: str = "") -> None:
        self.what, self.where, self.found, self.fix = what, where, found, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        where, found, fix = (_shown(part) for part in (self.where, self.found, self.fix))
        head = f"{self.title}: {_shown(self.what)}"
        head += f" [{where}]" if where else ""
        head += f": {found}" if found else ""
        return head + (f"\n  fix: {fix}" if fix else "")

    @property
    def headline(self) -> str:
        """The first line: all but the fix."""
        return str(self).partition("\n")[0]

    def __reduce__(self) -> tuple:
        """Keep the parts when a worker process or a flow engine copies the exception."""
        return _rebuild, (type(self), self.what, self.where, self.found, self.fix)


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are; nothing of none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shown(text: str) -> str:
    """Return a text as any terminal and any log can show it in a line, whatever bytes or names the data put into it."""
    text = "".join(
        sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[: 2 * LONGEST]
    )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _rebuild(
    kind: type[LeadscoreError], what: str, where: str, found: str, fix: str
) -> LeadscoreError:
    return kind(what, where=where, found=found, fix=fix)


class ConfigError(LeadscoreError):
    """The command or the YAML is wrong."""

    exit_code = 2
    title = "config error"


class DataError(LeadscoreError):
    """The data breaks its contract, or holds too little to do what was asked."""

    exit_code = 3
    title = "data error"


class GateRefused(LeadscoreError):
    """The challenger did not pass the gate; the champion stays."""

    exit_code = 4
    title = "gate refused"


class NotFitToPublish(LeadscoreError):
    """The scores are not fit to publish; nothing was published."""

    exit_code = 5
    title = "not published"


class WorkspaceBusy(LeadscoreError):
    """Another run holds this workspace."""

    exit_code = 6
    title = "workspace busy"
