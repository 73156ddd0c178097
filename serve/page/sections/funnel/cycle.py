"""How long a win takes, and how far a report of the deals won so far is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from configs.goals.goals import STAGE
from models.funnel.history import ALL
from serve.page.content.charts import AXIS_SHARE, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    Unit,
    choose_time_unit,
    get_tables,
    name_state,
    order_axis,
    write_days,
    write_length,
    write_range,
    write_time_range,
)

NAME = "funnel_cycle"
SHARES, DAYS = (25, 50, 80), (30, 60, 90)
# Of a value and its interval.
ENDS = ("", "_low", "_high")


def build_cycle(data: PageData) -> Section | None:
    """Return the section: days to a win by segment, and what is won and lost by when."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, rows = data.words, tables.cycle.to_pylist()
    every = next((row for row in rows if row["segment_by"] == ALL), None)
    title = words.text(NAME, "title")
    if every is None or every["p50"] is None:
        return Section(NAME, GROUP, title, words.text(NAME, "none_won"))
    by_stage = [row for row in rows if row["segment_by"] == STAGE]
    segments = [row for row in rows if row["segment_by"] != STAGE]
    return Section(
        NAME,
        GROUP,
        title,
        f"{_describe_median(words, every)} {_describe_bias(words, every)}".rstrip(),
        [*_quote_wins(words, every)],
        [
            *_draw_times(words, "stages", by_stage),
            _draw_shares(words, every),
            *_draw_times(words, "segments", segments),
        ],
        [
            *_list_times(words, "stages", by_stage),
            # The sentence has the row of all leads.
            *_list_times(words, "segments", segments if len(segments) > 1 else []),
            _list_shares(words, [*segments, *by_stage]),
        ],
        [words.text(NAME, key) for key in ("of_the_won", "bias", "losses")],
    )


def _describe_median(words: PageWords, row: Row) -> str:
    in_days = row["p50_low"] >= 1
    values = {
        end: words.number(row[f"p50_{end}"]) if in_days else write_days(words, row[f"p50_{end}"])
        for end in ("low", "high")
    }
    return words.text(NAME, "half", days=write_length(words, row["p50"]), **values)


def _describe_bias(words: PageWords, row: Row) -> str:
    """Return what a report of the leads won so far says instead; empty without any."""
    bias = row["bias_of_naive"]
    if bias is None:
        return ""
    key = "too_short" if bias < 0 else "not_too_short"
    naive = write_length(words, row["p50"] * (1 + bias))
    return words.text(NAME, key, days=naive, right=write_length(words, row["p50"]))


def _quote_wins(words: PageWords, row: Row) -> Iterator[Quote]:
    for days in DAYS:
        if row[f"win_by_{days}"] is None:
            continue
        ends = {end: words.percent(row[f"win_by_{days}_{end}"]) for end in ("low", "high")}
        yield Quote(
            words.text(NAME, "won_within", days=str(days)),
            words.percent(row[f"win_by_{days}"]),
            words.text(NAME, "interval", **ends),
        )


def _draw_shares(words: PageWords, row: Row) -> Chart:
    """Return the bars of the shares won and lost by 30, 60 and 90 days."""
    rows = [
        {
            "stage": words.text(NAME, "by_days", days=str(days)),
            "ending": words.text(NAME, ending),
            "share": row[f"{column}_by_{days}"],
        }
        for days in DAYS
        for ending, column in (("won", "win"), ("lost", "lost"))
        if row[f"{column}_by_{days}"] is not None
    ]
    colours = {
        "domain": [words.text(NAME, "won"), words.text(NAME, "lost")],
        "range": ["var(--good)", "var(--bad)"],
    }
    across: dict[str, Any] = {"field": "share", "title": words.text(NAME, "share_axis")}
    across |= {"type": "quantitative", **AXIS_SHARE}
    spec = {
        "height": 2 * BAR_HEIGHT * len(DAYS),
        "mark": "bar",
        "encoding": {
            "y": order_axis(bar["stage"] for bar in rows),
            "yOffset": {"field": "ending", "sort": colours["domain"]},
            "x": across,
            "color": {"field": "ending", "scale": colours, "title": None},
        },
    }
    cells = [[bar["stage"], bar["ending"], words.percent(bar["share"])] for bar in rows]
    headings = [words.text(NAME, key) for key in ("after", "ending", "share")]
    caption = words.text(NAME, "shares_caption")
    table = Table(caption, headings, cells, frozenset({2}))
    summary = "; ".join(f"{after}: {ending} {share}" for after, ending, share in cells)
    return Chart(f"{NAME}-shares", caption, f"{caption}. {summary}", spec, rows, table)


