"""Days of cron lines, compared with the installed Prefect server, also where clocks change."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from configs.night import Schedule
from configs.schema import load_project
from pipelines.cron import find_scheduled_as_of, list_scheduled_days
from tests.pipelines import tiny

ZONE = ZoneInfo("Europe/Berlin")
DEFAULTS = Schedule()


def plan(line, start, end):
    """Return the instants that the installed Prefect server plans in ``[start, end)``."""
    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron=line, timezone=ZONE.key)
    dues = asyncio.run(schedule.get_dates(1000, start, end))
    return sorted({due.astimezone(UTC) for due in dues})


@pytest.mark.parametrize(
    "line",
    [
        DEFAULTS.score,
        DEFAULTS.train,
        "30 2 * * *",
        "0 5 * * 1-5",
        "0 5 * * sun,wed",
        "0 5 * * 5-7",
        # Without February: Prefect 3.9.1 loses the day after it that follows a 31st.
        "0 5 */10 1,3,4 *",
        "0 5 1,15 * *",
        "0 5 5-30/5 2,mar *",
        "15 4,16 * jan-jun *",
        "0 5 * * */3",
        "0 5 28 2 *",
    ],
)
def test_days_of_a_line_are_those_of_prefect(line):
    first, last = date(2027, 1, 1), date(2027, 4, 30)
    start, end = (
        datetime(d.year, d.month, d.day, tzinfo=ZONE) for d in (first, last + timedelta(days=1))
    )
    planned = {due.astimezone(ZONE).date() for due in plan(line, start, end - timedelta(seconds=1))}
    assert list_scheduled_days(line, first, last) == sorted(planned)


@pytest.mark.parametrize("line", ["@daily", "0 5 L * *", "0 5 1 * 1", "0 5 * * 5-1", "x", "", "H"])
def test_days_of_other_lines_are_unknown(line):
    assert list_scheduled_days(line, date(2026, 1, 1), date(2026, 1, 31)) is None


# The clocks of Berlin go from two to three o'clock, and from three back to two.
@pytest.mark.parametrize("sunday", [date(2025, 3, 30), date(2025, 10, 26)])
@pytest.mark.parametrize(
    ("line", "hour"),
    [(DEFAULTS.score, 5), (DEFAULTS.monitor, 7), (DEFAULTS.train, 2), ("30 2 * * *", 2.5)],
)
def test_night_runs_once_where_clocks_change_and_belongs_to_its_date(tmp_path, sunday, line, hour):
    tiny.write(tmp_path, leads=3)
    project = load_project(tmp_path / "company.yaml")
    noon = datetime(sunday.year, sunday.month, sunday.day, 12, tzinfo=ZONE)
    # The server plans ahead from changing instants; each must give the same run.
    for hours in range(14, 36):
        start = noon.astimezone(UTC) - timedelta(hours=hours)
        dues = plan(line, start, noon)
        (due,) = [due for due in dues if due.astimezone(ZONE).date() == sunday]
        # An hour that is skipped is made up for after it; of an hour that comes twice, the first.
        local = due.astimezone(ZONE)
        skipped = sunday.month == 3 and 2 <= hour < 3
        assert local.hour + local.minute / 60 == hour + skipped and local.fold == 0
        as_of = find_scheduled_as_of(project, due)
        # What `--as-of "$(TZ=Europe/Berlin date +%F)"` gives on this day.
        assert as_of == project.parse_instant(sunday.isoformat())
        assert as_of.astimezone(ZONE).strftime("%F %T") == f"{sunday} 00:00:00"
