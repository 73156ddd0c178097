"""The forecast by period and by segment, such as by sales person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from configs.goals.goals import ALL, MISSING, OTHER
from features.wording.language import humanize_name
from models.forecast.result import ForecastResult
from models.forecast.safe_goal import SAFE_CHANCE
from serve.page.content.parts import Table
from serve.page.content.words import PageWords
from serve.page.sections.forecast.bars import PARTS
from serve.page.sections.forecast.texts import (
    NAME,
    name_period,
    write_chance,
    write_distance,
    write_plain,
    write_total,
)
from serve.page.sections.funnel.texts import UNKNOWN, Row

_COLUMNS = (*PARTS, "total", "goal", "chance_column", "gap_column", "needed")


def tabulate_segments(words: PageWords, result: ForecastResult, headline: Row) -> Iterator[Table]:
    """Yield the current period by segment, if there are any."""
    rows = result.select_segments(headline)
    if result.by is None or len(rows) < 2:
        return
    by, period = humanize_name(result.by), name_period(words, headline)
    caption = words.text(NAME, "segments", column=by, period=period)
    cells = [[name_segment(words, row["segment"]), *_write_row(words, row)] for row in rows]
    yield _make_table(words, caption, [by], cells)


def tabulate_units(words: PageWords, result: ForecastResult) -> Table:
    """Return all periods of all leads, as wins and as amounts."""
    cells = [
        [name_period(words, row), words.text(NAME, f"unit_{row['unit']}"), *_write_row(words, row)]
        for row in result.forecast.to_pylist()
        if row["segment"] == ALL
    ]
    headings = [words.text(NAME, key) for key in ("period", "unit")]
    return _make_table(words, words.text(NAME, "periods"), headings, cells, folded=True)


def name_segment(words: PageWords, segment: str) -> str:
    """Return a segment of the forecast in words."""
    names = {ALL: "all", OTHER: "other", MISSING: "none"}
    return words.text(NAME, names[segment]) if segment in names else segment.strip('"')


def _write_row(words: PageWords, row: Row) -> list[str]:
    unit, needed = row["unit"], row["safe_wins"]
    parts = (row["won"], row["from_open_mean"], row["from_new_mean"])
    return [
        *(write_plain(words, value, unit) for value in parts),
        write_total(words, row),
        write_plain(words, row["goal"], unit),
        write_chance(words, row["p_goal"]),
        write_distance(words, row),
        UNKNOWN if needed is None else words.number(math.ceil(needed)),
    ]


def _make_table(
    words: PageWords,
    caption: str,
    first: Sequence[str],
    cells: list[list[str]],
    folded: bool = False,
) -> Table:
    safe = {"chance": words.percent(SAFE_CHANCE, 0)}
    headings = [*first, *(words.text(NAME, key, **safe) for key in _COLUMNS)]
    numeric = frozenset(range(len(first), len(headings)))
    # Its columns are too many for a line of a phone, which shows each of them in a line.
    return Table(caption, headings, cells, numeric, folded=folded)
