"""Console output of flows that a person runs: our own progress, warnings and errors only."""

from __future__ import annotations

import logging
from typing import Any

from prefect.logging.handlers import PrefectConsoleHandler

from configs.errors import LeadscoreError, escape_controls

# Attributes of a log record: one of our progress lines; a failure that the command itself reports.
PROGRESS = "leadscore_progress"
REPORTED = "leadscore_reported"
RUN_LOGGERS = ("prefect.engine", "prefect.flow_runs", "prefect.task_runs")
# How Prefect 3.9 begins the lines on states of failed runs. The command prints the failure itself.
STATE_LINES = ("Finished in state", "Task run failed with state", "Flow run failed with state")


def log_progress(logger: Any, line: str) -> None:
    """Log one progress line; it is marked, so that a quiet console shows it."""
    logger.info(escape_controls(line), extra={PROGRESS: True})


def drop_expected_traceback(record: logging.LogRecord) -> bool:
    """Drop the traceback of an expected failure, or of none, from a record; keep the record."""
    kind = record.exc_info[0] if record.exc_info else None
    if kind is None or issubclass(kind, LeadscoreError):
        setattr(record, REPORTED, kind is not None)
        record.exc_info = None
    return True


def install_traceback_filter() -> None:
    """Drop tracebacks of expected failures from Prefect's own lines on runs.

    Prefect logs a failure with its traceback, even where a message says it all.
    """
    for name in RUN_LOGGERS:
        logging.getLogger(name).addFilter(drop_expected_traceback)


def quiet_console() -> None:
    """Show only progress lines, warnings and errors on the console, without names of runs.

    Prefect's lines on servers, runs and states still reach its API. A deployment's process does
    not call this, so that its log is complete.
    """
    # The root logger has Prefect's console handler, as Prefect's logging.yml configures it.
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.addFilter(is_for_a_person)
            handler.setFormatter(PlainFormatter())


def is_for_a_person(record: logging.LogRecord) -> bool:
    """Return whether a record is a progress line, or a warning or error not reported elsewhere."""
    if getattr(record, PROGRESS, False):
        return True
    if record.levelno < logging.WARNING or getattr(record, REPORTED, False):
        return False
    return bool(record.exc_info) or not record.getMessage().startswith(STATE_LINES)


class PlainFormatter(logging.Formatter):
    """Formats a progress line as it is, and any other record with its level."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text = super().format(record)
        return text if getattr(record, PROGRESS, False) else f"{record.levelname}: {text}"
