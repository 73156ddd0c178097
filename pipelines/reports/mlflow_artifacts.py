"""What MLflow keeps of a training: parameters, figures, tags, pictures, tables, and a report that leads through them.

Nothing personal is among it: no id and no row, only counts, figures, and the values of the config's segments.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs.durations import format_duration
from features.definitions.catalog import Catalog
from features.wording.wording import load_english
from models.evaluation.gate import GATE_TAG, PASSED, REFUSED, GateVerdict
from models.evaluation.metrics import Estimate, compute_gain_curve
from models.evaluation.plots import (
    plot_distribution,
    plot_gain,
    plot_importance,
    plot_origins,
    plot_reliability,
)
from models.evaluation.sliced_metrics import SliceMetrics
from models.leakage.leakage import Suspect
from models.registry.pyfunc import make_input_example
from models.registry.records import TrainingRecord
from models.training.results import TrainResult
from pipelines.reports.metric_tables import SLICE_METRICS
from pipelines.reports.training_report import ReportInput, render_training_report
from pipelines.results.evaluation import Evaluation, Metrics
from pipelines.training_data import Snapshot, TrainingRows, count_training_rows
from pipelines.version import find_code_version

MAX_EXPLAINED_ROWS = 1_000
"""Rows from which importance is taken, evenly spread: enough for a picture."""
ESTIMATE_HEADERS = ("value", "low", "high")
Curve = list[tuple[float, float]]


def write_training_record(
    folder: Path,
    now: Snapshot,
    rows: TrainingRows,
    trained: TrainResult,
    found: Evaluation,
    verdict: GateVerdict,
    suspects: Sequence[Suspect] = (),
) -> TrainingRecord:
    """Write the scorer and the plots into ``folder`` and return them with all that belongs to the training.

    ``suspects`` are the columns that the leakage audit names among those offered.
    """
    scorer, project = trained.scorer, now.project
    scorer.save(folder / "scorer")
    told = ReportInput(
        now,
        trained,
        found,
        verdict,
        count_training_rows(rows),
        _rank_importance(rows, trained),
        tuple(suspects),
    )
    curve, point = _compute_gain(told)
    _draw_plots(folder / "plots", told, curve, point)
    return TrainingRecord(
        scorer=folder / "scorer",
        params=_collect_params(told),
        metrics=dict(_collect_metrics(found)),
        tags={
            GATE_TAG: PASSED if verdict.passed else REFUSED,
            "as_of": now.as_of.isoformat(),
            "data_fingerprint": now.dataset.fingerprint,
            "config_hash": project.config_hash,
            "code_version": find_code_version(),
        },
        texts={
            "report.md": render_training_report(told),
            "config.yaml": project.text,
            "features.json": _format_json(
                _describe_features(scorer.catalog, set(scorer.encoding.names))
            ),
            "folds.json": _format_json(trained.folds),
            "gate.json": _format_json(verdict.to_json()),
            **{
                f"tables/{name}.csv": _format_csv(table)
                for name, table in _build_tables(told, curve).items()
            },
        },
        plots=folder / "plots",
        input_example=make_input_example(scorer.encoding),
    )


def _collect_params(told: ReportInput) -> dict[str, Any]:
    project, scorer, target = (
        told.now.project,
        told.trained.scorer,
        told.now.project.target_config(told.trained.scorer.target),
    )
    return {
        "target": scorer.target,
        "horizon": format_duration(target.horizon) if target.horizon else "none",
        "as_of": told.now.as_of.isoformat(),
        "config_hash": project.config_hash,
        "data_fingerprint": told.now.dataset.fingerprint,
        "learner": scorer.learner,
        "learners": ", ".join(told.found.baselines),
        "catalogue": len(scorer.catalog.features),
        "features": len(scorer.encoding.names),
        "slope": scorer.calibrator.slope,
        "intercept": scorer.calibrator.intercept,
        "capacity": project.capacity_config.per_week if project.capacity_config else "none",
        **told.rows,
        **project.evaluation.model_dump(mode="json"),
        **{
            f"learning_{name}": value
            for name, value in project.learning.model_dump(mode="json").items()
        },
    }


def _collect_metrics(found: Evaluation) -> Iterator[tuple[str, float]]:
    """Name the challenger's figures plainly, the others' with their learner or part before a slash."""
    yield from _flatten_estimates("", found.metrics)
    for learner, figures in found.baselines.items():
        yield from _flatten_estimates(f"{learner}/", figures)
    for of, part in found.unseen.items():
        yield from _flatten_estimates(f"unseen_{of}/", part.estimates)


def _flatten_estimates(prefix: str, figures: Metrics) -> Iterator[tuple[str, float]]:
    for key, figure in figures.items():
        yield f"{prefix}{key}", figure.value
        yield f"{prefix}{key}_low", figure.low
        yield f"{prefix}{key}_high", figure.high


def _rank_importance(rows: TrainingRows, trained: TrainResult) -> list[tuple[str, str, float]]:
    """Return each feature of the model, its words and its mean absolute contribution in log-odds, greatest first."""
    step = max(1, rows.matrix.num_rows // MAX_EXPLAINED_ROWS)
    sample = rows.matrix.take(np.arange(0, rows.matrix.num_rows, step))
    weight = np.abs(trained.scorer.explain(sample)[:, :-1]).mean(axis=0).tolist()
    words = {
        feature.name: load_english().noun_phrase(feature.meaning)
        for feature in rows.catalog.features
    }
    named = [
        (name, words.get(name, name), value)
        for name, value in zip(trained.scorer.encoding.names, weight, strict=True)
    ]
    return sorted(named, key=lambda each: (-each[2], each[0]))


def _compute_gain(told: ReportInput) -> tuple[Curve, tuple[float, float]]:
    table, tested = told.trained.out_of_time, told.found.rows
    return compute_gain_curve(
        table["label"], table["probability"], cutoff=tested.batch, capacity=tested.capacity
    )


def _draw_plots(folder: Path, told: ReportInput, curve: Curve, point: tuple[float, float]) -> None:
    """Draw how true the probabilities are, how they part the outcomes, what order gains, over time, and by what."""
    folder.mkdir(parents=True, exist_ok=True)
    table, tested = told.trained.out_of_time, told.found.rows
    label, probability = table["label"].to_numpy(), table["probability"].to_numpy()
    name = f"{told.now.project.project} · {told.trained.scorer.target}"
    plot_reliability(
        folder, label, probability, tested.entity, title=f"{name}: do predictions come true?"
    )
    plot_distribution(
        folder, label, probability, title=f"{name}: how predictions part the outcomes"
    )
    name_of_gain = f"{name}: what the best leads hold"
    plot_gain(folder, curve, point, capacity=tested.capacity, title=name_of_gain)
    origins = [(told.days[number], part.estimates) for number, part in told.found.folds.items()]
    plot_origins(folder, origins, title=f"{name}: does it hold over time?")
    words, values = (
        [words for _, words, _ in told.importance],
        [value for *_, value in told.importance],
    )
    plot_importance(folder, words, values, title=f"{name}: what the model looks at")


def _build_tables(told: ReportInput, curve: Curve) -> dict[str, list[list[Any]]]:
    """Return each table as rows, the first the heads."""
    found = told.found
    tables: dict[str, list[Iterable[Any]]] = {
        "figures": [["learner", "figure", *ESTIMATE_HEADERS, "rows"], *_yield_metric_rows(found)],
        "parts": [
            ["by", "part", "rows", "entities", "outcomes", "too_small", *_list_slice_headers()],
            *_yield_slice_rows(told),
        ],
        "reliability": [
            ["predicted", *(f"observed_{x}" for x in ESTIMATE_HEADERS), "rows"],
            *_yield_reliability_rows(found),
        ],
        "gain": [["share_of_rows", "share_of_outcomes"], *curve],
        "importance": [["feature", "what", "mean_absolute_log_odds"], *told.importance],
        "gate": [
            ["test", "passed", *ESTIMATE_HEADERS, "bound_low", "bound_high", "sentence"],
            *_yield_verdict_rows(told.verdict),
        ],
    }
    if told.suspects:
        tables["leakage"] = [
            ["column", "allowed", "evidence"],
            *([s.column, s.allowed, s.evidence] for s in told.suspects),
        ]
    return {name: [list(row) for row in rows] for name, rows in tables.items()}


def _yield_metric_rows(found: Evaluation) -> Iterator[list[Any]]:
    for learner, figures in {"challenger": found.metrics, **found.baselines}.items():
        for key, figure in figures.items():
            yield [learner, key, *_estimate_bounds(figure), figure.n]


def _list_slice_headers() -> list[str]:
    return [f"{key}{end}" for key in SLICE_METRICS for end in ("", "_low", "_high")]


def _yield_slice_rows(told: ReportInput) -> Iterator[list[Any]]:
    groups = {"new to its fold": told.found.unseen, "fold": told.found.folds, **told.found.segments}
    for by, parts in {**groups, "stage": told.found.stages}.items():
        for name, part in parts.items():
            counts = [part.rows, part.entities, part.outcomes, part.too_small]
            yield [
                by,
                name,
                *counts,
                *(end for key in SLICE_METRICS for end in _slice_bounds(part, key)),
            ]


def _slice_bounds(part: SliceMetrics, key: str) -> list[float | None]:
    return _estimate_bounds(part.estimates[key]) if key in part.estimates else [None] * 3


def _yield_reliability_rows(found: Evaluation) -> Iterator[list[Any]]:
    return ([predicted, *_estimate_bounds(rate), rate.n] for predicted, rate in found.reliability)


def _yield_verdict_rows(verdict: GateVerdict) -> Iterator[list[Any]]:
    return (
        [t.name, t.passed, *_estimate_bounds(t.estimate), *_null_nonfinite(t.bound), t.sentence]
        for t in verdict.tests
    )


def _estimate_bounds(figure: Estimate) -> list[float | None]:
    return _null_nonfinite((figure.value, figure.low, figure.high))


def _null_nonfinite(values: Iterable[float]) -> list[float | None]:
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
    return json.dumps(value, indent=1, ensure_ascii=False)
