"""Scheduled runs on a real Prefect server: they run, take turns, and survive kills."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import yaml

from configs.errors import ConfigError, DataError, GateRefused, NotFitToPublish
from configs.schema import load_project
from models.learners import lightgbm
from pipelines.nightly.night import score_night
from pipelines.orchestration import lost_runs
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from serve.lock import lock_workspace
from tests.pipelines import tiny

ZONE = ZoneInfo("Europe/Berlin")
EACH_MINUTE, ONCE_A_YEAR = "* * * * *", "0 5 1 1 *"
PATIENCE = 600
# The shortest heartbeat that Prefect allows and a short silence limit keep the tests short.
SERVE = """
from datetime import timedelta
from pipelines.orchestration import deploy, lost_runs
deploy.HEARTBEAT_INTERVAL, deploy.SILENCE_LIMIT = timedelta(seconds=30), timedelta(seconds=40)
lost_runs.SEARCH_SECONDS = 3.0
from pipelines.cli import main
main()
"""


def project(folder, **changes):
    path = folder / "company.yaml"
    raw = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(raw | changes))
    return load_project(path)


@pytest.mark.parametrize(
    ("zone", "due", "night"),
    [
        ("Europe/Berlin", "2026-07-10T05:00:00+02:00", "2026-07-09T22:00:00+00:00"),
        ("Europe/Berlin", "2026-07-10T00:00:00+02:00", "2026-07-09T22:00:00+00:00"),
        ("Europe/Berlin", "2026-07-09T23:59:59+02:00", "2026-07-08T22:00:00+00:00"),
        (
            "Europe/Berlin",
            "2026-03-29T05:00:00+02:00",
            "2026-03-28T23:00:00+00:00",
        ),  # clocks go forward at two
        (
            "Europe/Berlin",
            "2026-10-25T05:00:00+01:00",
            "2026-10-24T22:00:00+00:00",
        ),  # and back at three
        (
            "America/Havana",
            "2026-11-01T00:30:00-04:00",
            "2026-11-01T04:00:00+00:00",
        ),  # midnight comes twice:
        (
            "America/Havana",
            "2026-11-01T00:30:00-05:00",
            "2026-11-01T04:00:00+00:00",
        ),  # the first counts
        (
            "Africa/Cairo",
            "2026-04-24T05:00:00+03:00",
            "2026-04-23T22:00:00+00:00",
        ),  # it goes from 23:59:59 to 01:00
        ("Pacific/Auckland", "2026-07-09T17:00:00+00:00", "2026-07-09T12:00:00+00:00"),
    ],
)
def test_scheduled_as_of_is_the_last_local_midnight(tmp_path, zone, due, night):
    from pipelines.orchestration.scheduled import find_scheduled_as_of

    tiny.write(tmp_path, leads=3, timezone=zone)
    assert (
        find_scheduled_as_of(
            load_project(tmp_path / "company.yaml"), datetime.fromisoformat(due)
        ).isoformat()
        == night
    )


def test_scheduled_as_of_is_the_start_where_the_config_says_so(tmp_path):
    from pipelines.orchestration.scheduled import find_scheduled_as_of

    tiny.write(tmp_path, leads=3, schedule={"as_of": "start"})
    due = datetime(2026, 7, 10, 5, tzinfo=UTC)
    project = load_project(tmp_path / "company.yaml")
    assert find_scheduled_as_of(project, due.astimezone(ZONE)) == due


def test_invalid_cron_line_is_named(tmp_path):
    from pipelines.orchestration.deploy import build_deployments

    tiny.write(tmp_path, leads=3, schedule={"train": "at two on Sundays"})
    with pytest.raises(ConfigError, match=r"schedule\.train.*at two on Sundays"):
        build_deployments(load_project(tmp_path / "company.yaml"))


@pytest.mark.parametrize(
    ("found", "what", "code"),
    [
        (
            NotFitToPublish("too few rows", found="ann@example.com"),
            "not published: too few rows",
            5,
        ),
        (ValueError("ann@example.com"), "ValueError", 1),
        (
            [
                SimpleNamespace(target="buy", error=GateRefused("not better")),
                SimpleNamespace(target="x", error=None),
            ],
            "buy: gate refused: not better",
            4,
        ),
        (
            [
                SimpleNamespace(target=t, error=e)
                for t, e in (("a", GateRefused("x")), ("b", DataError("y")))
            ],
            "a: gate refused: x; b: data error: y",
            3,
        ),
    ],
)
def test_alarm_of_a_failed_run_has_its_reason_and_no_data(found, what, code):
    from prefect.states import Failed

    from pipelines.orchestration.scheduled import build_alarm

    run = SimpleNamespace(
        parameters={"config": "/srv/acme/company.yaml"}, expected_start_time=None, id="r1"
    )
    body = build_alarm("leadscore-score", run, Failed(data=found))
    assert (body["what"], body["exit_code"], body["config"]) == (what, code, "company.yaml")
    assert "ann@" not in json.dumps(body) and "/srv" not in json.dumps(body)


def test_installed_prefect_server_plans_cron_runs():
    """Prefect 3.9.1 with whenever 0.10 plans none on Python 3.11: its scheduler fails."""
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron="0 5 * * *", timezone="Europe/Berlin")
    start = datetime(2026, 7, 10, tzinfo=UTC)
    (due,) = asyncio.run(schedule.get_dates(1, start))
    assert due.astimezone(UTC) == datetime(2026, 7, 10, 3, tzinfo=UTC)


class Served:
    """A company whose deployments are served by a process that tests may stop and kill."""

    def __init__(self, folder, environment, hooked):
        self.folder, self.environment, self.hooked, self.process = folder, environment, hooked, None

    def start(self, **schedule):
        project(self.folder, schedule={"train": None, "monitor": None, "limit": "10m"} | schedule)
        before = self.log().count("being served")
        command = [sys.executable, "-c", SERVE, "deploy", "company.yaml"]
        with (self.folder / "runner.log").open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        until(lambda: self.log().count("being served") > before, "it serves", self.log)

    def stop(self, how=signal.SIGTERM, while_running=False):
        """Stop the runner; without ``while_running`` only once the processes of its runs ended.

        A run that has its final state takes another moment to exit, and a runner that is stopped
        within that moment calls it cancelled, so that the next runner would do it again.
        """
        if how == signal.SIGTERM and not while_running:
            until(lambda: not self.run_processes(), "its runs exit", self.log)
        self.process.send_signal(how)
        self.process.wait(60)

    def run_processes(self):
        """Return the process ids of the runs."""
        command = ["ps", "-o", "pid=", "--ppid", str(self.process.pid)]
        # ps exits with 1 where there is none.
        listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return [int(child) for child in listing.split()]

    def kill_runs(self):
        """Kill the processes of the runs, not the runner."""
        for child in self.run_processes():
            os.kill(child, signal.SIGKILL)

    def log(self):
        path = self.folder / "runner.log"
        return path.read_text() if path.exists() else ""

    def ledger(self, where="1 = 1"):
        path = self.folder / "workspace" / "scores.db"
        if not path.exists():
            return []
        with sqlite3.connect(path) as db:
            db.row_factory = sqlite3.Row
            # The first run makes the file a moment before its tables.
            if not db.execute("select 1 from sqlite_master where name = 'score_runs'").fetchone():
                return []
            return db.execute(
                f"select * from score_runs where {where} order by started_at"
            ).fetchall()

    def status(self):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "deploy", "company.yaml", "--status", "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)


def until(true, what, log=None, patience=PATIENCE, pause=1):
    """Wait until something is true and return it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(pause)
    raise AssertionError(f"not within {patience} s: {what}\n{log()[-6000:] if log else ''}")


