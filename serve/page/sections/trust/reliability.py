"""Reliability: what the model promised on leads that it had not seen, against what happened."""

from __future__ import annotations

from models.evaluation.record import EvaluationRecord
from serve.page.content.charts import AXIS_SHARE
from serve.page.content.evaluated import (
    Evaluated,
    format_recorded,
    list_absent,
    list_records,
    quote_recorded,
)
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords

NAME = "reliability"


def build_reliability(models: Evaluated) -> Section:
    """Return the section: one reliability diagram for each target."""
    words, records = models.words, list_records(models)
    verdicts = (_judge_bins(words, record) for record in records)
    return Section(
        NAME,
        "trust",
        words.text(NAME, "title"),
        " ".join([words.text(NAME, "sentence"), *filter(None, verdicts)]),
        [quote for record in records for quote in _quote_means(words, record)],
        [_draw_reliability(words, record) for record in records],
        notes=[
            words.text(NAME, "rows"),
            words.text(NAME, "bins"),
            *list_absent(models, always=True),
        ],
    )


def _quote_means(words: PageWords, record: EvaluationRecord) -> list[Quote]:
    return [
        quote_recorded(
            words,
            words.text(NAME, key, target=record.target),
            record.metrics.get(metric),
            digits=1,
            share=True,
        )
        for key, metric in (("promised", "mean_predicted"), ("happened", "outcome_rate"))
    ]


def _judge_bins(words: PageWords, record: EvaluationRecord) -> str:
    """Return how many bins miss their promise, and the furthest; empty without an interval."""
    bins = [
        (place, part.predicted, part.observed, part.low, part.high)
        for place, part in enumerate(record.reliability)
        if part.observed is not None and part.low is not None and part.high is not None
    ]
    off = [part for part in bins if not part[3] <= part[1] <= part[4]]
    values = {"target": record.target, "all": words.number(len(bins))}
    if not off:
        return words.count(NAME, "all_kept", len(bins), **values) if bins else ""
    place, predicted, observed, low, high = max(off, key=lambda part: abs(part[1] - part[2]))
    last = len(record.reliability) - 1
    key = {0: "lowest", last: "top"}.get(place, "nth")
    return words.text(
        NAME,
        "some_off",
        off=words.number(len(off)),
        bin=words.text(NAME, key, place=words.number(place + 1)),
        promised=words.percent(predicted),
        came=words.percent(observed),
        low=words.percent(low),
        high=words.percent(high),
        **values,
    )


def _draw_reliability(words: PageWords, record: EvaluationRecord) -> Chart:
    # A bin without a row has no share, and so no point.
    bins = [part for part in record.reliability if part.observed is not None]
    rows = [
        {
            "predicted": part.predicted,
            "observed": part.observed,
            "low": part.low,
            "high": part.high,
            "rows": part.n,
        }
        for part in bins
    ]
    end = max((row[name] or 0 for row in rows for name in ("predicted", "high")), default=1)
    across = {"field": "predicted", "type": "quantitative", "title": words.text(NAME, "predicted")}
    up = {"type": "quantitative", "title": words.text(NAME, "observed"), **AXIS_SHARE}
    spec = {
        "height": 260,
        "encoding": {"x": across | AXIS_SHARE},
        "layer": [
            {
                "data": {"values": [{"predicted": 0, "even": 0}, {"predicted": end, "even": end}]},
                "mark": {"type": "line", "color": "var(--soft)", "strokeDash": [4, 4]},
                "encoding": {"y": {"field": "even", **up}},
            },
            {
                "mark": {"type": "rule", "color": "var(--series-1)", "strokeWidth": 2},
                "encoding": {"y": {"field": "low", **up}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "color": "var(--series-1)", "size": 60},
                "encoding": {"y": {"field": "observed", **up}},
            },
        ],
    }
    summary = words.text(
        NAME,
        "summary",
        target=record.target,
        promised=format_recorded(words, record.metrics.get("mean_predicted"), 1, share=True),
        happened=format_recorded(words, record.metrics.get("outcome_rate"), 1, share=True),
    )
    caption = words.text(NAME, "caption", target=record.target)
    return Chart(f"{NAME}-{record.target}", caption, summary, spec, rows, _list_bins(words, record))


def _list_bins(words: PageWords, record: EvaluationRecord) -> Table:
    headings = [words.text(NAME, key) for key in ("predicted", "observed", "interval", "rows_head")]
    rows = [
        [
            words.percent(part.predicted),
            words.percent(part.observed),
            f"{words.percent(part.low)}–{words.percent(part.high)}",
            words.number(part.n),
        ]
        for part in record.reliability
    ]
    caption = words.text(NAME, "caption", target=record.target)
    return Table(caption, headings, rows, frozenset(range(4)))
