"""The chart of credit: how far seven rules differ for the same customers of each channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from models.channels.credits import METHODS
from serve.page.content.charts import BAR_HEIGHT
from serve.page.content.parts import Chart, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import Row

NAME = "channels"
# Of the rules, in their order; shapes differ too, for those who do not see the colours.
COLOURS = (
    "var(--series-1)",
    "var(--series-2)",
    "var(--series-3)",
    "var(--series-4)",
    "var(--warn)",
    "var(--bad)",
    "var(--ink)",
)
SHAPES = ("triangle-left", "triangle-right", "square", "diamond", "cross", "triangle-up", "circle")
ROW_HEIGHT = BAR_HEIGHT + 4
MARK_SIZE = 70


def draw_credits(words: PageWords, total: Row, rows: Sequence[Row]) -> Iterator[Chart]:
    """Yield the chart of the channels with credit; none where nobody became a customer.

    ``total`` is the row of all channels, and ``rows`` are those of single ones.
    """
    credited = [row for row in rows if row["first_credit"] is not None]
    if not credited or not total["customers"]:
        return
    credits = {row["channel"]: [row[f"{name}_credit"] for name in METHODS] for row in credited}
    names = [words.text(NAME, name) for name in METHODS]
    marks = [
        {"channel": channel, "rule": name, "credit": value}
        for channel, values in credits.items()
        for name, value in zip(names, values, strict=True)
    ]
    caption = words.text(NAME, "credit_caption", customers=words.number(total["customers"]))
    summary = "; ".join(
        words.text(
            NAME,
            "credit_summary",
            channel=channel,
            low=words.number(min(values)),
            high=words.number(max(values)),
        )
        for channel, values in credits.items()
    )
    spec = _build_credit_spec(words, [*credits], names)
    cells = [[channel, *(words.number(v) for v in values)] for channel, values in credits.items()]
    headings = [words.text(NAME, "channel"), *names]
    table = Table(caption, headings, cells, frozenset(range(1, len(headings))))
    yield Chart(f"{NAME}-credits", caption, f"{caption}. {summary}", spec, marks, table)


def _build_credit_spec(
    words: PageWords, channels: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    """Return a bar from the least to the most credit of each channel, with a mark of each rule."""
    across = {
        "field": "credit",
        "type": "quantitative",
        "title": words.text(NAME, "credit_axis"),
        "axis": {"tickCount": 6, "format": ",d"},
    }
    y = {
        "field": "channel",
        "type": "nominal",
        "title": None,
        "sort": [*channels],
        "axis": {"labelOverlap": False},
    }
    coloured = {"domain": [*names], "range": [*COLOURS]}
    shaped = {"domain": [*names], "range": [*SHAPES]}
    common = {"field": "rule", "type": "nominal", "title": None, "legend": {"columns": 4}}
    return {
        "height": ROW_HEIGHT * len(channels),
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--line)", "strokeWidth": 6},
                "encoding": {
                    "x": across | {"aggregate": "min"},
                    "x2": {"field": "credit", "aggregate": "max"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 1, "size": MARK_SIZE},
                "encoding": {
                    "x": across,
                    "color": common | {"scale": coloured},
                    "shape": common | {"scale": shaped},
                },
            },
        ],
    }
