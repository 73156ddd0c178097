"""Validation of a schedule's cron lines by Prefect's own parser."""

from __future__ import annotations

from configs.errors import ConfigError
from configs.schema import Project

FLOW_NAMES = ("train", "score", "monitor")
# Stands in for a flow without a schedule, so that one check serves all flows.
ANY_CRON_LINE = "0 5 * * *"


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
