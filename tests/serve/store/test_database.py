import logging
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import adbc_driver_manager as adbc
import pytest

from configs.errors import DataError, LeadscoreError, StateError, WorkspaceBusy
from serve.store import database as database_module
from serve.store.database import Database
from serve.store.session import Session
from serve.store.store import Store
from tests.postgresql import postgresql
from tests.serve.samples import (
    LATER,
    MONDAY,
    TUESDAY,
    a_run,
    ask,
    clean,
    publish,
    some_checks,
    some_scores,
)


@pytest.fixture
def server():
    """Run a server that a test may stop."""
    with postgresql() as server:
        yield server


def later(seconds, work):
    """Run work in the background after some seconds."""
    timer = threading.Timer(seconds, work)
    timer.start()
    return timer


def losing(monkeypatch, when):
    """Lose the connection once, before or after the commit of a transaction."""
    attempt, lost = Database._attempt, []

    def cut(self, work, writes, is_retry):
        if not writes or lost:
            return attempt(self, work, writes, is_retry)
        lost.append(when)
        if when == "after":
            attempt(self, work, writes, is_retry)
        raise adbc.OperationalError("connection lost", status_code=adbc.AdbcStatusCode.IO)

    monkeypatch.setattr(Database, "_attempt", cut)


@pytest.mark.parametrize("when", ["before", "after"])
def test_commit_with_lost_answer_is_recognised(store, monkeypatch, when):
    run = a_run(targets=("close", "propensity"))
    with monkeypatch.context() as patch:
        losing(patch, when)
        store.start(run)
    with monkeypatch.context() as patch:
        losing(patch, when)
        store.publish(some_scores(run), "r1", LATER, checks=some_checks(run))
    assert store.scores("acme").equals(some_scores(run))
    assert store.past_checks("acme", LATER).equals(some_checks(run))
    assert store.runs("acme")["status"].to_pylist() == ["published"] * 2
    store.start(a_run("r2", TUESDAY))
    with monkeypatch.context() as patch:
        losing(patch, when)
        store.finish("r2", "refused", "stale", LATER, some_checks(a_run("r2", TUESDAY)))
    assert store.runs("acme")["status"].to_pylist()[2:] == ["refused"]


def test_lost_answer_does_not_allow_second_publication(store, monkeypatch):
    publish(store, a_run())
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="not in status started"):
        losing(patch, "before")
        store.finish("r1", "failed", "late", LATER)
    with pytest.raises(ValueError, match="not in status started"):
        store.publish(some_scores(a_run()), "r1", LATER)


