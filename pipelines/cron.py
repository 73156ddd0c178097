"""Cron lines of a schedule: their validation, their days, and the as-of of a scheduled run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from configs.errors import ConfigError

if TYPE_CHECKING:
    from configs.schema import Project

FLOW_NAMES = ("train", "score", "monitor")
# Stands in for a flow without a schedule, so that one check serves all flows.
ANY_CRON_LINE = "0 5 * * *"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def require_cron_lines(project: Project) -> None:
    """Raise ConfigError for a line of the schedule that is not a cron line."""
    from prefect.client.schemas.schedules import CronSchedule

    for flow in FLOW_NAMES:
        line = getattr(project.schedule, flow)
        try:
            CronSchedule(cron=line or ANY_CRON_LINE)
        except ValueError as error:
            raise ConfigError(
                "not a cron line",
                where=f"{project.path}: schedule.{flow}",
                found=repr(line),
                fix="write minute hour day month weekday: 0 5 * * *",
            ) from error


def find_scheduled_as_of(project: Project, due: datetime) -> datetime:
    """Return the as-of, in UTC, of a run that was due at an instant: the last local midnight.

    A source is rarely complete up to the minute, but by the hour of the nightly run it is complete
    up to midnight. Each attempt, however late, has the same as-of. Where midnight comes twice as
    clocks go back, the first counts. With ``schedule.as_of: start`` it is the instant itself.
    """
    if project.schedule.as_of == "start":
        return due.astimezone(UTC)
    # The local day decides, so that a change of clocks moves no night to another day.
    local = due.astimezone(project.zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def list_scheduled_days(line: str, first: date, last: date) -> list[date] | None:
    """Return the days in ``[first, last]`` on which a cron line is due.

    Return None for a line that is not understood. Prefect would do, but a machine without it has
    nights too. The notation is that of cron(5), without a day and a weekday in one line.
    """
    fields = line.lower().split()
    if len(fields) != 5 or (fields[2] != "*" and fields[4] != "*"):
        return None
    try:
        days = _read_field(fields[2], 1, 31)
        months = _read_field(fields[3], 1, 12, MONTHS)
        # 7 is a second number of Sunday.
        weekdays = {number % 7 for number in _read_field(fields[4], 0, 7, WEEKDAYS)}
    except ValueError:
        return None
    span = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [
        day
        for day in span
        if day.day in days and day.month in months and day.isoweekday() % 7 in weekdays
    ]


def _read_field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> set[int]:
    """Return the numbers of one field, such as ``*``, ``1-5``, ``*/2`` or ``mon,fri``.

    ``names`` are words for the numbers from ``low`` on. Raises ValueError for any other notation.
    """

    def read(word: str) -> int:
        number = names.index(word) + low if word in names else int(word)
        if not low <= number <= high:
            raise ValueError(word)
        return number

    numbers = set[int]()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        # 7 is Sunday again, which a step of * must not count as a day of its own.
        end = high - (names is WEEKDAYS) if span == "*" or (slash and not dash) else None
        begin = low if span == "*" else read(first)
        end = end if end is not None else read(last) if dash else begin
        if begin > end or (slash and int(step) < 1):
            raise ValueError(part)
        numbers |= set(range(begin, end + 1, int(step) if slash else 1))
    return numbers
