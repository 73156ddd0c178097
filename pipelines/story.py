"""What is told of a training: its figures, and the files and tags that MLflow keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from features.catalog import Catalog
from models.evaluation import Figure, evaluate
from models.gate import Verdict
from models.plots import plot_all
from models.registry import Story
from models.training import Trained
from pipelines.rows import Snapshot, TrainingRows
from pipelines.version import code_version

LEARNERS = ("lightgbm", "logistic", "base_rate")


def count_rows(rows: TrainingRows) -> dict[str, int]:
    """Return how many rows there are, how many are mature, and how many of those hold the outcome."""
    mature = pc.sum(rows.labels["mature"]).as_py() or 0
    positive = pc.sum(rows.labels["label"]).as_py() or 0
    total = rows.labels.num_rows
    return {"rows": total, "mature": mature, "immature": total - mature, "positive": positive}


def figures(trained: Trained, capacity: int | None) -> tuple[dict[str, Figure], dict[str, dict[str, Figure]]]:
    """Return the out-of-time figures of the challenger, and those of each baseline on the same rows."""
    table = trained.out_of_time
    label, entity = table["label"].to_numpy(), table["entity_id"]
    common = {"cutoff": table["cutoff"].cast("int64").to_numpy(), "capacity": capacity}
    of = lambda name: evaluate(label, table[name].to_numpy(), entity, **common)  # noqa: E731
    return of("probability"), {name: of(name) for name in ("lightgbm", "logistic", "base_rate")}


def story(
    folder: Path,
    now: Snapshot,
    trained: Trained,
    metrics: Mapping[str, Figure],
    verdict: Verdict,
    counts: Mapping[str, int],
) -> Story:
    """Write the scorer and the plots into ``folder`` and return them with all that belongs to the training."""
    trained.scorer.save(folder / "scorer")
    plot_all(folder / "plots", trained, now.project.capacity)
    scorer, project = trained.scorer, now.project
    fitted = {"learner": scorer.learner, "features": len(scorer.encoding.names), "slope": scorer.calibrator.slope}
    return Story(
        scorer=folder / "scorer",
        params={**fitted, **counts, **project.evaluation.model_dump(mode="json")},
        metrics={name: value for key, figure in metrics.items() for name, value in _flat(key, figure)},
        tags={
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


def _flat(key: str, figure: Figure) -> list[tuple[str, float]]:
    return [(key, figure.value), (f"{key}_low", figure.low), (f"{key}_high", figure.high)]


def _features(catalog: Catalog, used: set[str]) -> list[dict[str, Any]]:
    words = ((f, f.meaning) for f in catalog.features)
    return [{"name": f.name, "what": m.what, "unit": m.unit, "used": f.name in used} for f, m in words]


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