@pytest.fixture(scope="module")
def hooked():
    """A webhook and what it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/secret-path", bodies=bodies)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, prefect_server, hooked):
    """A company whose data ends last midnight and whose target has a champion."""
    folder = tmp_path_factory.mktemp("served")
    midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "START", midnight - timedelta(days=366))
        patch.setattr(tiny, "END", midnight.isoformat())
        patch.setattr(lightgbm, "ROUNDS", 15)
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        tiny.write(folder, **tiny.LITTLE)
        config = load_project("company.yaml")
        (result,) = train_targets(config, midnight.isoformat(), ["buy"], Runner())
        assert result.error is None
    environment = {k: v for k, v in prefect_server.items() if k != "LEADSCORE_WORKSPACE"}
    company = Served(folder, environment | {"LEADSCORE_WEBHOOK": hooked.url}, hooked)
    company.start(score=EACH_MINUTE)
    yield company
    if company.process.poll() is None:
        company.stop(while_running=True)


@pytest.fixture
def server(served, prefect_server):
    """A client of the server, once a runner serves."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    address = prefect_server["PREFECT_API_URL"]
    if served.process.poll() is not None:
        served.start(score=ONCE_A_YEAR)
    with temporary_settings({PREFECT_API_URL: address}), get_client(sync_client=True) as client:
        yield client


