"""Progress of long work, as records of the logger of this module."""

from __future__ import annotations

import logging

PROGRESS_LOG = logging.getLogger(__name__)
# Attribute of a log record: what is done and its total, None where the total is unknown.
DONE = "leadscore_done"


def report_progress(step: str, done: int, total: int | None = None) -> None:
    """Report how much of a step is done; it costs about a microsecond where nobody listens."""
    PROGRESS_LOG.debug("%s", step, extra={DONE: (done, total)})
