"""The as-of that a command is given, checked against the clock."""

from __future__ import annotations

from datetime import datetime

from configs.errors import ConfigError
from configs.schema import Project
from features.times.data_end import find_midnight_after


def parse_as_of(project: Project, text: str | None, clock: datetime) -> datetime | None:
    """Return the instant of ``--as-of`` in UTC, None without one.

    Raises ConfigError for any other text, and for an as-of in the future.
    """
    if not text:
        return None
    as_of = project.parse_instant(text)
    require_as_of_reached(project, as_of, clock)
    return as_of


def is_in_future(project: Project, as_of: datetime, clock: datetime) -> bool:
    """Return whether an as-of lies after the midnight that ends the current day.

    That midnight, in the config's zone, is what data of today gives without --as-of.
    """
    return as_of > find_midnight_after(clock, project.zone)


def require_as_of_reached(project: Project, as_of: datetime, clock: datetime) -> None:
    """Raise ConfigError for an as-of in the future: what was published for it would stay newest."""
    if is_in_future(project, as_of, clock):
        latest = find_midnight_after(clock, project.zone)
        raise ConfigError(
            "this as-of is in the future",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the machine's clock shows {clock.isoformat(timespec='seconds')}",
            fix=f"use an as-of up to {latest.isoformat()}, or set the clock",
        )
