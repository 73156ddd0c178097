"""What working the best leads first brings: outcomes reached by share of leads worked."""

from __future__ import annotations

from models.evaluation.record import EvaluationRecord
from serve.page.content.charts import AXIS_SHARE
from serve.page.content.evaluated import Evaluated, format_recorded, list_absent, list_records
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.shown_leads import UNSELECTIVE_SHARE
from serve.page.content.words import PageWords

NAME = "capacity"
# The share of leads of which the outcomes are quoted: more than a team works of a large list, and
# few enough to need a good order.
QUOTED_SHARE = 0.2
# Points of the curve that the table lists; the chart has all.
LISTED_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def build_capacity(models: Evaluated) -> Section:
    """Return the section: the gain curve of each target, and the point at capacity."""
    words, records = models.words, list_records(models)
    return Section(
        NAME,
        "trust",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        [_quote_fifth(words, record) for record in records],
        [_draw_gain(words, record) for record in records],
        notes=[*(_describe_lift(words, record) for record in records), *list_absent(models)],
    )


def _quote_fifth(words: PageWords, record: EvaluationRecord) -> Quote:
    worked, reached = _find_point(record, QUOTED_SHARE)
    return Quote(
        words.text(NAME, "reached", target=record.target),
        words.percent(reached, 0),
        words.text(NAME, "of_leads", share=words.percent(worked, 0)),
    )


def _find_point(record: EvaluationRecord, share: float) -> tuple[float, float]:
    """Return the point of the curve that is nearest to a share of leads worked."""
    return min(_list_points(record), key=lambda point: abs(point[0] - share), default=(0.0, 0.0))


def _list_points(record: EvaluationRecord) -> list[tuple[float, float]]:
    return [(x, y) for x, y in record.gain if x is not None and y is not None]


def _describe_lift(words: PageWords, record: EvaluationRecord) -> str:
    worked, reached = record.gain_at_capacity
    capacity = (
        words.text(NAME, "tenth")
        if record.capacity is None
        else words.text(NAME, "best", count=words.number(record.capacity))
    )
    if worked is not None and worked >= UNSELECTIVE_SHARE:
        return words.text(
            NAME,
            "unselective",
            target=record.target,
            best=capacity,
            worked=words.percent(worked),
            reached=words.percent(reached),
        )
    return words.text(
        NAME,
        "lift",
        target=record.target,
        best=capacity,
        lift=format_recorded(words, record.metrics.get("lift_at_capacity"), 2),
        precision=format_recorded(words, record.metrics.get("precision_at_capacity"), 1, True),
    )


def _draw_gain(words: PageWords, record: EvaluationRecord) -> Chart:
    rows = [{"worked": worked, "reached": reached} for worked, reached in _list_points(record)]
    worked, reached = record.gain_at_capacity
    across = {"field": "worked", "type": "quantitative", "title": words.text(NAME, "worked")}
    up = {"field": "reached", "type": "quantitative", "title": words.text(NAME, "reached_head")}
    spec = {
        "height": 240,
        "encoding": {"x": across | AXIS_SHARE, "y": up | AXIS_SHARE},
        "layer": [
            {
                "data": {"values": [{"worked": 0, "reached": 0}, {"worked": 1, "reached": 1}]},
                "mark": {"type": "line", "color": "var(--soft)", "strokeDash": [4, 4]},
            },
            {"mark": {"type": "line", "color": "var(--series-1)"}},
            {
                "data": {"values": [{"worked": worked, "reached": reached}]},
                "mark": {"type": "point", "color": "var(--series-2)", "size": 90},
            },
        ],
    }
    caption = words.text(NAME, "caption", target=record.target)
    summary = words.text(
        NAME,
        "summary",
        target=record.target,
        worked=words.percent(worked, 0),
        reached=words.percent(reached, 0),
    )
    name = f"{NAME}-{record.target}"
    return Chart(name, caption, summary, spec, rows, _list_gain(words, record, caption))


def _list_gain(words: PageWords, record: EvaluationRecord, caption: str) -> Table:
    nearest = [_find_point(record, share) for share in LISTED_SHARES]
    headings = [words.text(NAME, "worked"), words.text(NAME, "reached_head")]
    rows = [[words.percent(worked), words.percent(reached)] for worked, reached in nearest]
    return Table(caption, headings, rows, frozenset({0, 1}))