def test_permanent_errors_are_not_retried(store, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    publish(store, a_run("r1"))
    store.start(a_run("r2"))
    with pytest.raises(DataError):
        store.publish(some_scores(a_run("r2"), ids=["a", "a"]), "r2", LATER)
    with pytest.raises(LeadscoreError, match=r"syntax(.|\n)*fix: check that"):
        store._database.run(lambda session: session.execute("SELEC 1"))


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path):
    """Lock a SQLite file by another process while the block runs."""
    command = [sys.executable, "-c", LOCKER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("serve.store.database.PRAGMAS", ("PRAGMA busy_timeout = 10",))


def test_locked_sqlite_file_is_retried(tmp_path, impatient, caplog):
    path = tmp_path / "scores.db"
    store = Store(path)
    publish(store, a_run("r1"))
    store.start(a_run("r2", TUESDAY))
    with locked(path) as writer, caplog.at_level(logging.WARNING):
        assert Store(path).scores("acme").num_rows == 3  # a reader does not wait
        assert not caplog.records
        timer = later(1.0, writer.stdin.close)
        store.publish(some_scores(a_run("r2", TUESDAY)), "r2", LATER)
        timer.join()
    assert [record.message.count("database is locked") for record in caplog.records] == [1]
    assert store.scores("acme")["run_id"].to_pylist() == ["r2"] * 3


def test_retries_end_after_limit(tmp_path, impatient):
    store = Store(tmp_path / "scores.db", retry_seconds=0.3)
    with (
        locked(tmp_path / "scores.db"),
        pytest.raises(
            LeadscoreError, match=r"database failed.*locked(.|\n)*fix: check that it runs"
        ),
    ):
        store.start(a_run())
    assert store.runs("acme").num_rows == 0


@pytest.mark.server
def test_temporarily_stopped_server_is_retried(server, caplog):
    store = Store(server.url)
    publish(store, a_run("r1"))
    with caplog.at_level(logging.WARNING):
        for number, work in enumerate(
            [
                lambda: Store(server.url),
                lambda: store.scores("acme"),
                lambda: store.start(a_run("r2", TUESDAY)),
                lambda: store.publish(some_scores(a_run("r2", TUESDAY)), "r2", LATER),
            ],
            1,
        ):
            server.stop()
            timer = later(1.0, server.start)
            work()
            timer.join()
            assert len(caplog.records) == number
    assert "s3cret" not in caplog.text
    assert store.scores("acme").equals(some_scores(a_run("r2", TUESDAY)))


@pytest.mark.server
def test_server_stopped_during_publication_is_retried(server, monkeypatch):
    store = Store(server.url)
    publish(store, a_run("r1"))
    append, stopped = Session.append, []

    def stop_first(session, table, rows):
        append(session, table, rows)
        if table.name == "scores" and not stopped:
            stopped.append(server.stop())
            stopped.append(later(1.0, server.start))

    monkeypatch.setattr(Session, "append", stop_first)
    publish(store, a_run("r2"))
    stopped[1].join()
    assert store.scores("acme")["run_id"].to_pylist() == ["r2"] * 3
    assert store.runs("acme")["status"].to_pylist() == ["published"] * 2


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1_000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("patience", [0.5, 120.0])
def test_database_that_is_gone_takes_its_patience_once(tmp_path, monkeypatch, patience):
    """A night meets it in the publication, and again when it records the failure."""
    store, run, clock = Store(tmp_path / "scores.db", patience), a_run(), Clock()
    store.start(run)

    def lose(*_, **__):
        raise adbc.OperationalError("connection lost", status_code=adbc.AdbcStatusCode.IO)

    with monkeypatch.context() as patch:
        patch.setattr(database_module, "time", clock)
        patch.setattr(Database, "_attempt", lose)
        for work in (
            lambda: store.publish(some_scores(run), "r1", LATER),
            lambda: store.finish("r1", "failed", "gone", LATER),
            lambda: store.runs("acme"),
        ):
            with pytest.raises(LeadscoreError, match="the scores database failed"):
                work()
    assert clock.now - 1_000 == pytest.approx(patience, rel=0.1)
    # Once it answers, the next outage has its own patience.
    store.finish("r1", "failed", "gone", LATER)
    with monkeypatch.context() as patch:
        patch.setattr(database_module, "time", clock)
        patch.setattr(Database, "_attempt", lose)
        with pytest.raises(LeadscoreError):
            store.runs("acme")
    assert clock.now - 1_000 == pytest.approx(2 * patience, rel=0.1)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Failed to step query: database disk image is malformed", "IO"),
        ("Failed to prepare query: file is not a database", "INVALID_ARGUMENT"),
    ],
)
def test_damaged_file_is_named_and_not_retried(tmp_path, monkeypatch, message, status):
    store = Store(tmp_path / "scores.db")

    def meet_damage(*_, **__):
        raise adbc.OperationalError(message, status_code=adbc.AdbcStatusCode[status])

    monkeypatch.setattr(database_module.time, "sleep", pytest.fail)
    monkeypatch.setattr(Database, "_attempt", meet_damage)
    with pytest.raises(StateError, match=r"is damaged(.|\n)*fix: restore.*\.recover"):
        store.runs("acme")


def test_cut_file_is_damaged_and_a_whole_one_is_not(tmp_path):
    path = tmp_path / "scores.db"
    publish(Store(path), a_run())
    # So that the last page holds rows, and not the names of tables, without which no file opens.
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(50000) AS bytes")
    connection.close()
    assert Database(path).find_damage() == Database(path).find_damage(thorough=True) == ""
    # SQLite itself does not notice that a part of the last page is gone.
    path.write_bytes(path.read_bytes()[:-1_000])
    assert Database(path, read_only=True).find_damage()
    with pytest.raises(StateError, match="the scores database is damaged"):
        Store(path).require_sound_file()
    Store(path).require_sound_file(max_bytes=10)


def test_reading_alone_changes_nothing(tmp_path):
    path = tmp_path / "scores.db"
    publish(Store(path), a_run())

    def entries():
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}

    before = entries()
    database = Database(path, read_only=True)
    database.run(lambda session: session.execute("SELECT 1"), writes=False)
    assert entries() == before
    with pytest.raises(LeadscoreError, match="readonly"):
        database.run(lambda session: session.execute("DELETE FROM scores"), writes=False)


