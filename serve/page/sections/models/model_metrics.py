"""How well each model ranks and predicts on leads it had not seen, beside simpler ones."""

from __future__ import annotations

from typing import Any

from models.evaluation.record import EvaluationRecord
from serve.page.content.charts import BAR_HEIGHT
from serve.page.content.evaluated import (
    SHARED,
    Evaluated,
    format_recorded,
    list_absent,
    list_records,
    quote_recorded,
)
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords

NAME = "model_metrics"
# Metrics of the table in their order, with their digits.
METRICS = {
    "roc_auc": 3,
    "log_loss": 4,
    "average_precision": 3,
    "calibration_slope": 2,
    "calibration_error": 3,
}

FOLD_METRICS = ("roc_auc", "log_loss", "calibration_slope")


def build_model_metrics(models: Evaluated) -> Section:
    """Return the section: out-of-time metrics of the model and of the baselines, by target."""
    words, records = models.words, list_records(models)
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        [_quote_ranking(words, record) for record in records],
        [_draw_learners(words, record) for record in records],
        [_list_folds(words, record) for record in records if record.folds],
        [
            *([words.text(NAME, "choice")] if records else []),
            *(_describe_training(words, record) for record in records),
            *list_absent(models, always=True),
        ],
    )


def _quote_ranking(words: PageWords, record: EvaluationRecord) -> Quote:
    label = words.text(
        NAME, "auc", target=record.target, learner=_name_learner(words, record.learner)
    )
    return quote_recorded(words, label, record.metrics.get("roc_auc"), digits=3)


def _name_learner(words: PageWords, learner: str) -> str:
    return words.texts[NAME].get(f"learner_{learner}", learner)


def _describe_training(words: PageWords, record: EvaluationRecord) -> str:
    return words.text(
        NAME,
        "training",
        target=record.target,
        day=record.trained_as_of[:10],
        mature=words.number(record.mature),
        positive=words.number(record.positive),
        used=words.number(record.used_features),
        offered=words.number(record.offered_features),
        moving=words.number(len(record.importance)),
    )


def _draw_learners(words: PageWords, record: EvaluationRecord) -> Chart:
    rows: list[dict[str, Any]] = [
        {
            "learner": _name_learner(words, learner),
            "auc": metrics["roc_auc"].value,
            "low": metrics["roc_auc"].low,
            "high": metrics["roc_auc"].high,
            "chosen": learner == record.learner,
        }
        for learner, metrics in record.baselines.items()
        if "roc_auc" in metrics and metrics["roc_auc"].value is not None
    ]
    caption = words.text(NAME, "caption", target=record.target)
    summary = words.text(
        NAME,
        "summary",
        target=record.target,
        learner=_name_learner(words, record.learner),
        auc=format_recorded(words, record.metrics.get("roc_auc"), 3),
    )
    name, spec = f"{NAME}-{record.target}", _specify_learners(words, rows)
    return Chart(name, caption, summary, spec, rows, _list_learners(words, record, caption))


def _specify_learners(words: PageWords, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the chart's specification: a point and its interval for each learner, best first."""
    order = [row["learner"] for row in sorted(rows, key=lambda row: -row["auc"])]
    title = words.text(NAME, "auc_head")
    across = {"type": "quantitative", "title": title, "scale": {"zero": False}}
    chosen = {"test": "datum.chosen", "value": "var(--series-1)"}
    colour = {"condition": chosen, "value": "var(--soft)"}
    interval = {"x": {"field": "low", **across}, "x2": {"field": "high"}, "color": colour}
    return {
        "height": BAR_HEIGHT * max(len(rows), 1),
        "encoding": {"y": {"field": "learner", "type": "nominal", "title": None, "sort": order}},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": interval},
            {
                "mark": {"type": "point", "size": 70},
                "encoding": {"x": {"field": "auc", **across}, "color": colour},
            },
        ],
    }


def _list_learners(words: PageWords, record: EvaluationRecord, caption: str) -> Table:
    rows = [
        [
            _name_learner(words, learner),
            *(format_recorded(words, metrics.get(key), digits) for key, digits in METRICS.items()),
        ]
        for learner, metrics in record.baselines.items()
    ]
    headings = [words.text(NAME, "learner"), *(words.text(NAME, key) for key in METRICS)]
    return Table(caption, headings, rows, frozenset(range(1, len(headings))))


def _list_folds(words: PageWords, record: EvaluationRecord) -> Table:
    rows = [
        [
            fold.label,
            words.number(fold.rows),
            words.number(fold.outcomes),
            *(format_recorded(words, fold.metrics.get(key), METRICS[key]) for key in FOLD_METRICS),
        ]
        for fold in record.folds
    ]
    heads = [words.text(NAME, "fold"), words.text(SHARED, "rows"), words.text(SHARED, "outcomes")]
    headings = [*heads, *(words.text(NAME, key) for key in FOLD_METRICS)]
    caption = words.text(NAME, "folds", target=record.target)
    return Table(caption, headings, rows, frozenset(range(1, len(headings))))