def _draw_times(words: PageWords, kind: str, rows: list[Row]) -> Iterator[Chart]:
    """Yield a chart of the days to a win of each row with any; one row needs no chart.

    ``kind`` is ``stages`` or ``segments``.
    """
    known = [row for row in rows if row["p50"] is not None]
    if len(known) < 2:
        return
    marks = [
        {
            "stage": _name_segment(words, row),
            **{f"p{share}": row[f"p{share}"] for share in SHARES},
        }
        for row in known
    ]
    across: dict[str, Any] = {"type": "quantitative", "title": words.text(NAME, f"{kind}_axis")}
    across |= {"scale": {"zero": True}, "axis": {"tickCount": 6}}
    spec = {
        "height": BAR_HEIGHT * len(marks) + 12,
        "encoding": {"y": order_axis(mark["stage"] for mark in marks)},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--series-1)", "strokeWidth": 5},
                "encoding": {"x": {"field": "p25", **across}, "x2": {"field": "p80"}},
            },
            {
                "mark": {"type": "point", "color": "var(--ink)", "size": 80},
                "encoding": {"x": {"field": "p50", **across}},
            },
        ],
    }
    unit = choose_time_unit(row[f"p{share}"] for row in known for share in SHARES)
    cells = [
        [_name_segment(words, row), *(write_days(words, row[f"p{s}"], unit) for s in SHARES)]
        for row in known
    ]
    keys = (_name_heading(kind), *(f"p{share}" for share in SHARES))
    headings = [words.text(NAME, key) for key in keys]
    caption = words.text(NAME, f"{kind}_caption")
    table = Table(caption, headings, cells, frozenset({1, 2, 3}))
    summary = "; ".join(f"{cell[0]}: {cell[2]}" for cell in cells)
    yield Chart(f"{NAME}-{kind}", caption, f"{caption}. {summary}", spec, marks, table)


def _name_heading(kind: str) -> str:
    return "from_stage" if kind == "stages" else "segment"


def _name_segment(words: PageWords, row: Row) -> str:
    if row["segment_by"] == ALL:
        return words.text(NAME, "all")
    if row["segment_by"] == STAGE:
        return name_state(words, row["segment"])
    return f"{row['segment_by']}: {row['segment']}"


def _list_times(words: PageWords, kind: str, rows: list[Row]) -> Iterator[Table]:
    """Yield the days to a win of each row, and what those won so far alone say."""
    if not rows:
        return
    keys = [f"p{share}" for share in SHARES]
    unit = choose_time_unit(row[f"{key}{end}"] for row in rows for key in keys for end in ENDS)
    cells = [
        [
            _name_segment(words, row),
            *(write_time_range(words, row, name, unit) for name in keys),
            _write_naive(words, row, unit),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in (_name_heading(kind), *keys, "naive")]
    numeric = frozenset(range(1, len(headings)))
    yield Table(words.text(NAME, f"{kind}_times"), headings, cells, numeric)


def _list_shares(words: PageWords, rows: list[Row]) -> Table:
    """Return what is won and lost of each segment by when."""
    wins, losses = ([f"{name}_by_{days}" for days in DAYS] for name in ("win", "lost"))
    cells = [
        [
            _name_segment(words, row),
            *(write_range(words, row, name) for name in wins),
            *(words.percent(row[name]) for name in losses),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in ("segment", *wins, *losses)]
    numeric = frozenset(range(1, len(headings)))
    return Table(words.text(NAME, "won_and_lost"), headings, cells, numeric, folded=True)


def _write_naive(words: PageWords, row: Row, unit: Unit | None) -> str:
    """Return the median of those won so far."""
    if row["bias_of_naive"] is None or row["p50"] is None:
        return UNKNOWN
    return write_days(words, row["p50"] * (1 + row["bias_of_naive"]), unit)
