"""Whose each visit of the simulated company is at an as-of, by the story of its browser."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from features.contracts import INSTANT
from features.tools.instants import NEVER_US
from pipelines.simulated.visitors import Browser, name_browser

# Most leads of a browser in the demo's config; with one more it is nobody's.
MOST_LEADS = 2

# One row per visit and span of as-ofs ``(since, until]`` at which it is a lead's.
TRUE_VISITS = pa.schema(
    [
        pa.field("browser", pa.string()),
        pa.field("kind", pa.string()),
        # Place of the lead in its block.
        pa.field("lead", pa.int64()),
        pa.field("visited_at", INSTANT),
        pa.field("since", pa.int64()),
        pa.field("until", pa.int64()),
    ]
)


def list_true_visits(browsers: Sequence[Browser], number: int) -> pa.Table:
    """Return TRUE_VISITS of the browsers of a block; visits that are never a lead's have no row."""
    rows = [
        (name_browser(number, place), browser.kind, lead, time, since, until)
        for place, browser in enumerate(browsers)
        for time, known in browser.visits.tolist()
        for lead, since, until in _find_spans(browser, time, known)
        if since < until
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in TRUE_VISITS]
    types = [pa.int64() if field.type == INSTANT else field.type for field in TRUE_VISITS]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=TRUE_VISITS.names).cast(TRUE_VISITS)


def _find_spans(browser: Browser, time: int, known: int) -> list[tuple[int, int, int]]:
    """Return lead, since and until of each span in which a visit is a lead's."""
    if browser.kind in ("stranger", "never"):
        return []
    logins = browser.logins
    if browser.kind in ("own", "late"):
        return [(logins[0].lead, max(known, logins[0].at), NEVER_US)]
    if browser.kind == "wrong":
        wrong, right = logins
        return [
            (wrong.lead, max(known, wrong.at), wrong.corrected),
            (right.lead, max(known, right.at), NEVER_US),
        ]
    # Of several people on a browser it is who logged in last before the visit, or else the first.
    begun = [login for login in logins if login.at <= time]
    owner = begun[-1] if begun else logins[0]
    crowded = logins[MOST_LEADS].at if len(logins) > MOST_LEADS else NEVER_US
    return [(owner.lead, max(known, owner.at), crowded)]
