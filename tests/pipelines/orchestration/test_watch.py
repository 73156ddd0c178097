"""Status of the nightly runs from ledger and export: each way in which they can go wrong."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from configs.schema import load_project
from pipelines.orchestration import watch
from pipelines.orchestration.deployment_status import DeploymentStatus
from pipelines.workspace import open_store
from serve.export.export import write_export
from serve.lock import lock_workspace
from tests.pipelines import tiny
from tests.serve.samples import a_run, some_scores

HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 3, 9, 23, tzinfo=UTC)  # of the tenth, in Berlin
FIVE = MIDNIGHT + 5 * HOUR


@pytest.fixture
def company(tmp_path, monkeypatch):
    """A config with an empty workspace; Prefect is not configured."""
    for name in ("LEADSCORE_WORKSPACE", "PREFECT_API_URL", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "no-prefect"))
    monkeypatch.chdir(tmp_path)
    tiny.write(tmp_path, leads=3)
    return load_project("company.yaml")


def night(
    project, as_of=MIDNIGHT, start=FIVE, end="published", message="", name=None, deliver=True
):
    """Write one run into the ledger that took half an hour."""
    run = a_run(name or f"{as_of:%d}-{start:%d%H}", as_of, ("buy",), "tiny", started_at=start)
    store = open_store(project)
    store.start(run)
    if end == "published":
        store.publish(some_scores(run), run.run_id, start + HOUR / 2)
        if deliver:
            write_export(store.scores("tiny", as_of), project.workspace_path, run)
    elif end != "started":
        store.finish(run.run_id, end, message, start + HOUR / 2)
    return run


def alarms(project, now):
    return watch.read_status(project, now).alarms


def test_ordinary_night_has_no_alarm(company):
    run = night(company)
    found = watch.read_status(company, FIVE + 20 * HOUR)
    assert found.alarms == () and found.last_good.run_id == run.run_id and found.since == ()
    assert found.last_good.rows == 3 and found.last_good.as_of == MIDNIGHT
    assert found.lines()[-1] == "all is well"


@pytest.mark.parametrize("end", ["refused", "failed"])
def test_attempt_without_scores_is_a_warning_and_no_alarm(company, end):
    night(company)
    night(company, start=FIVE + 2 * HOUR, end=end, message="too few rows")
    found = watch.read_status(company, FIVE + 3 * HOUR)
    assert (
        found.alarms == ()
        and found.lines()[-1].startswith("WARNING: the last attempt")
        and end in found.lines()[-1]
    )
    assert found.to_alarm()["state"] == "Warning"


def test_run_without_a_process_is_called_killed_and_a_live_one_is_not(company):
    night(company)
    night(company, start=FIVE + 2 * HOUR, end="started")
    with lock_workspace(company.workspace_path):
        found = watch.read_status(company, FIVE + 3 * HOUR)
        assert (
            found.alarms == ()
            and found.since[0].status == "started"
            and found.lines()[-1] == "all is well"
        )
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    for text in ("", f"pid {died.pid}: leadscore score company.yaml\n"):
        (company.workspace_path / ".lock").write_text(text)
        found = watch.read_status(company, FIVE + 3 * HOUR)
        assert found.since[0].status == "killed" and "killed" in found.lines()[-1]


def test_status_without_a_published_night_is_an_alarm_and_creates_nothing(company):
    assert alarms(company, FIVE) == ("no night was ever published",)
    assert not company.workspace_path.exists()


@pytest.mark.parametrize(
    ("hours", "late"), [(30, False), (30.4, False), (30.6, True), (24 * 9, True)]
)
def test_schedule_that_never_fires_shows_in_the_age_of_the_last_night(company, hours, late):
    """It finished at half past five, and thirty hours are allowed."""
    night(company)
    found = alarms(company, FIVE + hours * HOUR)
    assert bool(found) == late and all(
        "finished" in alarm and "more than 30h" in alarm for alarm in found
    )


def test_lateness_limit_is_read_from_the_config(company):
    night(company)
    schedule = company.schedule.model_copy(update={"late": 10 * HOUR})
    assert alarms(company.model_copy(update={"schedule": schedule}), FIVE + 12 * HOUR)


def test_attempts_since_the_last_good_night_are_listed_with_their_message(company):
    night(company)
    night(
        company,
        MIDNIGHT + 24 * HOUR,
        FIVE + 24 * HOUR,
        "refused",
        "not published: too few rows\n  fix: look",
    )
    night(company, MIDNIGHT + 24 * HOUR, FIVE + 25 * HOUR, "failed", "the scores database failed")
    found = watch.read_status(company, FIVE + 26 * HOUR)
    assert [each.status for each in found.since] == ["failed", "refused"] and found.alarms == ()
    lines = found.lines()
    assert any(
        "refused as of 2026-03-10T23:00:00+00:00" in line and "too few rows" in line
        for line in lines
    )
    assert watch.read_status(company, FIVE + 40 * HOUR).alarms


def test_backfilled_night_does_not_count_as_the_last_good_night(company):
    night(company, deliver=True)
    night(company, MIDNIGHT - 48 * HOUR, FIVE + 30 * HOUR, deliver=False)
    assert "more than 30h" in alarms(company, FIVE + 31 * HOUR)[0]


def test_nights_with_an_old_as_of_are_an_alarm(company):
    """The schedule fires and the source stands still: each night publishes the same as-of again."""
    night(company)
    night(company, MIDNIGHT, FIVE + 72 * HOUR, name="again")
    assert "was as of 2026-03-09T23:00:00+00:00" in alarms(company, FIVE + 74 * HOUR)[0]


def test_night_in_the_future_is_an_alarm(company):
    night(company, start=FIVE + 24 * 365 * HOUR)
    assert "check the clock" in alarms(company, FIVE + HOUR)[0]


def test_export_must_be_of_the_newest_night(company):
    night(company)
    night(company, MIDNIGHT + 24 * HOUR, FIVE + 24 * HOUR, deliver=False)
    assert alarms(company, FIVE + 25 * HOUR) == ()  # it is being written
    found = alarms(company, FIVE + 27 * HOUR)
    assert (
        len(found) == 1
        and "the export is as of 2026-03-09T23:00:00Z" in found[0]
        and "leadscore export" in found[0]
    )
    shutil.rmtree(company.workspace_path / "exports")
    assert "cannot be read (FileNotFoundError)" in alarms(company, FIVE + 27 * HOUR)[0]


def deployed(**more):
    usual = {"exists": True, "scheduled": True, "due": FIVE + 24 * HOUR}
    return DeploymentStatus("leadscore-score/tiny", **(usual | more))


@pytest.mark.parametrize(
    ("found", "alarm"),
    [
        (deployed(), None),
        (deployed(running=FIVE), None),
        (deployed(waiting=FIVE + 1.5 * HOUR), None),
        (deployed(waiting=FIVE, running=FIVE - HOUR), None),
        (deployed(scheduled=False, due=None), None),
        (deployed(paused=True), "is paused"),
        (deployed(due=None), "no run planned"),
        (deployed(waiting=FIVE), "has not begun"),
        (deployed(running=FIVE - 6 * HOUR), "should have ended"),
        (DeploymentStatus("leadscore-score/tiny", exists=False), "is missing"),
    ],
)
def test_deployment_that_does_not_run_is_an_alarm(company, monkeypatch, found, alarm):
    night(company)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    other = deployed(exists=True, scheduled=False)
    monkeypatch.setattr(
        "pipelines.orchestration.deployment_status.read_deployments",
        lambda project, now: [other, found],
    )
    monkeypatch.setattr("pipelines.orchestration.deployment_status.read_score_runs", lambda *_: [])
    told = alarms(company, FIVE + 2 * HOUR)
    assert [alarm in each for each in told] == ([True] if alarm else [])


def leadscore(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "deploy", "company.yaml", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_command_exits_5_when_the_last_good_night_is_too_old(company):
    now = datetime.now(UTC)
    night(company, now - 5 * HOUR, now - HOUR)
    good = leadscore("--status", "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["healthy"] is True
    company.workspace_path.rename("elsewhere")
    late = leadscore("--status", "--json")
    told = json.loads(late.stdout)
    assert (
        late.returncode == 5
        and told["healthy"] is False
        and told["alarms"] == ["no night was ever published"]
    )
    words = leadscore("--status")
    assert words.returncode == 5 and "ALARM: no night was ever published" in words.stdout


@pytest.mark.server
def test_unreachable_prefect_server_leaves_the_ledger(company):
    now = datetime.now(UTC)
    night(company, now - 5 * HOUR, now - HOUR)
    away = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    done = leadscore("--status", "--json", **away)
    told = json.loads(done.stdout)
    assert (
        done.returncode == 5
        and told["deployments"] == []
        and "does not answer" in told["alarms"][0]
    )
    serving = leadscore(**away)
    assert serving.returncode == 1 and "the Prefect API does not answer" in serving.stderr


def test_watcher_imports_nothing_heavy():
    """Each import is something whose failure would silence it."""
    code = (
        "import sys; import pipelines.commands.nightly, pipelines.orchestration.watch; "
        "print({name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = ("numpy", "pyarrow", "pydantic", "yaml", "sqlalchemy", "duckdb", "prefect", "filelock")
    assert [name for name in heavy if f"'{name}'" in done.stdout] == []


def test_alarm_is_reported_when_asked(company, monkeypatch):
    """A watch that nobody reads: the same command tells the webhook."""
    sent = []
    monkeypatch.setattr(
        "pipelines.orchestration.alarm.post_alarm", lambda body, log: sent.append(body)
    )
    from pipelines.commands import nightly

    with pytest.raises(typer.Exit) as stop:
        nightly.deploy(Path("company.yaml"), status=True, report=True)
    assert stop.value.exit_code == 5
    assert sent[0]["state"] == "Alarm" and sent[0]["said"] == ["no night was ever published"]


def test_refused_night_is_reported_before_it_is_an_alarm_and_without_its_message(company):
    night(company)
    assert watch.read_status(company, FIVE + HOUR).to_alarm() is None
    night(
        company,
        MIDNIGHT + 24 * HOUR,
        FIVE + 24 * HOUR,
        "refused",
        "not published: [x]: ann@example.com",
    )
    found = watch.read_status(company, FIVE + 25 * HOUR)
    assert found.alarms == () and found.to_alarm()["state"] == "Warning"
    (warning,) = found.to_alarm()["said"]
    assert "the night as of 2026-03-11 is missing (refused)" in warning and "ann@" not in warning


def test_deploying_without_a_prefect_api_says_what_to_do(company):
    done = leadscore()
    assert (
        done.returncode == 2
        and "PREFECT_API_URL" in done.stderr
        and "prefect server start" in done.stderr
    )
    assert leadscore("--json").returncode == 2
