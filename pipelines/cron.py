"""The cron lines of a schedule, as Prefect reads them."""

from __future__ import annotations

from configs.errors import ConfigError
from configs.schema import Project

FLOW_NAMES = ("train", "score", "monitor")


def require_cron_lines(project: Project) -> None:
    """Raise ConfigError where a line of the schedule is no cron line."""
    from prefect.client.schemas.schedules import CronSchedule

    for name in FLOW_NAMES:
        line = getattr(project.schedule, name)
        try:
            CronSchedule(cron=line or "0 5 * * *")
        except ValueError as error:
            raise ConfigError(
                "not a cron line",
                where=f"{project.path}: schedule.{name}",
                found=repr(line),
                fix="write minute hour day month weekday: 0 5 * * *",
            ) from error
