"""The figures of a training as rows of texts, the same for the terminal, for MLflow and for Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.evaluation.gate import GateVerdict
    from models.evaluation.metrics import Estimate
    from models.evaluation.sliced_metrics import SliceMetrics
    from pipelines.results.evaluation import Metrics

METRIC_LABELS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "outcome_rate": "outcome rate",
    "mean_predicted": "mean predicted",
    "precision_at_capacity": "precision at capacity",
    "lift_at_capacity": "lift at capacity",
    "value_captured_at_capacity": "value captured",
}
"""The figures a person sees first, and their names."""
SLICE_METRICS = (
    "roc_auc",
    "log_loss",
    "calibration_slope",
    "mean_predicted",
    "outcome_rate",
    "lift_at_capacity",
)
"""Those shown of a part of the rows."""
LEARNER_METRIC_LABELS = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "average_precision": "avg. precision",
    "calibration_error": "cal. error",
    "calibration_slope": "cal. slope",
}
"""Those shown of each learner; with both intervals, and no more, a row fits a terminal of 100 columns."""
METRICS_WITH_INTERVAL = ("roc_auc", "log_loss")
LEARNER_NAMES = {"lightgbm": "LightGBM", "base_rate": "base rate", "naive_bayes": "naive Bayes"}


def format_estimate(figure: Estimate | None) -> str:
    """Return a figure with its 90 % interval, such as ``0.812 (0.790–0.833)``."""
    if figure is None or figure.value != figure.value:
        return "–"
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"


def format_learner(name: str) -> str:
    """Return what people call a kind of model."""
    return LEARNER_NAMES.get(name, name)


def describe_row_counts(rows: dict[str, int], followed: bool) -> str:
    """Return how many rows a training used, in one line; ``followed`` says whether outcomes have times."""
    fate = "learnt from as far as they were followed" if followed else "not used"
    return (
        f"{rows['rows']:,} rows: {rows['mature']:,} mature with {rows['positive']:,} outcomes, "
        f"{rows['immature']:,} immature ({fate}, never called negative)"
    )


def describe_evaluation(ordered: bool) -> str:
    """Return what figures were tested on: later rows, where the rows have an order in time."""
    return "out of time (90 % interval)" if ordered else "random folds (90 % interval)"


def build_challenger_table(metrics: Metrics, ordered: bool) -> list[list[str]]:
    """Return rows of texts, the first the heads: each figure that there is, with its interval."""
    rows = [
        [name, format_estimate(metrics[key])]
        for key, name in METRIC_LABELS.items()
        if key in metrics
    ]
    return [[describe_evaluation(ordered), "challenger"], *rows]


def build_learner_table(learners: Mapping[str, Metrics], chosen: str) -> list[list[str]]:
    """Return rows of texts, the first the heads: each learner, the ``chosen`` one marked, and what tells them apart."""
    names = {
        name: format_learner(name) + (" (chosen)" if name == chosen else "") for name in learners
    }
    rows = [[names[name], *_format_learner_metrics(figures)] for name, figures in learners.items()]
    return [["learner", *LEARNER_METRIC_LABELS.values()], *rows]


def build_slice_table(what: str, parts: Mapping[str, SliceMetrics]) -> list[list[str]]:
    """Return rows of texts, the first the heads: a part's name, rows, outcomes, and figures unless it is too small."""
    heads = [what, "rows", "outcomes", *(METRIC_LABELS[key] for key in SLICE_METRICS)]
    return [
        heads,
        *(
            [name, f"{part.rows:,}", f"{part.outcomes:,}", *_format_slice_metrics(part)]
            for name, part in parts.items()
        ),
    ]


def build_reliability_table(bins: list[tuple[float, Estimate]]) -> list[list[str]]:
    """Return rows of texts, the first the heads: what was predicted in each bin, and what happened."""
    heads = ["predicted, bins of equal size", "happened (90 % interval)", "rows"]
    return [heads, *([f"{at:.3f}", format_estimate(rate), f"{rate.n:,}"] for at, rate in bins)]


def describe_verdict(verdict: GateVerdict) -> str:
    """Return what the gate would do, with the sentence of each test."""
    head = "the gate would let it pass" if verdict.passed else "the gate would refuse it"
    lines = [
        f"  {'passed' if test.passed else 'FAILED'}  {test.sentence}" for test in verdict.tests
    ]
    return "\n".join([f"{head}:", *lines])


def _format_learner_metrics(figures: Metrics) -> list[str]:
    texts = {key: format_estimate(figures.get(key)) for key in LEARNER_METRIC_LABELS}
    return [
        text if key in METRICS_WITH_INTERVAL else text.partition(" ")[0]
        for key, text in texts.items()
    ]


def _format_slice_metrics(part: SliceMetrics) -> list[str]:
    if part.too_small:
        return ["too small"]
    texts = {key: format_estimate(part.estimates.get(key)) for key in SLICE_METRICS}
    # What was predicted is known but for which leads there were: its interval would only take room.
    return [
        text.partition(" ")[0] if key == "mean_predicted" else text for key, text in texts.items()
    ]


def render_markdown_table(rows: list[list[str]]) -> list[str]:
    """Return a table as lines of Markdown; the first row are the heads."""
    width = len(rows[0])
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return [lines[0], "|" + "---|" * width, *lines[1:]]
