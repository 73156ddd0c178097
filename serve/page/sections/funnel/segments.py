"""How the segments differ: the share of each stage that moves on, next to that of all leads."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from models.funnel.history import ALL
from models.funnel.result import FunnelTables
from serve.page.content.parts import Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import UNKNOWN, Row, list_stages, name_state

NAME = "funnel_losses"
# Before a share whose interval lies above, or below, the share of all leads.
ABOVE, BELOW = "▲", "▼"


def compare_segments(words: PageWords, tables: FunnelTables) -> Iterator[Table]:
    """Yield a table for each column that divides the leads: its segments, and their stages."""
    stages = list_stages(tables)
    headings = [words.text(NAME, "segment"), *(name_state(words, row["stage"]) for row in stages)]
    for column in pc.unique(tables.funnel["segment_by"]).to_pylist():
        if column == ALL:
            continue
        rows = tables.funnel.filter(pc.equal(tables.funnel["segment_by"], column)).to_pylist()
        by_stage = {(row["segment"], row["stage"]): row for row in rows}
        segments = dict.fromkeys(row["segment"] for row in rows)
        cells = [
            [
                name,
                *(_write_share(words, by_stage.get((name, row["stage"])), row) for row in stages),
            ]
            for name in segments
        ]
        whole = [words.percent(row["advanced_30d"]) for row in stages]
        cells.insert(0, [words.text(NAME, "all_leads"), *whole])
        caption = words.text(NAME, "by_segment", column=column)
        yield Table(caption, headings, cells, frozenset(range(1, len(headings))), folded=True)


def _write_share(words: PageWords, row: Row | None, every: Row) -> str:
    """Return the share of a segment, marked where it differs from all leads beyond chance."""
    if row is None or row["advanced_30d"] is None:
        return UNKNOWN
    share = words.percent(row["advanced_30d"])
    if row["advanced_30d_low"] > every["advanced_30d"]:
        return f"{ABOVE} {share}"
    return f"{BELOW} {share}" if row["advanced_30d_high"] < every["advanced_30d"] else share
