"""Collects what MLflow stores of a training: parameters, metrics, tags, plots, tables and a report.

They hold counts, metrics and the values of the segments, and the tested rows with their keys; where
ids are personal, keys are salted hashes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs.durations import format_duration
from features.definitions.catalog import Catalog
from features.tools.json_values import format_json
from features.wording.wording import load_english
from models.evaluation.gate import GATE_TAG, PASSED, REFUSED, GateVerdict
from models.evaluation.metrics import VALUE_CAPTURED, Estimate, compute_gain_curve
from models.evaluation.plots import (
    plot_distribution,
    plot_gain,
    plot_importance,
    plot_origins,
    plot_reliability,
)
from models.evaluation.record import EvaluationRecord, write_evaluation
from models.evaluation.sliced_metrics import SliceMetrics
from models.leakage.suspects import Suspect
from models.registry.pyfunc import make_input_example
from models.registry.records import TrainingRecord
from models.training.results import TrainResult
from pipelines.reports.evaluation_record import build_evaluation_record
from pipelines.reports.metric_tables import SLICE_METRICS
from pipelines.reports.mlflow_run import tag_data
from pipelines.reports.training_report import ReportInput, render_training_report
from pipelines.results.evaluation import Evaluation
from pipelines.results.predictions import (
    PREDICTIONS_FILE,
    build_predictions,
    write_predictions,
)
from pipelines.training_data import Snapshot, TrainingRows, count_training_rows
from pipelines.version import find_code_version
from serve.page.build import build_training_page
from serve.page.content.words import PageWords

# Rows that the importance is computed on, evenly spread: enough for a plot.
MAX_EXPLAINED_ROWS = 1_000
# Metrics that MLflow lists: about 25, since it shows them in one list and one plot each.
METRICS_WITH_INTERVAL = ("roc_auc", "log_loss", "precision_at_capacity")
MAIN_METRICS = (
    *METRICS_WITH_INTERVAL,
    "average_precision",
    "calibration_error",
    "calibration_slope",
    "predicted_to_observed",
    "outcome_rate",
    "lift_at_capacity",
    VALUE_CAPTURED,
)
COMPARED_METRICS = ("roc_auc", "log_loss")
ESTIMATE_HEADERS = ("value", "low", "high")
Curve = list[tuple[float, float]]


def write_training_record(
    folder: Path,
    snapshot: Snapshot,
    rows: TrainingRows,
    trained: TrainResult,
    evaluation: Evaluation,
    verdict: GateVerdict,
    suspects: Sequence[Suspect] = (),
) -> TrainingRecord:
    """Write the scorer and the plots into ``folder`` and return the record of the training.

    ``suspects`` are the suspected columns among those that the config offers.
    """
    scorer = trained.scorer
    scorer.save(folder / "scorer")
    contributions = _explain_sample(rows, trained)
    inputs = ReportInput(
        snapshot,
        trained,
        evaluation,
        verdict,
        count_training_rows(rows),
        _rank_importance(rows, trained, contributions),
        tuple(suspects),
    )
    curve, point = _compute_gain(inputs)
    record = build_evaluation_record(inputs, contributions[:, -1], curve, point)
    # Beside the scorer, so that the hash of the registered version covers it.
    write_evaluation(folder / "scorer", record)
    _draw_plots(folder / "plots", inputs, curve, point)
    predictions = build_predictions(scorer.target, trained.out_of_time, evaluation.rows)
    write_predictions(
        folder / "files" / PREDICTIONS_FILE,
        snapshot.project,
        scorer.target,
        scorer.learner,
        predictions,
        evaluation.rows,
    )
    return TrainingRecord(
        scorer=folder / "scorer",
        params=_collect_params(inputs),
        metrics=dict(_collect_metrics(evaluation, scorer.learner)),
        tags=_collect_tags(inputs),
        texts=_collect_texts(inputs, curve, record),
        plots=folder / "plots",
        files=folder / "files",
        input_example=make_input_example(scorer.encoding),
    )


def _collect_tags(inputs: ReportInput) -> dict[str, str | None]:
    return {
        GATE_TAG: PASSED if inputs.verdict.passed else REFUSED,
        "code_version": find_code_version(),
        **tag_data(inputs.snapshot),
    }


def _collect_texts(inputs: ReportInput, curve: Curve, record: EvaluationRecord) -> dict[str, str]:
    """Return each text file by its path; the report is the first."""
    project = inputs.snapshot.project
    words = PageWords.load(project.publish.language, project.zone, project.goals.currency)
    scorer = inputs.trained.scorer
    features = _describe_features(scorer.catalog, set(scorer.encoding.names))
    tables = _build_tables(inputs, curve)
    return {
        "report.md": render_training_report(inputs),
        # MLflow shows an HTML file as a page, and Markdown as its source.
        "report.html": build_training_page(record, project, words).decode(),
        "config.yaml": inputs.snapshot.project.text,
        "features.json": _format_json(features),
        "folds.json": _format_json(inputs.trained.folds),
        "gate.json": _format_json(inputs.verdict.to_json()),
        **{f"tables/{name}.csv": _format_csv(table) for name, table in tables.items()},
    }


def _collect_params(inputs: ReportInput) -> dict[str, Any]:
    project, scorer = inputs.snapshot.project, inputs.trained.scorer
    target_config = project.target_config(scorer.target)
    return {
        "target": scorer.target,
        "horizon": format_duration(target_config.horizon) if target_config.horizon else "none",
        "as_of": inputs.snapshot.as_of.isoformat(),
        "config_hash": project.config_hash,
        "data_fingerprint": inputs.snapshot.dataset.fingerprint,
        "learner": scorer.learner,
        "learners": ", ".join(inputs.evaluation.baselines),
        "catalogue": len(scorer.catalog.features),
        "features": len(scorer.encoding.names),
        "slope": scorer.calibrator.slope,
        "intercept": scorer.calibrator.intercept,
        "capacity": project.capacity_config.per_week if project.capacity_config else "none",
        **inputs.rows,
        **project.evaluation.model_dump(mode="json"),
        **{
            f"learning_{name}": value
            for name, value in project.learning.model_dump(mode="json").items()
        },
    }


def _collect_metrics(evaluation: Evaluation, learner: str) -> Iterator[tuple[str, float]]:
    """Yield (name, value) of the main metrics; the tables and the evaluation hold all of them.

    Metrics of the challenger have no prefix; those of another learner have its name before a
    slash.
    """
    metrics = evaluation.metrics
    for key in (name for name in MAIN_METRICS if name in metrics):
        yield key, metrics[key].value
        if key in METRICS_WITH_INTERVAL:
            yield f"{key}_low", metrics[key].low
            yield f"{key}_high", metrics[key].high
    for name, others in evaluation.baselines.items():
        if name != learner:
            yield from ((f"{name}/{key}", others[key].value) for key in COMPARED_METRICS)


def _explain_sample(rows: TrainingRows, trained: TrainResult) -> np.ndarray:
    """Return the result of ``Scorer.explain`` for some training rows."""
    step = max(1, rows.matrix.num_rows // MAX_EXPLAINED_ROWS)
    return trained.scorer.explain(rows.matrix.take(np.arange(0, rows.matrix.num_rows, step)))


def _rank_importance(
    rows: TrainingRows, trained: TrainResult, contributions: np.ndarray
) -> list[tuple[str, str, float]]:
    """Return (feature, meaning, mean absolute SHAP contribution in log-odds), greatest first."""
    # The last column is the base value, which belongs to no feature.
    weight = np.abs(contributions[:, :-1]).mean(axis=0).tolist()
    words = {
        feature.name: load_english().noun_phrase(feature.meaning)
        for feature in rows.catalog.features
    }
    named = [
        (name, words.get(name, name), value)
        for name, value in zip(trained.scorer.encoding.names, weight, strict=True)
    ]
    # Ties are ordered by name, so that the same training gives the same table.
    return sorted(named, key=lambda row: (-row[2], row[0]))


def _compute_gain(inputs: ReportInput) -> tuple[Curve, tuple[float, float]]:
    table, test_rows = inputs.trained.out_of_time, inputs.evaluation.rows
    return compute_gain_curve(
        table["label"], table["probability"], cutoff=test_rows.batch, capacity=test_rows.capacity
    )


def _draw_plots(
    folder: Path, inputs: ReportInput, curve: Curve, point: tuple[float, float]
) -> None:
    """Draw reliability, distribution, gain, metrics by fold, and importance."""
    folder.mkdir(parents=True, exist_ok=True)
    table, test_rows = inputs.trained.out_of_time, inputs.evaluation.rows
    label, probability = table["label"].to_numpy(), table["probability"].to_numpy()
    name = f"{inputs.snapshot.project.project} · {inputs.trained.scorer.target}"
    plot_reliability(
        folder,
        label,
        probability,
        test_rows.cluster,
        title=f"{name}: reliability of the predictions",
    )
    plot_distribution(folder, label, probability, title=f"{name}: predictions by outcome")
    gain_title = f"{name}: outcomes among the best leads"
    plot_gain(folder, curve, point, capacity=test_rows.capacity, title=gain_title)
    origins = [
        (inputs.fold_labels[number], part.estimates)
        for number, part in inputs.evaluation.folds.items()
    ]
    plot_origins(folder, origins, title=f"{name}: metrics by fold")
    words, values = (
        [words for _, words, _ in inputs.importance],
        [value for *_, value in inputs.importance],
    )
    plot_importance(folder, words, values, title=f"{name}: importance of the features")


def _build_tables(inputs: ReportInput, curve: Curve) -> dict[str, list[list[Any]]]:
    """Return each table as rows by its name; the first row holds the headers."""
    evaluation = inputs.evaluation
    tables: dict[str, list[Iterable[Any]]] = {
        "figures": [
            ["learner", "figure", *ESTIMATE_HEADERS, "rows"],
            *_yield_metric_rows(evaluation),
        ],
        "parts": [
            ["by", "part", "rows", "entities", "outcomes", "too_small", *_list_slice_headers()],
            *_yield_slice_rows(inputs),
        ],
        "reliability": [
            ["predicted", *(f"observed_{x}" for x in ESTIMATE_HEADERS), "rows"],
            *_yield_reliability_rows(evaluation),
        ],
        "gain": [["share_of_rows", "share_of_outcomes"], *curve],
        "importance": [["feature", "what", "mean_absolute_log_odds"], *inputs.importance],
        "gate": [
            ["test", "passed", *ESTIMATE_HEADERS, "bound_low", "bound_high", "sentence"],
            *_yield_verdict_rows(inputs.verdict),
        ],
    }
    if inputs.suspects:
        tables["leakage"] = [
            ["column", "allowed", "evidence"],
            *([s.column, s.allowed, s.evidence] for s in inputs.suspects),
        ]
    if segments := [row.to_json() for row in inputs.trained.segments]:
        tables["segments"] = [list(segments[0]), *(row.values() for row in segments)]
    return {name: [list(row) for row in rows] for name, rows in tables.items()}


def _yield_metric_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    for learner, metrics in {"challenger": evaluation.metrics, **evaluation.baselines}.items():
        for key, estimate in metrics.items():
            yield [learner, key, *_estimate_bounds(estimate), estimate.n]


def _list_slice_headers() -> list[str]:
    return [f"{key}{end}" for key in SLICE_METRICS for end in ("", "_low", "_high")]


def _yield_slice_rows(inputs: ReportInput) -> Iterator[list[Any]]:
    groups = {
        "new to its fold": inputs.evaluation.unseen,
        "fold": inputs.evaluation.folds,
        **inputs.evaluation.segments,
    }
    for by, parts in {**groups, "stage": inputs.evaluation.stages}.items():
        for name, part in parts.items():
            counts = [part.rows, part.entities, part.outcomes, part.too_small]
            yield [
                by,
                name,
                *counts,
                *(bound for key in SLICE_METRICS for bound in _slice_bounds(part, key)),
            ]


def _slice_bounds(part: SliceMetrics, key: str) -> list[float | None]:
    # A slice that is too small has no metrics, but its row needs the same columns.
    return _estimate_bounds(part.estimates[key]) if key in part.estimates else [None] * 3


def _yield_reliability_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    return (
        [predicted, *_estimate_bounds(rate), rate.n] for predicted, rate in evaluation.reliability
    )


def _yield_verdict_rows(verdict: GateVerdict) -> Iterator[list[Any]]:
    return (
        [t.name, t.passed, *_estimate_bounds(t.estimate), *_null_nonfinite(t.bound), t.sentence]
        for t in verdict.tests
    )


def _estimate_bounds(estimate: Estimate) -> list[float | None]:
    return _null_nonfinite((estimate.value, estimate.low, estimate.high))


def _null_nonfinite(values: Iterable[float]) -> list[float | None]:
    # An empty field is read as missing by every tool; the texts nan and inf are not.
    return [float(value) if np.isfinite(value) else None for value in values]


def _describe_features(catalog: Catalog, used: set[str]) -> list[dict[str, Any]]:
    words = ((f, load_english().noun_phrase(f.meaning)) for f in catalog.features)
    return [
        {"name": f.name, "what": what, "unit": f.meaning.unit, "used": f.name in used}
        for f, what in words
    ]


def _format_csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _format_json(value: Any) -> str:
    return format_json(value, indent=1)
