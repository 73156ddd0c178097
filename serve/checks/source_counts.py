"""Row counts of the sources, stored with the checks of a night.

They judge nothing, so they always pass. With them the table has the use of every row that was read:
rows_in = rows_used + rows_not_yet + rows_suppressed + all that are quarantined.
"""

from __future__ import annotations

from collections.abc import Iterator

from features.contracts import SourceCount
from serve.checks.checks import CheckResult

ROWS_IN, ROWS_USED = "rows_in", "rows_used"
ROWS_NOT_YET, ROWS_SUPPRESSED = "rows_not_yet", "rows_suppressed"
# Its subject is the source and the reason; a reason without rows has no result.
QUARANTINED = "quarantined"
COUNT_CHECKS = (ROWS_IN, ROWS_USED, ROWS_NOT_YET, ROWS_SUPPRESSED, QUARANTINED)


def record_counts(count: SourceCount) -> Iterator[CheckResult]:
    """Yield the row counts of a source as results that pass."""
    numbers = {
        ROWS_IN: count.rows_in,
        ROWS_USED: count.used,
        ROWS_NOT_YET: count.skipped,
        ROWS_SUPPRESSED: count.suppressed,
    }
    for check, rows in numbers.items():
        yield CheckResult(check, "", count.source, rows, None, None, "pass")
    for reason, rows in count.quarantined.items():
        if rows:
            subject = f"{count.source} {reason}"
            yield CheckResult(QUARANTINED, "", subject, rows, None, None, "pass")
