"""Vega-Lite specifications of one lead; the page's script gives them the rows of a lead."""

from __future__ import annotations

from math import log
from typing import Any

from serve.page.content.charts import AXIS_DAY
from serve.page.content.words import PageWords

NAME = "one_lead"
# Pixels of a bar of the waterfall with its text above.
STEP_HEIGHT = 42
# Probabilities that may stand at the axis, of which the browser shows those that fit.
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
COLOURS: dict[str, Any] = {
    "domain": ["typical", "for", "against", "rest", "lead"],
    "range": ["var(--soft)", "var(--good)", "var(--bad)", "var(--series-1)", "var(--ink)"],
}


def build_waterfall_spec(words: PageWords, *, adds_up: bool) -> dict[str, Any]:
    """Return the chart of the steps to a probability, with per cent at an axis of log-odds.

    Its height is STEP_HEIGHT for each step. Where the steps do not add up, the bars all begin at 0
    and the axis has no numbers.
    """
    ticks = [log(share / (1 - share)) for share in SHARES]
    share = "format(1 / (1 + exp(-datum.value)), '.2~%')"
    axis: dict[str, Any] = {"title": words.text(NAME, "waterfall_title"), "labelExpr": share}
    axis |= {"values": ticks, "labelOverlap": "greedy"}
    if not adds_up:
        axis = {"title": words.text(NAME, "waterfall_effect"), "labels": False, "ticks": False}
    step = {"field": "step", "type": "ordinal", "axis": None}
    x = {"field": "start", "type": "quantitative", "scale": {"zero": False}, "axis": axis}
    bar = {"y": step, "x": x, "x2": {"field": "end"}}
    colour = {"field": "kind", "type": "nominal", "scale": COLOURS, "legend": None}
    text = {"y": step, "x": {"value": 0}, "text": {"field": "label"}}
    text_mark = {"type": "text", "align": "left", "yOffset": -10, "limit": {"expr": "width"}}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar", "height": 12, "yOffset": 8},
         "encoding": {**bar, "color": colour, "tooltip": {"field": "sentence"}}},
        {"mark": text_mark, "encoding": text},
    ]  # fmt: skip
    if adds_up:
        # The ends have no length, so they are points.
        ends = [{"filter": "datum.kind === 'typical' || datum.kind === 'lead'"}]
        point = {"type": "point", "shape": "diamond", "size": 90, "opacity": 1, "yOffset": 8}
        encoding = {"y": step, "x": {**x, "field": "end"}, "color": colour}
        layers.append({"transform": ends, "mark": point, "encoding": encoding})
    return {"layer": layers}


def build_history_spec(words: PageWords, *, models: bool) -> dict[str, Any]:
    """Return the chart of a probability by night with its interval.

    ``models`` marks the nights from which another model scored; there must be one.
    """
    # A tick for each day, of which the browser labels those that fit.
    day = {
        "title": None,
        "tickCount": "day",
        "format": "%d %b",
        "grid": False,
        "labelFlush": False,
        "labelSeparation": 8,
    }
    time = {"field": "time", **AXIS_DAY, "axis": day}
    axis = {"title": words.text(NAME, "history_title"), "format": ".2~%"}
    y = {"field": "probability", "type": "quantitative", "axis": axis}
    titles = {name: words.text(NAME, name) for name in ("time", "probability", "score", "grade")}
    formats = {"time": {"type": "temporal", "format": "%Y-%m-%d"}, "probability": {"format": ".1%"}}
    tooltip = [{"field": name, "title": titles[name], **formats.get(name, {})} for name in titles]
    layers: list[dict[str, Any]] = [
        {"mark": "area", "encoding": {"x": time, "y": {**y, "field": "low"},
         "y2": {"field": "high"}}},
        {"mark": "line", "encoding": {"x": time, "y": y}},
        {"mark": "point", "encoding": {"x": time, "y": y, "tooltip": tooltip}},
    ]  # fmt: skip
    if models:
        changes = [{"filter": "datum.model !== null"}]
        rule = {"type": "rule", "strokeDash": [4, 3], "color": "var(--warn)"}
        text = {"type": "text", "align": "left", "dx": 4, "dy": 8, "color": "var(--warn)"}
        place = {"x": time, "y": {"value": 0}, "text": {"field": "model"}}
        layers.append({"transform": changes, "mark": rule, "encoding": {"x": time}})
        layers.append({"transform": changes, "mark": text, "encoding": place})
    return {"height": 180, "layer": layers}
