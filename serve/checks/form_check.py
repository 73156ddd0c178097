"""Check of the form in which sources are written: a form that was found must not change unseen.

A column whose dates were read day-first, and are now read month-first, has other values; so has a
file in another encoding. A form that the config gives may change with the config.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import SourceCount
from features.readings.source_form import FormEntry, group_entries, join_values
from features.tools.instants import format_iso
from serve.checks.checks import CheckResult

FORM_CHECK = "form"
# The lines above and below the rows may be more or fewer each night.
UNCHECKED_KEYS = ("skip_above", "skip_below")


def check_form(count: SourceCount, earlier: pa.Table) -> Iterator[CheckResult]:
    """Yield a check of each part of a source's form, with its value as the message.

    ``earlier`` holds SCORE_CHECKS of earlier published nights. A part that was found and has
    another value than in the newest night with one stops the run. Where nothing in the source
    depends on a part, it has no check.
    """
    for key, column, entries in group_entries(count.form):
        if key in UNCHECKED_KEYS or all(entry.origin == "open" for entry in entries):
            continue
        subject = " ".join(part for part in (count.source, key, column) if part)
        value, before = join_values(entries), _find_newest(earlier, subject)
        if before is None or before[0] == value or entries[0].origin == "config":
            yield CheckResult(FORM_CHECK, "", subject, None, None, None, "pass", value)
        else:
            text = _describe_change(entries, value, *before)
            yield CheckResult(FORM_CHECK, "", subject, None, None, None, "stop", text)


def _find_newest(earlier: pa.Table, subject: str) -> tuple[str, str] | None:
    """Return the value of a subject in the newest of the earlier nights, and that as-of."""
    own = earlier.filter(
        pc.and_(pc.equal(earlier["check"], FORM_CHECK), pc.equal(earlier["subject"], subject))
    )
    if not len(own):
        return None
    newest = own.sort_by("as_of").slice(len(own) - 1).to_pylist()[0]
    return newest["message"], format_iso(newest["as_of"])


def _describe_change(entries: list[FormEntry], value: str, before: str, as_of: str) -> str:
    shown = next((f" ({entry.evidence})" for entry in entries if entry.evidence), "")
    return f"it is {value} now{shown}, and was {before} in the night of {as_of}"
