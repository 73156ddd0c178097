"""Nights that are missing: each way to lose one, what is none, and how a person gives one up."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.orchestration import watch
from pipelines.orchestration.missing_nights import check_missing_nights
from pipelines.orchestration.status import Attempt, ScoreRun, Watched
from pipelines.runner import read_clock
from tests.pipelines.orchestration.test_watch import FIVE, HOUR, MIDNIGHT, company, night

__all__ = ["company"]
DAY = timedelta(days=1)
ZONE = ZoneInfo("Europe/Berlin")


def attempt(as_of, status="published", start=None):
    start = start or as_of + 5 * HOUR
    return Attempt(f"{start}", as_of, status, start, start + HOUR / 2, 3, None)


def nights(*days, status="published"):
    first = MIDNIGHT.astimezone(ZONE)
    # Of the wall clock: a day has 23 hours where the clocks go forward.
    return [attempt((first + day * DAY).astimezone(UTC), status) for day in days]


def find(project, attempts, after_days, score_runs=(), **schedule):
    """Return the warnings ten hours after the midnight that lies so many days after the first."""
    changed = project.schedule.model_copy(update=schedule)
    project = project.model_copy(update={"schedule": changed})
    now = MIDNIGHT + after_days * DAY + 10 * HOUR
    watched = Watched(project, now, tuple(attempts), None, tuple(score_runs))
    return check_missing_nights(watched).warnings


@pytest.mark.parametrize("status", ["killed", "failed", "refused"])
def test_night_without_scores_is_missing_until_it_is_published(company, status):
    lost = attempt(MIDNIGHT + DAY, status)
    attempts = [*nights(0), lost, *nights(2, 3)]
    (line,) = find(company, attempts, 3)
    assert f"the night as of 2026-03-11 is missing ({status})" in line
    assert "`leadscore score company.yaml --direct --as-of 2026-03-11`" in line
    assert "`leadscore deploy company.yaml --give-up 2026-03-11`" in line
    made_up = attempt(lost.as_of, start=FIVE + 4 * DAY)
    assert find(company, [*attempts, made_up], 4) == ()


def test_night_that_runs_again_or_was_given_up_is_not_missing(company):
    lost = attempt(MIDNIGHT + DAY, "failed")
    for status in ("started", "given up"):
        later = attempt(lost.as_of, status, FIVE + 3 * DAY)
        assert find(company, [*nights(0), lost, later], 3) == ()
    # An attempt after it was given up counts again.
    again = attempt(lost.as_of, "refused", FIVE + 4 * DAY)
    assert "(refused)" in find(company, [*nights(0), lost, later, again], 4)[0]


def test_gap_between_published_nights_is_missing(company):
    (line,) = find(company, nights(0, 1, 4, 5, 6), 6)
    assert "the nights as of 2026-03-12 to 2026-03-13 are missing (no run)" in line
    assert "`leadscore score company.yaml --as-of 2026-03-12 --until 2026-03-13`" in line
    assert find(company, nights(0, 2), 2) != ()
    assert find(company, [*nights(0, 1, 4), *nights(2, 3)], 4) == ()


def test_night_older_than_two_weeks_is_not_reported(company):
    assert len(find(company, nights(0, 1, 3, 4, 5), 15)) == 1
    assert find(company, nights(0, 1, 3, 4, 5), 17) == ()


@pytest.mark.parametrize(
    ("attempts", "schedule"),
    [
        # The first nights: nothing before the first published one is missing.
        ([], {}),
        (nights(0, status="refused") + nights(1), {}),
        (nights(0), {}),
        # A trial, and the schedule four days later.
        (nights(0, 4, 5, 6), {}),
        # A weekly schedule: 10 March 2026 is a Tuesday.
        (nights(0, 7, 14), {"score": "0 5 * * 2"}),
        (nights(0, 7, 14), {"score": "0 5 * * TUE"}),
        # Nights of a weekly cron line outside of a config that says daily.
        (nights(0, 7, 14), {}),
        # Working days.
        (nights(0, 1, 2, 3, 6, 7, 8), {"score": "0 5 * * 1-5"}),
        (nights(0, 3, 4, 9), {"score": None}),
        (nights(0, 1, 3, 5), {"as_of": "start", "score": "0 * * * *"}),
        # Backfilled nights of the past show no rhythm.
        ([attempt(MIDNIGHT + d * DAY, start=FIVE + 9 * DAY) for d in (0, 1, 4)] + nights(9), {}),
        # A line that this module cannot read.
        (nights(0, 1, 4), {"score": "0 5 1-7 * TUE"}),
        (nights(0, 1, 4), {"score": "0 5 * * TUE#2"}),
        (nights(0, 1, 4), {"score": "@daily"}),
    ],
)
def test_ordinary_nights_are_not_missing(company, attempts, schedule):
    days = max((a.as_of - MIDNIGHT).days for a in attempts) if attempts else 0
    assert find(company, attempts, days, **schedule) == ()


def test_gap_in_a_weekly_schedule_is_named_by_itself(company):
    (line,) = find(company, nights(0, 7, 21), 21, score="0 5 * * 2")
    assert "--as-of 2026-03-24`" in line
    # Not with --until, which would score each day between the two.
    lines = find(company, nights(0, 3, 14), 14, score="0 5 * * 2,5")
    assert len(lines) == 2 and not any("--until" in line for line in lines)


def test_lost_run_of_prefect_without_a_ledger_row_is_missing(company):
    lost = ScoreRun(MIDNIGHT + DAY, "crashed")
    (line,) = find(company, nights(0), 1, [lost])
    assert "the night as of 2026-03-11 is missing (crashed)" in line
    for state in ("running", "pending", "scheduled"):
        assert find(company, nights(0), 1, [lost, ScoreRun(lost.as_of, state)]) == ()
    assert find(company, nights(0, 1), 1, [lost]) == ()


def test_many_missing_instants_are_counted(company):
    lost = [attempt(MIDNIGHT + HOUR * n, "failed") for n in range(1, 41)]
    lines = find(company, [*nights(0), *lost], 2, as_of="start", score="0 * * * *")
    assert len(lines) == 11 and "--as-of 2026-03-10T00:00:00+00:00`" in lines[0]
    assert lines[-1] == "30 more nights are missing"


def test_nights_across_a_change_of_clocks_are_whole_days(company):
    """On 29 March 2026 the clocks go forward: midnights lie 23 hours apart."""
    midnights = [
        datetime(2026, 3, day, tzinfo=ZONE).astimezone(UTC) for day in (26, 27, 28, 29, 30, 31)
    ]
    attempts = [attempt(as_of) for as_of in (*midnights[:2], midnights[-1])]
    (line,) = find(company, attempts, 21)
    assert "the nights as of 2026-03-28 to 2026-03-30 are missing" in line
    assert find(company, [attempt(as_of) for as_of in midnights], 21) == ()


@pytest.mark.parametrize(
    ("zone", "first"), [("Africa/Cairo", (2026, 4, 23)), ("America/Havana", (2026, 10, 31))]
)
def test_midnight_that_is_skipped_or_repeated_is_one_night(company, zone, first):
    from pipelines.cron import find_scheduled_as_of

    project = company.model_copy(update={"timezone": zone})
    dues = [datetime(*first, 5, tzinfo=ZoneInfo(zone)) + n * DAY for n in range(4)]
    as_ofs = [find_scheduled_as_of(project, due) for due in dues]
    watched = Watched(project, as_ofs[-1] + 9 * HOUR, tuple(map(attempt, as_ofs)), None)
    assert check_missing_nights(watched).warnings == ()
    lost = tuple(attempt(a) for a in as_ofs if a != as_ofs[1])
    (line,) = check_missing_nights(Watched(project, as_ofs[-1] + 9 * HOUR, lost, None)).warnings
    text = dues[1].date().isoformat()
    assert f"--as-of {text}`" in line and project.parse_instant(text) == as_ofs[1]


def leadscore(*arguments):
    return CliRunner().invoke(cli.app, ["deploy", "company.yaml", *arguments])


def test_person_gives_a_night_up(company):
    now = read_clock()
    today = now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    as_ofs = [(today - days * DAY).astimezone(UTC) for days in (3, 2, 1, 0)]
    for as_of in as_ofs:
        end = "failed" if as_of == as_ofs[1] else "published"
        night(company, as_of, as_of + HOUR / 60, end, "x")
    lost = (today - 2 * DAY).date().isoformat()
    found = watch.read_status(company, now)
    assert [f"--give-up {lost}`" in line for line in found.findings.warnings] == [True]
    assert found.to_alarm()["state"] == "Warning"
    done = leadscore("--give-up", lost)
    assert done.exit_code == 0, done.output
    assert watch.read_status(company, now).findings.warnings == ()
    told = json.loads(leadscore("--status", "--json").stdout)
    assert told["warnings"] == [] and told["last_good"]["as_of"] == as_ofs[3].isoformat()


def test_published_or_earlier_night_cannot_be_given_up(company):
    from configs.errors import ConfigError

    refused = leadscore("--give-up", "2026-03-10")
    assert isinstance(refused.exception, ConfigError) and not company.workspace_path.exists()
    now = read_clock()
    published = now - 30 * HOUR
    night(company, published, published + HOUR)
    for text in (published.isoformat(), "2020-01-01", "2099-01-01", "tomorrow"):
        done = leadscore("--give-up", text)
        assert isinstance(done.exception, ConfigError), text
    assert isinstance(leadscore("--give-up", "2026-03-10", "--status").exception, ConfigError)
