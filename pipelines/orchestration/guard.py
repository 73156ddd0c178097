"""Guard around a scheduled run: wait for the workspace, retry transient failures, stop in time.

Nobody watches a scheduled run. It must not fail because a training still holds the workspace or a
database restarts at that minute, and it must not hold the workspace forever.
"""

from __future__ import annotations

import faulthandler
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from configs.durations import format_duration
from configs.errors import (
    GateRefused,
    LeadscoreError,
    NotFitToPublish,
    StateError,
    WorkspaceBusy,
)
from features.files.sqlite_file import describes_damage

Result = TypeVar("Result")

# Pauses before the second, third and fourth attempt: a network hiccup, a restart, a short outage.
RETRY_PAUSES_SECONDS = (60.0, 300.0, 900.0)
# Pause between two looks at a workspace that another run holds.
POLL_SECONDS = 15.0
# Time for a run to end by itself, and write into the ledger, after its limit.
GRACE_PERIOD = timedelta(minutes=2)
# Names that every Python database driver gives to a failed connection or server (PEP 249).
DATABASE_ERRORS = {"OperationalError", "InterfaceError"}
# Something else lies in the place of a file or a folder; it will still lie there in a minute.
LASTING_OS_ERRORS = (IsADirectoryError, NotADirectoryError, FileExistsError)


class TimeLimitExceeded(LeadscoreError):
    """A scheduled run took longer than its limit."""

    title = "stopped"


FINAL_ERRORS = (GateRefused, NotFitToPublish, StateError, WorkspaceBusy, TimeLimitExceeded)


def run_guarded(
    work: Callable[[], Result],
    limit: timedelta,
    log: Callable[[str], None],
    pauses: Sequence[float] = RETRY_PAUSES_SECONDS,
) -> Result:
    """Do the work of a scheduled run and return its result.

    It waits while another run holds the workspace, and retries transient failures after each of
    ``pauses`` (seconds). All of it together ends after ``limit``. Raises what the work raises,
    WorkspaceBusy if the workspace was never free, and TimeLimitExceeded.
    """
    with limit_time(limit):
        for pause in pauses:
            try:
                return _run_when_free(work, log)
            except Exception as error:
                if not is_transient(error):
                    raise
                log(f"{type(error).__name__}: retry in {pause:g} s: {error}")
            time.sleep(pause)
        return _run_when_free(work, log)


def is_transient(error: BaseException) -> bool:
    """Return whether a failure is one of input or output, which may be gone in a minute.

    Its chain of causes decides: a file, connection or database that failed, however the failure
    was reworded. Bad data, a wrong config and a refusal are final.
    """
    if isinstance(error, FINAL_ERRORS):
        return False
    chain = list(_iter_causes(error))
    # A database's driver reports damage as it reports a lost connection.
    if any(isinstance(link, LASTING_OS_ERRORS) or describes_damage(str(link)) for link in chain):
        return False
    return any(isinstance(link, OSError) or _is_database_error(link) for link in chain)


def _is_database_error(error: BaseException) -> bool:
    # A driver may have kinds of its own below those of the standard, as DuckDB has.
    return any(base.__name__ in DATABASE_ERRORS for base in type(error).__mro__)


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


@contextmanager
def limit_time(limit: timedelta) -> Iterator[None]:
    """Raise TimeLimitExceeded in the block after ``limit``; GRACE_PERIOD later, end the process.

    That end needs no Python: a run that hangs in compiled code is ended too, and the traceback of
    every thread is written to standard error. Use it only in the main thread of a process that
    does nothing else.
    """

    def stop(*_: object) -> None:
        raise TimeLimitExceeded(
            f"the run took longer than {format_duration(limit)}",
            where="schedule.limit",
            fix="see in the log at which step it was; raise the limit, or use fewer rows",
        )

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    faulthandler.dump_traceback_later((limit + GRACE_PERIOD).total_seconds(), exit=True, file=2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, previous)


def _run_when_free(work: Callable[[], Result], log: Callable[[str], None]) -> Result:
    """Do the work once no other run holds the workspace; log the first wait only."""
    logged = False
    while True:
        try:
            return work()
        except WorkspaceBusy as busy:
            if not logged:
                log(f"waiting: {busy}")
            logged = True
            _sleep_between_polls(busy)


def _sleep_between_polls(busy: WorkspaceBusy) -> None:
    """Sleep; at the time limit raise WorkspaceBusy, which names the run that holds it."""
    try:
        time.sleep(POLL_SECONDS)
    except TimeLimitExceeded:
        raise busy from None
