"""What stands around a scheduled run: it waits for its workspace, tries again what may pass, and is stopped in time.

Nobody watches such a run. So it must neither fail because a training still holds the workspace, nor because a
database restarts at that minute, nor hold the workspace for ever.
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
from configs.errors import GateRefused, LeadscoreError, NotFitToPublish, WorkspaceBusy

Result = TypeVar("Result")

RETRY_PAUSES_SECONDS = (60.0, 300.0, 900.0)
"""Seconds before the second, third and fourth attempt at what failed on input or output."""
POLL_SECONDS = 15.0
"""Seconds between two looks at a workspace that another run holds."""
GRACE_PERIOD = timedelta(minutes=2)
"""How long a run has to end by itself when its time is over."""
DATABASE_ERRORS = {"OperationalError", "InterfaceError"}
"""What every Python database driver calls a connection or a server that failed (PEP 249)."""


class TimeLimitExceeded(LeadscoreError):
    """A scheduled run took longer than it may."""

    title = "stopped"


FINAL_ERRORS = (GateRefused, NotFitToPublish, WorkspaceBusy, TimeLimitExceeded)


def run_guarded(
    work: Callable[[], Result],
    limit: timedelta,
    note: Callable[[str], None],
    pauses: Sequence[float] = RETRY_PAUSES_SECONDS,
) -> Result:
    """Do the work of a scheduled run and return what it returns.

    It waits while another run holds the workspace; what fails on input or output is done again after each of
    ``pauses`` (seconds). All of it together ends after ``limit``. Raises what the work raises, WorkspaceBusy if the
    workspace was never free, and OverTime.
    """
    with limit_time(limit):
        for pause in pauses:
            try:
                return _run_when_free(work, note)
            except Exception as error:
                if not is_transient(error):
                    raise
                note(f"{type(error).__name__}: again in {pause:g} s: {error}")
            time.sleep(pause)
        return _run_when_free(work, note)


def is_transient(error: BaseException) -> bool:
    """Say whether a failure is one of input or output, which may be gone in a minute.

    What counts is the cause: a file, connection or database that failed, in whatever words it reached us. Bad data, a
    wrong config and a refusal stay what they are.
    """
    if isinstance(error, FINAL_ERRORS):
        return False
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) or type(link).__name__ in DATABASE_ERRORS:
            return True
        link = link.__cause__ or link.__context__
    return False


@contextmanager
def limit_time(limit: timedelta) -> Iterator[None]:
    """Stop the block after ``limit``: by raising OverTime in it, and GRACE later by ending the process.

    The end needs no Python: a run that hangs in compiled code is ended too, and every thread's place is written to
    standard error. Only in the main thread of a process that does nothing else.
    """

    def stop(*_: object) -> None:
        raise TimeLimitExceeded(
            f"the run took longer than {format_duration(limit)}",
            where="schedule.limit",
            fix="look in the log at which step it stood; give it more time, or fewer rows",
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    faulthandler.dump_traceback_later((limit + GRACE_PERIOD).total_seconds(), exit=True, file=2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _run_when_free(work: Callable[[], Result], note: Callable[[str], None]) -> Result:
    """Do the work as soon as no other run holds the workspace."""
    told = False
    while True:
        try:
            return work()
        except WorkspaceBusy as busy:
            if not told:
                note(f"waiting: {busy}")
            told = True
            _sleep_between_polls(busy)


def _sleep_between_polls(busy: WorkspaceBusy) -> None:
    try:
        time.sleep(POLL_SECONDS)
    except TimeLimitExceeded:
        raise busy from None
