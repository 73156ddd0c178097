"""The failures a user can meet. Each is one or two lines: what, where, how many with an example, and the mend."""

from __future__ import annotations


class LeadscoreError(Exception):
    """A failure with an exit code that scripts can rely on.

    ``what`` says what is wrong, ``where`` names the file, key or column, ``found`` the observed count with an
    example, ``mend`` what to do about it.
    """

    exit_code = 1
    title = "error"

    def __init__(self, what: str, *, where: str = "", found: str = "", mend: str = "") -> None:
        self.what, self.where, self.found, self.mend = what, where, found, mend
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.title}: {self.what}"
        head += f" [{self.where}]" if self.where else ""
        head += f": {self.found}" if self.found else ""
        return head + (f"\n  mend: {self.mend}" if self.mend else "")

    def __reduce__(self) -> tuple:
        """Keep the parts when a worker process or a flow engine copies the exception."""
        return _rebuild, (type(self), self.what, self.where, self.found, self.mend)


def _rebuild(kind: type[LeadscoreError], what: str, where: str, found: str, mend: str) -> LeadscoreError:
    return kind(what, where=where, found=found, mend=mend)


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
