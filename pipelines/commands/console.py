"""Standard error of a command: lines of progress, a live display on a terminal, timings."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from configs.errors import escape_controls
from features.progress.report import DONE, PROGRESS_LOG

if TYPE_CHECKING:  # a command pays only for the imports that it runs
    from rich.progress import Progress, TaskID

# Our packages, whose details --verbose shows.
PACKAGES = ("configs", "features", "models", "serve", "pipelines")
# Below this many columns a line of the display would only be cut.
MIN_COLUMNS = 30


@dataclass
class Console:
    """How much is printed on standard error, and the state of its display.

    Attributes:
        quiet: Say errors only.
        verbose: Also say what is read, and how long each step took.
        live: Show the step under way on a terminal.
        started: The clock when the command began, in seconds.
        latest: The clock at the latest line.
        display: The live display of a terminal, once there is work to show.
    """

    quiet: bool = False
    verbose: bool = False
    live: bool = True
    started: float = field(default_factory=time.monotonic)
    latest: float = field(default_factory=time.monotonic)
    display: LiveDisplay | None = None

    def write(self, line: str) -> None:
        """Write a line; a live display goes on below it."""
        line = escape_controls(line)
        if self.display:
            self.display.write(line)
            return
        # Not by typer.echo, which prints UTF-8 where the user asked for ASCII.
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def add_times(self, line: str) -> str:
        """Return a line behind the seconds since the start and since the latest line."""
        before, self.latest = self.latest, time.monotonic()
        return f"[{self.latest - self.started:7.2f} s +{self.latest - before:.2f}] {line}"


CONSOLE = Console()


class LiveDisplay:
    """The step under way on the last line of a terminal, with a bar where its size is known."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        text = TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        )
        # Of ASCII alone, since a terminal may have no other signs.
        self._progress: Progress = Progress(
            SpinnerColumn("line"),
            text,
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=RichConsole(stderr=True),
            transient=True,
            redirect_stdout=False,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None
        self._progress.start()

    def show(self, step: str, done: int | None = None, total: int | None = None) -> None:
        """Show a step, and how much of it is done."""
        step = escape_controls(step, keep="")
        if self._task is None:
            self._task = self._progress.add_task(step, total=total)
        # Without a total the bar only moves.
        self._progress.update(self._task, description=step, completed=done or 0, total=total)

    def write(self, line: str) -> None:
        """Write a line above the display, as it is."""
        # Unwrapped: a path that is broken into two lines cannot be opened.
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Remove the display from the terminal."""
        self._progress.stop()


class _DetailHandler(logging.Handler):
    """Shows progress on the live display, and details where the command is verbose."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        done = getattr(record, DONE, None)
        if done is not None:
            if CONSOLE.display:
                CONSOLE.display.show(record.getMessage(), *done)
        elif record.levelno < logging.WARNING:  # `logging` itself shows warnings
            log_line(record.getMessage())


def reset_console() -> None:
    """Begin a command: say the usual, and count its seconds from now."""
    stop_display()
    for package in PACKAGES:
        logging.getLogger(package).removeHandler(_HANDLER)
        logging.getLogger(package).setLevel(logging.NOTSET)
    logging.disable(logging.NOTSET)
    CONSOLE.quiet, CONSOLE.verbose, CONSOLE.live = False, False, True
    CONSOLE.started = CONSOLE.latest = time.monotonic()


def say_less() -> None:
    """Say errors only, as with --quiet."""
    CONSOLE.quiet = True
    logging.disable(logging.WARNING)


def say_more() -> None:
    """Also say what is read, and the seconds of each step, as with --verbose."""
    CONSOLE.verbose = True
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(_HANDLER)


def log_line(line: str) -> None:
    """Print one line of progress on standard error."""
    # Standard output holds the result alone, so that scripts can parse it with --json.
    if CONSOLE.quiet:
        return
    CONSOLE.write(CONSOLE.add_times(line) if CONSOLE.verbose else line)
    if CONSOLE.display:
        CONSOLE.display.show(line)


def log_always(line: str) -> None:
    """Print a result, a failure or what a person must do on standard error, with --quiet too."""
    CONSOLE.write(line)


def start_display() -> None:
    """Show the step under way on the last line of a terminal, until the result is printed."""
    if CONSOLE.live and CONSOLE.display is None and not CONSOLE.quiet and _is_terminal():
        CONSOLE.display = LiveDisplay()
        PROGRESS_LOG.setLevel(logging.DEBUG)
        PROGRESS_LOG.propagate = False
        PROGRESS_LOG.addHandler(_HANDLER)


def stop_display() -> None:
    """Remove the live display, as before a result or an error."""
    display, CONSOLE.display = CONSOLE.display, None
    if display is not None:
        display.stop()
        PROGRESS_LOG.setLevel(logging.NOTSET)
        PROGRESS_LOG.propagate = True
        PROGRESS_LOG.removeHandler(_HANDLER)


def _is_terminal() -> bool:
    """Return whether a person watches a terminal that can redraw its last line."""
    if (os.environ.get("TERM") or "dumb") in ("dumb", "unknown") or os.environ.get("CI"):
        return False
    try:
        return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > (
            MIN_COLUMNS
        )
    except (OSError, ValueError):
        return False


_HANDLER = _DetailHandler()
