"""Metrics of a training as tables of texts, the same for the terminal, Markdown and MLflow.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from models.segments.segment_rows import MODEL_WORDS

if TYPE_CHECKING:
    from models.ablation import AblationTrial
    from models.evaluation.gate import GateVerdict
    from models.evaluation.metrics import Estimate
    from models.evaluation.sliced_metrics import SliceMetrics
    from models.segments.segment_rows import SegmentRow
    from pipelines.results.audit import AuditFinding
    from pipelines.results.evaluation import Metrics
    from pipelines.results.training import TargetTraining

# Metrics of the challenger in their order, with their labels.
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
SLICE_METRICS = (
    "roc_auc",
    "log_loss",
    "calibration_slope",
    "mean_predicted",
    "outcome_rate",
    "lift_at_capacity",
)
# With two intervals and no more, the row of a learner fits a terminal of 100 columns.
LEARNER_METRIC_LABELS = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "average_precision": "avg. precision",
    "calibration_error": "cal. error",
    "calibration_slope": "cal. slope",
}
METRICS_WITH_INTERVAL = ("roc_auc", "log_loss")
LEARNER_NAMES = {
    "lightgbm": "LightGBM",
    "target_encoding": "encoding",
    "base_rate": "base rate",
    "naive_bayes": "naive Bayes",
    "segmented": "by segment",
}
TRIAL_LABELS = {"all": "all features", "none": "no feature: the base rate"}


def format_estimate(estimate: Estimate | None) -> str:
    """Return an estimate with its 90 % interval, such as ``0.812 (0.790–0.833)``."""
    # A metric that is not defined is NaN, the one value that differs from itself.
    if estimate is None or estimate.value != estimate.value:
        return "–"
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def format_value(estimate: Estimate | None) -> str:
    """Return an estimate without its interval."""
    return format_estimate(estimate).partition(" ")[0]


def format_learner(name: str) -> str:
    """Return the display name of a learner."""
    return LEARNER_NAMES.get(name, name)


def describe_row_counts(rows: dict[str, int], followed: bool) -> str:
    """Return the numbers of rows of a training in one line.

    ``followed`` says whether right-censored rows are trained on, as far as they were followed up.
    """
    use = "trained on as far as they were followed" if followed else "not used"
    return (
        f"{rows['rows']:,} rows: {rows['mature']:,} mature with {rows['positive']:,} outcomes, "
        f"{rows['immature']:,} immature ({use}, never counted as negative)"
    )


def describe_evaluation(ordered: bool) -> str:
    """Return on which rows metrics are computed: later ones, where the rows are ordered in time."""
    return "out of time (90 % interval)" if ordered else "random folds (90 % interval)"


def describe_training_result(result: TargetTraining) -> str:
    """Return in one line whether the challenger became the champion, or why not."""
    if result.error:
        return str(result.error)
    number = result.version.number if result.version else "?"
    return f"version {number} passed the gate and is the champion"


def build_challenger_table(metrics: Metrics, ordered: bool) -> list[list[str]]:
    """Return one row per metric of the challenger, with its interval."""
    rows = [
        [label, format_estimate(metrics[key])]
        for key, label in METRIC_LABELS.items()
        if key in metrics
    ]
    return [[describe_evaluation(ordered), "challenger"], *rows]


def build_learner_table(learners: Mapping[str, Metrics], chosen: str) -> list[list[str]]:
    """Return one row per learner with the metrics that compare them; mark the ``chosen`` one."""
    rows = [
        [format_learner(name) + (" (chosen)" if name == chosen else ""), *_format_learner(metrics)]
        for name, metrics in learners.items()
    ]
    return [["learner", *LEARNER_METRIC_LABELS.values()], *rows]


def build_slice_table(kind: str, slices: Mapping[str, SliceMetrics]) -> list[list[str]]:
    """Return one row per slice: name, rows, outcomes, and metrics unless the slice is too small."""
    rows = [
        [name, f"{part.rows:,}", f"{part.outcomes:,}", *_format_slice(part)]
        for name, part in slices.items()
    ]
    return [[kind, "rows", "outcomes", *(METRIC_LABELS[key] for key in SLICE_METRICS)], *rows]


def build_segment_table(rows: Sequence[SegmentRow]) -> list[list[str]]:
    """Return one row per segment: its model, its outcomes, and what the choice gained."""
    lines = [
        [
            row.segment,
            MODEL_WORDS[row.model],
            f"{row.size.n_pos:,}",
            f"{row.size.n_pos_validation:,}",
            _format_gain(row.gain),
            _format_gain(row.test_gain),
            row.why,
        ]
        for row in rows
    ]
    headers = ["segment", "model", "n_pos", "chosen on", "gain", "gain in last window", "why"]
    return [headers, *lines]


def build_reliability_table(bins: list[tuple[float, Estimate]]) -> list[list[str]]:
    """Return one row per bin of predictions: the mean prediction and the observed rate."""
    rows = [[f"{predicted:.3f}", format_estimate(rate), f"{rate.n:,}"] for predicted, rate in bins]
    return [["predicted, bins of equal size", "observed (90 % interval)", "rows"], *rows]


def build_ablation_table(trials: list[AblationTrial], ordered: bool) -> list[list[str]]:
    """Return one row per trial; the difference of log loss is to the trial with all features."""
    rows = [
        [
            TRIAL_LABELS.get(trial.mode, f"{trial.mode} {trial.family}"),
            str(trial.feature_count),
            format_estimate(trial.roc_auc),
            format_estimate(trial.log_loss),
            _format_difference(trial.difference) if trial.mode != "all" else "",
        ]
        for trial in trials
    ]
    headers = ["features", "ROC AUC", "log loss", "worse by"]
    return [[describe_evaluation(ordered), *headers], *rows]


def build_audit_table(findings: Sequence[AuditFinding]) -> list[list[str]]:
    """Return one row per suspected column: its evidence and its state."""
    rows = [[f.suspect.column, f.suspect.evidence, f.state] for f in findings]
    return [["column", "evidence", "state"], *rows]


def describe_verdict(verdict: GateVerdict) -> str:
    """Return the decision of the gate, with the sentence of each test."""
    head = "the gate would pass it" if verdict.passed else "the gate would refuse it"
    lines = [
        f"  {'passed' if test.passed else 'FAILED'}  {test.sentence}" for test in verdict.tests
    ]
    return "\n".join([f"{head}:", *lines, *(f"  {cause.sentence}" for cause in verdict.causes)])


def _format_learner(metrics: Metrics) -> list[str]:
    return [
        format_estimate(metrics.get(key))
        if key in METRICS_WITH_INTERVAL
        else format_value(metrics.get(key))
        for key in LEARNER_METRIC_LABELS
    ]


def _format_slice(part: SliceMetrics) -> list[str]:
    if part.too_small:
        return ["too small"]
    # The mean prediction varies only with the sample of leads: its interval would only take room.
    return [
        format_value(part.estimates.get(key))
        if key == "mean_predicted"
        else format_estimate(part.estimates.get(key))
        for key in SLICE_METRICS
    ]


def _format_gain(estimate: Estimate) -> str:
    return _format_difference(estimate) if estimate.n else "–"


def _format_difference(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"
