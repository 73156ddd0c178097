"""How long a win takes, and how far a report of the deals won so far is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models.funnel.history import ALL
from serve.page.content.charts import AXIS_SHARE, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    get_tables,
    order_axis,
    write_days,
    write_range,
)

NAME = "funnel_cycle"
SHARES, DAYS = (25, 50, 80), (30, 60, 90)


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
    return Section(
        NAME,
        GROUP,
        title,
        f"{_describe_median(words, every)} {_describe_bias(words, every)}".rstrip(),
        [*_quote_wins(words, every)],
        [_draw_shares(words, every), *_draw_segments(words, rows)],
        [_list_times(words, rows), _list_shares(words, rows)],
        [words.text(NAME, key) for key in ("of_the_won", "bias", "losses")],
    )


def _describe_median(words: PageWords, row: Row) -> str:
    values = {end: write_days(words, row[f"p50_{end}"]) for end in ("low", "high")}
    return words.text(NAME, "half", days=write_days(words, row["p50"]), **values)


def _describe_bias(words: PageWords, row: Row) -> str:
    """Return what a report of the deals won so far says instead; empty without any."""
    bias = row["bias_of_naive"]
    if bias is None:
        return ""
    key = "too_short" if bias < 0 else "not_too_short"
    naive = write_days(words, row["p50"] * (1 + bias))
    return words.text(NAME, key, days=naive, share=words.percent(abs(bias), 0))


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


def _draw_segments(words: PageWords, rows: list[Row]) -> Iterator[Chart]:
    """Yield a chart of the days to a win of each segment with any; one row needs no chart."""
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
    across: dict[str, Any] = {"type": "quantitative", "title": words.text(NAME, "days_axis")}
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
    cells = [
        [_name_segment(words, row), *(write_days(words, row[f"p{share}"]) for share in SHARES)]
        for row in known
    ]
    headings = [words.text(NAME, key) for key in ("segment", *(f"p{share}" for share in SHARES))]
    caption = words.text(NAME, "quantiles_caption")
    table = Table(caption, headings, cells, frozenset({1, 2, 3}))
    summary = "; ".join(f"{cell[0]}: {cell[2]}" for cell in cells)
    yield Chart(f"{NAME}-days", caption, f"{caption}. {summary}", spec, marks, table)


def _name_segment(words: PageWords, row: Row) -> str:
    if row["segment_by"] == ALL:
        return words.text(NAME, "all")
    return f"{row['segment_by']}: {row['segment']}"


def _list_times(words: PageWords, rows: list[Row]) -> Table:
    """Return the days to a win of each segment, and the error of a plain median."""
    keys = [f"p{share}" for share in SHARES]
    cells = [
        [
            _name_segment(words, row),
            *(write_range(words, row, name, write_days) for name in keys),
            _write_bias(words, row["bias_of_naive"]),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in ("segment", *keys, "bias_of_naive")]
    return Table(words.text(NAME, "times"), headings, cells, frozenset(range(1, len(headings))))


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


def _write_bias(words: PageWords, bias: float | None) -> str:
    if bias is None:
        return UNKNOWN
    sign = "−" if bias < 0 else "+"
    return f"{sign}{words.percent(abs(bias), 0)}"
