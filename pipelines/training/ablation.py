"""Feature ablation of a project's targets, by feature family; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from configs.feature_options import Family
from configs.schema import Project
from features.definitions.catalog import Catalog
from models.ablation import run_ablation
from pipelines.results.ablation import TargetAblation
from pipelines.runner import read_clock
from pipelines.training.train import build_settings
from pipelines.training_data import (
    Snapshot,
    build_training_rows,
    count_training_rows,
    load_snapshot,
)


def run_ablations(
    project: Project, as_of: str | None, targets: list[str], log: Callable[[str], None]
) -> Iterator[TargetAblation]:
    """Yield each target's ablation when it is done, on the rows of a training at ``as_of``.

    ``log`` receives one line per step. Raises what reading, the rows and the training raise.
    """
    log("reading the sources")
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    for target in targets:
        log(f"{target}: rows and features")
        # Yielded one by one: each target takes the time of many trainings.
        yield _ablate_target(snapshot, target, log)


def _ablate_target(snapshot: Snapshot, target: str, log: Callable[[str], None]) -> TargetAblation:
    rows = build_training_rows(snapshot, target)
    settings = build_settings(snapshot, target, lambda line: log(f"{target}: {line}"))
    return TargetAblation(
        target,
        count_training_rows(rows),
        run_ablation(rows.matrix, rows.labels, settings, _map_features_to_families(rows.catalog)),
    )


def _map_features_to_families(catalog: Catalog) -> dict[str, str]:
    """Return the family of each feature, in the order of the families in the config's schema."""
    order = get_args(Family)
    return {f.name: f.family for f in sorted(catalog.features, key=lambda f: order.index(f.family))}
