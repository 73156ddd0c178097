"""What is told of a training: its figures, and the files and tags that MLflow keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from features.catalog import Catalog
from models.evaluation import Figure
from models.gate import GATE, PASSED, REFUSED, Verdict
from models.plots import plot_gain, plot_importance, plot_reliability
from models.registry import Story
from models.training import Trained
from pipelines.findings import Findings
from pipelines.rows import Snapshot, TrainingRows
from pipelines.version import code_version

MOST_EXPLAINED = 1_000
"""Rows from which importance is taken, evenly spread: enough for a picture."""


def count_rows(rows: TrainingRows) -> dict[str, int]:
    """Return how many rows there are, how many are mature, and how many of those hold the outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}


def story(
    folder: Path,
    now: Snapshot,
    rows: TrainingRows,
    trained: Trained,
    found: Findings,
    verdict: Verdict,
) -> Story:
    """Write the scorer and the plots into ``folder`` and return them with all that belongs to the training."""
    scorer, project = trained.scorer, now.project
    scorer.save(folder / "scorer")
    _plot(folder / "plots", rows, trained, found.tested.batch, found.tested.capacity)
    fitted = {"learner": scorer.learner, "features": len(scorer.encoding.names), "slope": scorer.calibrator.slope}
    return Story(
        scorer=folder / "scorer",
        params={**fitted, **count_rows(rows), **project.evaluation.model_dump(mode="json")},
        metrics={name: value for key, figure in found.metrics.items() for name, value in _flat(key, figure)},
        tags={
            GATE: PASSED if verdict.passed else REFUSED,
            "as_of": now.as_of.isoformat(),
            "data_fingerprint": now.dataset.fingerprint,
            "config_hash": project.config_hash,
            "code_version": code_version(),
        },
        texts={
            "config.yaml": project.text,
            "features.json": _as_json(_features(Catalog.from_json(scorer.meta["catalog"]), set(scorer.encoding.names))),
            "folds.json": _as_json(trained.folds),
            "gate.json": _as_json(verdict.to_json()),
        },
        plots=folder / "plots",
    )


def _plot(folder: Path, rows: TrainingRows, trained: Trained, batch: np.ndarray, capacity: int | None) -> None:
    """Draw how well the probabilities hold, how much is gained by order, and what the model goes by."""
    folder.mkdir(parents=True, exist_ok=True)
    table = trained.out_of_time
    label, probability = table["label"].to_numpy(), table["probability"].to_numpy()
    title = trained.scorer.target
    plot_reliability(folder, label, probability, table["entity_id"], title=title)
    plot_gain(folder, label, probability, cutoff=batch, capacity=capacity, title=title)
    step = max(1, rows.matrix.num_rows // MOST_EXPLAINED)
    weight = np.abs(trained.scorer.explain(rows.matrix.take(np.arange(0, rows.matrix.num_rows, step)))[:, :-1])
    plot_importance(folder, trained.scorer.encoding.names, weight.mean(axis=0).tolist(), title=title)


def _flat(key: str, figure: Figure) -> list[tuple[str, float]]:
    return [(key, figure.value), (f"{key}_low", figure.low), (f"{key}_high", figure.high)]


def _features(catalog: Catalog, used: set[str]) -> list[dict[str, Any]]:
    words = ((f, f.meaning) for f in catalog.features)
    return [{"name": f.name, "what": m.what, "unit": m.unit, "used": f.name in used} for f, m in words]


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
