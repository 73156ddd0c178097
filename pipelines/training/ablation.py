"""What each family of features is worth to a project's targets; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from configs.feature_options import Family
from configs.schema import Project
from features.definitions.catalog import Catalog
from models.training.ablation import run_ablation
from pipelines.results.ablation import TargetAblation
from pipelines.training.train import build_settings
from pipelines.training_data import (
    Snapshot,
    build_training_rows,
    count_training_rows,
    load_snapshot,
)


def run_ablations(
    project: Project, as_of: str | None, targets: list[str], note: Callable[[str], None]
) -> Iterator[TargetAblation]:
    """Yield each target's ablation as soon as it is done, on the rows that a training at ``as_of`` would see.

    ``note`` is told each step in words. Raises what reading, the rows and learning raise.
    """
    note("reading the sources")
    now = load_snapshot(project, as_of)
    for name in targets:
        note(f"{name}: rows and features")
        yield _ablate_target(now, name, note)


def _ablate_target(now: Snapshot, name: str, note: Callable[[str], None]) -> TargetAblation:
    rows = build_training_rows(now, name)
    settings = build_settings(now, name, lambda line: note(f"{name}: {line}"))
    return TargetAblation(
        name,
        count_training_rows(rows),
        run_ablation(rows.matrix, rows.labels, settings, _map_features_to_families(rows.catalog)),
    )


def _map_features_to_families(catalog: Catalog) -> dict[str, str]:
    """Return the family of each feature, families in their usual order."""
    order = get_args(Family)
    return {f.name: f.family for f in sorted(catalog.features, key=lambda f: order.index(f.family))}
