"""The fit of a night."""

from __future__ import annotations

from models.fit.result import FitResult
from pipelines.fit.fit import build_fit, choose_target
from pipelines.funnel.amounts import ValuedHistory
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part

NightFit = NightPart[FitResult]


def compute_night_fit(snapshot: Snapshot, valued: ValuedHistory | None) -> NightFit:
    """Return the fit of a night's data; ``valued`` is the funnel's history, None without one."""
    if not snapshot.project.publish.fit:
        return NightFit()
    return compute_night_part(
        "fit",
        lambda: build_fit(snapshot, choose_target(snapshot.project), valued),
        lambda result: result.tables.by_name(),
    )
