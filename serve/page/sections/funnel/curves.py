"""What becomes of the leads of each stage with time: curves of the shares that left it."""

from __future__ import annotations

from typing import Any

from models.funnel.curve_table import ENDINGS
from models.funnel.result import FunnelTables
from serve.page.content.charts import AXIS_SHARE
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    COLOURS,
    GROUP,
    LEGEND,
    Row,
    get_tables,
    list_stages,
    name_state,
    write_days,
)

NAME = "funnel_curves"
# More charts than these are not looked at.
MAX_STAGES = 8
# From this part of its visits on a stage is drawn, if they are lost, go back or wait.
MIN_PART = 0.02
HEIGHT = 150
# The charts end where this part of all that ever leave a stage has left it.
SHOWN_PART = 0.9
# Ages of the table, as parts of the charts' length.
TABLE_STEPS = 6


def build_curves(data: PageData) -> Section | None:
    """Return the section: a chart of each stage where leads are lost, go back or stay."""
    tables = get_tables(data)
    if tables is None or not tables.curves.num_rows:
        return None
    words = data.words
    curves = _choose_stages(tables, _group_points(tables))
    left_out = [row["stage"] for row in list_stages(tables) if row["stage"] not in curves]
    end = max(_find_end(points) for points in curves.values())
    notes = [words.text(NAME, "rest")]
    if left_out:
        names = ", ".join(name_state(words, name) for name in left_out)
        notes.append(words.text(NAME, "left_out", stages=names))
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        charts=[
            _draw_curve(words, f"{NAME}-{place}", stage, points, end)
            for place, (stage, points) in enumerate(curves.items())
        ],
        notes=notes,
    )


def find_shares(points: list[Row], age: float) -> dict[str, float]:
    """Return the share of each ending at an age, from the points of one stage."""
    reached = [point for point in points if point["age_days"] <= age]
    return {ending: reached[-1][ending] if reached else 0.0 for ending in ENDINGS}


def _group_points(tables: FunnelTables) -> dict[str, list[Row]]:
    curves: dict[str, list[Row]] = {}
    for point in tables.curves.to_pylist():
        curves.setdefault(point["stage"], []).append(point)
    return curves


def _choose_stages(tables: FunnelTables, curves: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Return the stages that most visits do not lead on from, in the order of the stages."""
    rows = [row for row in list_stages(tables) if row["stage"] in curves]
    kept = [row for row in rows if _count_rest(row) >= MIN_PART * row["entered"]] or rows
    names = {row["stage"] for row in sorted(kept, key=_count_rest, reverse=True)[:MAX_STAGES]}
    return {row["stage"]: curves[row["stage"]] for row in rows if row["stage"] in names}


def _count_rest(row: Row) -> int:
    """Return the visits to a stage that did not lead on."""
    return int(row["lost"] + row["returned"] + row["open"])


def _find_end(points: list[Row]) -> float:
    """Return the age by which most that ever leave the stage have left."""
    left = [sum(point[ending] for ending in ENDINGS) for point in points]
    enough = SHOWN_PART * left[-1]
    return next(
        float(point["age_days"])
        for point, share in zip(points, left, strict=True)
        if share >= enough
    )


def _draw_curve(words: PageWords, name: str, stage: str, points: list[Row], end: float) -> Chart:
    # A flat step up to the end of the chart; nothing before age 0.
    ages = [0.0, *(point["age_days"] for point in points if point["age_days"] <= end), end]
    places = [ending for ending in COLOURS if ending in ENDINGS]
    rows = [
        {"age": age, "ending": words.text(NAME, ending), "place": place, "share": share[ending]}
        for age in dict.fromkeys(ages)
        for share in [find_shares(points, age)]
        for place, ending in enumerate(places)
    ]
    return Chart(
        name,
        name_state(words, stage),
        _summarize_curve(words, stage, points, end),
        _build_spec(words, places),
        rows,
        _list_shares(words, stage, points, end),
    )


def _build_spec(words: PageWords, places: list[str]) -> dict[str, Any]:
    """Return the chart: areas on each other, a step at each age."""
    colours = {
        "domain": [words.text(NAME, ending) for ending in places],
        "range": [COLOURS[ending] for ending in places],
    }
    across = {"field": "age", "type": "quantitative", "title": words.text(NAME, "age")}
    up = {"field": "share", "type": "quantitative", "title": None, "stack": True}
    return {
        "height": HEIGHT,
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 1},
        "encoding": {
            "x": across | {"axis": {"tickCount": 6, "grid": False}, "scale": {"nice": False}},
            "y": up | {"scale": {"domain": [0, 1]}} | AXIS_SHARE,
            "color": {
                "field": "ending",
                "scale": colours,
                "title": None,
                "legend": LEGEND,
            },
            "order": {"field": "place"},
        },
    }


def _summarize_curve(words: PageWords, stage: str, points: list[Row], end: float) -> str:
    shares = find_shares(points, end)
    return words.text(
        NAME,
        "summary",
        stage=name_state(words, stage),
        age=write_days(words, end),
        **{name: words.percent(share) for name, share in shares.items()},
    )


def _list_shares(words: PageWords, stage: str, points: list[Row], end: float) -> Table:
    headings = [words.text(NAME, key) for key in ("after", *ENDINGS, "still_there")]
    rows = []
    for step in range(1, TABLE_STEPS + 1):
        age = end * step / TABLE_STEPS
        shares = find_shares(points, age)
        rest = 1 - sum(shares.values())
        cells = [words.percent(share) for share in (*shares.values(), max(rest, 0.0))]
        rows.append([write_days(words, age), *cells])
    caption = words.text(NAME, "caption", stage=name_state(words, stage))
    return Table(caption, headings, rows, frozenset(range(1, len(headings))))
