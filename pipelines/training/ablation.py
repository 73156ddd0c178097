"""What each family of features is worth to a project's targets; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from configs.schema import Family, Project
from features.definitions.catalog import Catalog
from models.training.ablation import ablate
from pipelines.results.ablation import Ablation
from pipelines.training.train import settings_of
from pipelines.training_data import Snapshot, count_rows, snapshot, training_rows


def ablations(
    project: Project, as_of: str | None, targets: list[str], note: Callable[[str], None]
) -> Iterator[Ablation]:
    """Yield each target's ablation as soon as it is done, on the rows that a training at ``as_of`` would see.

    ``note`` is told each step in words. Raises what reading, the rows and learning raise.
    """
    note("reading the sources")
    now = snapshot(project, as_of)
    for name in targets:
        note(f"{name}: rows and features")
        yield _ablation(now, name, note)


def _ablation(now: Snapshot, name: str, note: Callable[[str], None]) -> Ablation:
    rows = training_rows(now, name)
    settings = settings_of(now, name, lambda line: note(f"{name}: {line}"))
    return Ablation(
        name, count_rows(rows), ablate(rows.matrix, rows.labels, settings, _families(rows.catalog))
    )


def _families(catalog: Catalog) -> dict[str, str]:
    """Return the family of each feature, families in their usual order."""
    order = get_args(Family)
    return {f.name: f.family for f in sorted(catalog.features, key=lambda f: order.index(f.family))}