def ask_for(server, flow="score", due=None, **parameters):
    """Have a deployment run, as of a time it was due, and return the id of the run."""
    from prefect.states import Scheduled

    found = server.read_deployment_by_name(f"leadscore-{flow}/tiny")
    state = Scheduled(scheduled_time=due) if due else None
    return server.create_flow_run_from_deployment(found.id, parameters=parameters, state=state).id


def ended(server, run):
    state = server.read_flow_run(run).state
    return state if state.is_final() else None


@contextmanager
def holding_in_another_process(folder):
    code = "import sys,time;from pathlib import Path;from serve.lock import lock_workspace\n"
    code += "with lock_workspace(Path(sys.argv[1])):"
    code += "\n print('held',flush=True);time.sleep(1000)"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        yield
    finally:
        other.kill()
        other.wait()


def wait_for_its_turn(served, server):
    """Have a night run while another process holds the workspace; return its id once it waits."""
    told = served.log().count("waiting: workspace busy")
    run = ask_for(server, config="company.yaml")
    until(lambda: served.log().count("waiting: workspace busy") > told, "it waits", served.log)
    return run


@pytest.mark.server
def test_served_cron_deployment_really_runs(served):
    """The server's scheduler creates the run and the runner starts it, as of last midnight."""
    run = until(lambda: served.ledger("status = 'published'"), "a night", served.log)[0]
    assert run["driver"] == "prefect" and run["flow_run_id"]
    midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(run["as_of"]) == midnight
    path = served.folder / "workspace/exports/current/manifest.json"
    until(path.exists, "its export", served.log)
    manifest = json.loads(path.read_text())
    assert manifest["as_of"] == run["as_of"].replace(".000000", "") and manifest["rows"] > 0
    assert served.status()[0] == 0


@pytest.mark.server
def test_stopping_the_runner_pauses_nothing_and_starting_it_takes_the_new_schedule(served, server):
    name = "leadscore-score/tiny"
    served.stop(signal.SIGTERM)
    found = server.read_deployment_by_name(name)
    assert not found.paused and [s.active for s in found.schedules] == [True]
    server.update_deployment_schedule(found.id, found.schedules[0].id, active=False)
    code, told = served.status()
    assert code == 5 and "is paused" in told["alarms"][0]
    served.start(score=ONCE_A_YEAR)
    found = server.read_deployment_by_name(name)
    assert [(s.schedule.cron, s.schedule.timezone, s.active) for s in found.schedules] == [
        (ONCE_A_YEAR, "Europe/Berlin", True)
    ]
    assert server.read_deployment_by_name("leadscore-train/tiny").schedules == []
    # The server plans the runs of a new schedule some seconds later.
    told = until(
        lambda: (found := served.status())[0] == 0 and found[1],
        "all is well",
        served.log,
        patience=120,
    )
    assert told["deployments"][1]["due"].startswith(f"{datetime.now(ZONE).year + 1}-01-01T04")


@pytest.mark.server
def test_refused_night_runs_once_and_is_posted_to_the_webhook(served, server):
    before = len(served.hooked.bodies)
    run = ask_for(server, config="company.yaml", as_of="2000-01-01")
    state = until(lambda: ended(server, run), "the run ends", served.log)
    assert state.is_failed() and "no data was known at this as-of" in state.message
    body = until(lambda: served.hooked.bodies[before:], "the webhook is told", served.log)[0]
    assert (body["exit_code"], body["what"]) == (3, "data error: no data was known at this as-of")
    assert body["flow_run_id"] == str(run) and body["flow"] == "leadscore-score"
    assert served.hooked.url not in served.log() and "secret-path" not in served.log()
    assert "Traceback" not in served.log() and "NoneType" not in served.log()
    assert len(served.ledger("as_of like '1999-12-31%'")) == 1


