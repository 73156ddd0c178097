"""The touches of a night."""

from __future__ import annotations

from models.touches.result import TouchResult
from pipelines.touches.touches import build_touches
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part

NightTouches = NightPart[TouchResult]


def compute_night_touches(snapshot: Snapshot) -> NightTouches:
    """Return the touches of a night's data; nothing where the config describes none."""
    project = snapshot.project
    if project.touches is None or not project.publish.touches:
        return NightTouches()
    return compute_night_part(
        "touches",
        lambda: build_touches(snapshot),
        lambda result: result.tables.by_name(),
    )