@pytest.mark.server
def test_server_that_stays_down_is_an_error_without_password(server):
    store = Store(server.url, retry_seconds=0.5)
    server.stop()
    with pytest.raises(
        LeadscoreError, match=r"scores database failed.*(?i:refused)(.|\n)*fix: check that it runs"
    ) as caught:
        store.runs("acme")
    assert "s3cret" not in str(caught.value)


@pytest.mark.server
@pytest.mark.parametrize(("part", "wrong"), [("s3cret%2Fword", "guess"), ("/postgres", "/nowhere")])
def test_wrong_address_fails_without_retry(postgresql_url, monkeypatch, part, wrong):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(LeadscoreError, match="scores database failed"):
        Store(postgresql_url[::-1].replace(part[::-1], wrong[::-1], 1)[::-1])


def test_project_is_held_by_one_store(url):
    with Store(url).hold("acme") as first:
        publish(first, a_run("r1"))
        with pytest.raises(WorkspaceBusy, match=r"(leadscore on|pid) "), Store(url).hold("acme"):
            pass
        with Store(url).hold("zeta") as other:
            publish(other, a_run("r2", project="zeta"))
    with Store(url).hold("acme"):
        pass


@pytest.mark.server
def test_held_project_survives_server_restart(server):
    store = Store(server.url)
    with store.hold("acme"):
        store.start(a_run())
        server.stop()
        server.start()
        store.publish(some_scores(a_run()), "r1", LATER)
        with pytest.raises(WorkspaceBusy), Store(server.url).hold("acme"):
            pass
    with Store(server.url).hold("acme"):
        assert store.scores("acme").num_rows == 3


def cut_lock(url):
    """Terminate the connection that holds a project, as an idle timeout or a firewall would."""
    ask(url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")


@pytest.mark.server
def test_lock_lost_to_other_run_blocks_publication(postgresql_url):
    clean(postgresql_url)
    store = Store(postgresql_url, retry_seconds=0.5)
    with store.hold("acme"):
        store.start(a_run())
        cut_lock(postgresql_url)
        with (
            Store(postgresql_url).hold("acme"),
            pytest.raises(WorkspaceBusy, match="another run holds this project"),
        ):
            store.publish(some_scores(a_run()), "r1", LATER)
    assert store.scores("acme").num_rows == 0


def test_abandoned_run_cannot_publish(store):
    store.start(a_run())
    store.abandon_started_runs("acme", LATER)
    publish(store, a_run("r2"))
    with pytest.raises(WorkspaceBusy, match="took the project over"):
        store.publish(some_scores(a_run()), "r1", LATER)
    with pytest.raises(WorkspaceBusy, match="took the project over"):
        store.finish("r1", "failed", "because", LATER)
    assert store.scores("acme")["run_id"].to_pylist() == ["r2"] * 3


def test_delete_scores_before_keeps_latest_as_of_per_target(store):
    nights = [MONDAY + timedelta(days=i) for i in range(4)]
    for i, as_of in enumerate(nights):
        run = a_run(f"r{i}", as_of, targets=("close", "propensity") if i < 2 else ("close",))
        publish(store, run, checks=some_checks(run))
    publish(
        store,
        a_run("z", MONDAY, project="zeta"),
        checks=some_checks(a_run("z", MONDAY, project="zeta")),
    )
    publish(store, a_run("z2", TUESDAY, project="zeta"))
    ledger = store.runs("acme")

    def left():
        rows = {
            (t, as_of)
            for as_of in nights
            for t in store.scores("acme", as_of)["target"].to_pylist()
        }
        return sorted(rows)

    assert store.delete_scores_before("acme", nights[2]) == 3
    expected = [("close", nights[2]), ("close", nights[3]), ("propensity", nights[1])]
    assert left() == expected
    assert sorted(set(store.past_checks("acme", LATER)["as_of"].to_pylist())) == nights[1:]
    assert store.delete_scores_before("acme", nights[2]) == 0
    assert store.delete_scores_before("acme", LATER) == 1
    assert left() == [expected[1], expected[2]]
    assert store.runs("acme").equals(ledger)
    assert store.scores("zeta", MONDAY).num_rows == 3
    assert store.past_checks("zeta", LATER).num_rows == 2