@pytest.mark.server
def test_older_night_keeps_its_as_of_and_the_export_stays_the_newest(served, server):
    newest = (served.folder / "workspace/exports/current/scores.csv").read_bytes()
    due = datetime.now(ZONE).replace(hour=5, minute=0, second=0, microsecond=0) - timedelta(days=3)
    run = ask_for(server, due=due, config="company.yaml")
    assert until(lambda: ended(server, run), "the run ends", served.log).is_completed()
    row = served.ledger(f"flow_run_id = '{run}'")[0]
    assert (
        datetime.fromisoformat(row["as_of"]) == due.replace(hour=0) and row["status"] == "published"
    )
    assert (served.folder / "workspace/exports/current/scores.csv").read_bytes() == newest


@pytest.mark.server
def test_night_waits_for_the_workspace_and_survives_a_restart_of_the_runner(served, server):
    with holding_in_another_process(served.folder / "workspace"):
        run = wait_for_its_turn(served, server)
        served.stop(signal.SIGTERM, while_running=True)
    served.start(score=ONCE_A_YEAR)
    assert until(lambda: ended(server, run), "the run ends", served.log).is_completed()


@pytest.mark.server
def test_run_that_waits_longer_than_its_limit_is_stopped_and_posted(served, server):
    project(
        served.folder,
        schedule={"train": None, "monitor": None, "limit": "5s", "score": ONCE_A_YEAR},
    )
    before = len(served.hooked.bodies)
    with lock_workspace(served.folder / "workspace"):
        run = ask_for(server, config="company.yaml")
        state = until(lambda: ended(server, run), "the run ends", served.log)
    assert state.is_failed() and "another run holds this workspace" in state.message
    assert until(lambda: served.hooked.bodies[before:], "the webhook is told")[0]["exit_code"] == 6
    project(
        served.folder,
        schedule={"train": None, "monitor": None, "limit": "10m", "score": ONCE_A_YEAR},
    )


def leave_behind_until_it_is_lost(served, server):
    """Have runs left unfinished by one serving process after the other; none is repeated for ever.

    Without a serving process, so that nobody starts what is scheduled again.
    """
    from prefect.states import Cancelled, Running

    config = load_project(served.folder / "company.yaml")
    for left, repeats in ((Running(), 1), (Cancelled(message=lost_runs.SHUTDOWN_MESSAGE), 5)):
        run = ask_for(server, "monitor", config="company.yaml")
        for repeat in range(repeats + 1):
            server.set_flow_run_state(run, left, force=True)
            former = lost_runs.find_unfinished_runs(config)
            with lock_workspace(config.workspace_path):
                lost_runs.repeat_lost_runs(config, former)
                assert server.read_flow_run(run).state_type == left.type
            lost_runs.repeat_lost_runs(config, former)
            state = server.read_flow_run(run).state
            assert state.is_scheduled() if repeat < repeats else state.is_crashed()
            assert former == {}
        server.delete_flow_run(run)


@pytest.mark.server
def test_missed_monitorings_are_skipped_except_the_last(served, server):
    served.stop(signal.SIGTERM)
    leave_behind_until_it_is_lost(served, server)
    due = [datetime.now(UTC) - timedelta(days=days) for days in (3, 2, 1)]
    runs = [ask_for(server, "monitor", at, config="company.yaml") for at in due]
    served.start(score=ONCE_A_YEAR)
    states = [until(lambda run=run: ended(server, run), "the run ends", served.log) for run in runs]
    assert [state.name for state in states] == ["Skipped", "Skipped", "Completed"]


