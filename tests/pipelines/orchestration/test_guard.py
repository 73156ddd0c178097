"""A scheduled run waits, retries transient failures and no others, and is stopped in time."""

import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from configs.addresses.database import parse_database_address
from configs.errors import (
    ConfigError,
    DataError,
    GateRefused,
    LeadscoreError,
    NotFitToPublish,
    StateError,
    WorkspaceBusy,
)
from pipelines.orchestration import guard
from pipelines.orchestration.guard import TimeLimitExceeded, is_transient, run_guarded

HOUR = timedelta(hours=1)


def caused(error, cause):
    error.__cause__ = cause
    return error


def database_error(kind):
    return kind("select 1", {}, Exception("server closed the connection"))


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        ConnectionRefusedError(),
        TimeoutError(),
        database_error(sa.exc.OperationalError),
        database_error(sa.exc.InterfaceError),
        caused(
            LeadscoreError("the scores database failed"), database_error(sa.exc.OperationalError)
        ),
        caused(LeadscoreError("cannot write the export"), OSError(28, "No space left on device")),
        caused(DataError("cannot read the file"), OSError(5, "Input/output error")),
    ],
)
def test_input_output_failure_is_transient(error):
    assert is_transient(error)


def test_unreachable_source_database_is_transient():
    from features.intake.databases.query import read_query

    with pytest.raises(DataError) as away:
        address = parse_database_address("postgresql://u:p@127.0.0.1:1/none")
        read_query(address, "select 1", "leads")
    assert is_transient(away.value)


@pytest.mark.parametrize(
    "error",
    [
        DataError("too many bad rows"),
        ConfigError("unknown key"),
        NotFitToPublish("no target has a champion"),
        GateRefused("not better"),
        caused(NotFitToPublish("too few rows"), OSError()),
        caused(GateRefused("not better"), OSError()),
        WorkspaceBusy("another run holds this workspace"),
        TimeLimitExceeded("the run took longer"),
        database_error(sa.exc.ProgrammingError),
        StateError("the scores database is missing"),
        caused(StateError("the scores database is damaged"), OSError()),
        caused(
            DataError("cannot read the database"),
            sa.exc.OperationalError("", {}, Exception("database disk image is malformed")),
        ),
        caused(LeadscoreError("a file could not be written"), IsADirectoryError(21, "")),
        ValueError("a mistake of ours"),
        MemoryError(),
    ],
)
def test_other_failure_is_not_transient(error):
    assert not is_transient(error)


def work_that(*ends):
    """Return work that raises or returns its ends, one each time, and the list of the calls."""
    calls = []

    def work():
        end = ends[min(len(calls), len(ends) - 1)]
        calls.append(end)
        if isinstance(end, Exception):
            raise end
        return end

    return work, calls


def test_guard_retries_until_the_work_succeeds():
    work, calls = work_that(OSError("away"), OSError("away"), "done")
    notes = []
    assert run_guarded(work, HOUR, notes.append, pauses=(0, 0, 0)) == "done"
    assert len(calls) == 3 and len(notes) == 2


def test_guard_retries_once_a_pause():
    work, calls = work_that(OSError("away"))
    with pytest.raises(OSError, match="away"):
        run_guarded(work, HOUR, print, pauses=(0, 0))
    assert len(calls) == 3


@pytest.mark.parametrize(
    "error", [DataError("bad rows"), NotFitToPublish("too few"), ConfigError("wrong")]
)
def test_guard_does_not_retry_a_final_failure(error):
    work, calls = work_that(error)
    with pytest.raises(type(error)):
        run_guarded(work, HOUR, print, pauses=(0, 0))
    assert len(calls) == 1


def test_guard_waits_for_a_run_that_holds_the_workspace(tmp_path, monkeypatch):
    """The lock itself, held by another process for two seconds."""
    from serve.lock import lock_workspace

    monkeypatch.setattr(guard, "POLL_SECONDS", 0.1)
    code = "import sys,time;from pathlib import Path;from serve.lock import lock_workspace\n"
    code += "with lock_workspace(Path(sys.argv[1])):"
    code += "\n print('held',flush=True);time.sleep(2)"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    notes = []

    def work():
        with lock_workspace(tmp_path):
            return "done"

    assert run_guarded(work, HOUR, notes.append, pauses=()) == "done"
    assert len(notes) == 1 and "another run holds" in notes[0] and str(other.pid) in notes[0]
    assert other.wait() == 0


def test_guard_reports_a_workspace_that_is_never_free(monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)
    with pytest.raises(WorkspaceBusy):
        run_guarded(work_that(WorkspaceBusy("held"))[0], timedelta(seconds=0.4), print)


def test_run_beyond_its_limit_is_stopped_and_cleans_up():
    seen = []

    def work():
        try:
            time.sleep(30)
        finally:
            seen.append("tidied")

    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match="longer than"):
        run_guarded(work, timedelta(seconds=0.3), print)
    assert seen == ["tidied"] and time.monotonic() - begun < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_time_limit_ends_with_the_work():
    assert run_guarded(lambda: "done", timedelta(seconds=0.2), print) == "done"
    time.sleep(0.4)


def test_run_that_hangs_in_compiled_code_is_ended():
    """An endless loop in C, as compiled code can have one: no handler of ours would ever run."""
    code = (
        "import itertools\nfrom datetime import timedelta\n"
        "from pipelines.orchestration import guard\n"
        "guard.GRACE_PERIOD = timedelta(seconds=1)\n"
        "def work():\n  sum(itertools.repeat(1))\n"
        "guard.run_guarded(work, timedelta(seconds=1), print)\n"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "Timeout" in done.stderr and "in work" in done.stderr
    assert time.monotonic() - begun < 30