@pytest.mark.server
def test_killed_runner_and_its_killed_run_do_not_stop_the_next_night(served, server):
    """As when a machine loses power: no process reports how the run ended, or that it began."""
    # Of a day that no other test publishes: a night that another run published is not repeated.
    due = datetime.now(ZONE).replace(hour=5, minute=0, second=0, microsecond=0) - timedelta(days=6)
    with holding_in_another_process(served.folder / "workspace"):
        lost = ask_for(server, due=due, config="company.yaml")
        until(
            lambda: server.read_flow_run(lost).state.is_running(), "it runs", served.log, pause=0.05
        )
        os.kill(served.process.pid, signal.SIGSTOP)
        served.kill_runs()
        served.stop(signal.SIGKILL)
    assert server.read_flow_run(lost).state.is_running()
    state = until(lambda: ended(server, lost), "the lost run is called crashed", served.log)
    assert state.is_crashed() and state.message == "no heartbeat"
    served.start(score=ONCE_A_YEAR)
    # The lost night itself is done again, as of its own day.
    assert until(
        lambda: server.read_flow_run(lost).state.is_completed(), "it is repeated", served.log
    )
    assert served.ledger(f"flow_run_id = '{lost}'")[-1]["status"] == "published"
    run = ask_for(server, config="company.yaml")
    assert until(lambda: ended(server, run), "the next night ends", served.log).is_completed()


@pytest.mark.server
def test_killed_run_is_posted_and_repeated_once(served, server, monkeypatch):
    """As by the out-of-memory killer: the process of the run is killed, the runner goes on."""
    monkeypatch.chdir(served.folder)
    # Nights before the first published one are never missing.
    first = datetime.now(ZONE).date() - timedelta(days=4)
    score_night(load_project("company.yaml"), first.isoformat(), Runner())
    before = len(served.hooked.bodies)
    due = datetime.now(ZONE).replace(hour=5, minute=0, second=0, microsecond=0) - timedelta(days=2)
    with holding_in_another_process(served.folder / "workspace"):
        run = ask_for(server, due=due, config="company.yaml")
        until(lambda: server.read_flow_run(run).state.is_running(), "it runs", served.log)
        served.kill_runs()
        assert until(lambda: ended(server, run), "the run ends", served.log).is_crashed()
        body = until(lambda: served.hooked.bodies[before:], "the webhook is told", served.log)[0]
        assert body["state"] == "Crashed" and body["exit_code"] == 1
        night = due.date().isoformat()
        (warning,) = (line for line in served.status()[1]["warnings"] if night in line)
        assert "is missing (crashed)" in warning
    assert until(
        lambda: (state := server.read_flow_run(run).state).is_running() and state,
        "it is repeated",
        served.log,
        pause=0.05,
    )
    # Killed a second time it stays lost: a run that takes too much memory must not run for ever.
    os.kill(served.process.pid, signal.SIGSTOP)
    served.kill_runs()
    os.kill(served.process.pid, signal.SIGCONT)
    assert until(lambda: ended(server, run), "the run ends again", served.log).is_crashed()
    time.sleep(8)
    assert server.read_flow_run(run).state.is_crashed()
    code, told = served.status()
    assert code == 0 and [night in line for line in told["warnings"]] == [True]


@pytest.mark.server
def test_prefect_yaml_for_workers_is_accepted_by_a_server(server, prefect_server, tmp_path):
    root = Path(__file__).parents[3]
    variables = {"LEADSCORE_HOME": str(tmp_path), "LEADSCORE_CONFIG": "company.yaml"}

    def prefect(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=root,
            env=prefect_server | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "leadscore", "--type", "process")
    prefect("deploy", "--all", "--prefect-file", "docs/operations/prefect.yaml")
    for name, cron in (("train", "0 2 * * 0"), ("score", "0 5 * * *"), ("monitor", "0 7 * * *")):
        found = server.read_deployment_by_name(f"leadscore-{name}/acme")
        assert (
            found.entrypoint == f"pipelines.orchestration.flows.{name}_flow"
            and found.work_pool_name == "leadscore"
        )
        assert found.parameters == {"config": "company.yaml"}
        assert [(s.schedule.cron, s.schedule.timezone) for s in found.schedules] == [
            (cron, "Europe/Berlin")
        ]
        assert found.global_concurrency_limit.limit == 1
        assert found.concurrency_options.collision_strategy.value == "ENQUEUE"
        assert str(tmp_path) in json.dumps(found.pull_steps)
