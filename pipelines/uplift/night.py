"""The uplift of a night."""

from __future__ import annotations

from configs.errors import DataError, GateRefused
from models.uplift.result import UpliftResult
from pipelines.training_data import Snapshot
from pipelines.uplift.uplift import build_uplift, describe_refusal
from serve.night_part import NightPart, compute_night_part

NightUplift = NightPart[UpliftResult]


def compute_night_uplift(snapshot: Snapshot) -> NightUplift:
    """Return the uplift of a night's data; nothing where the config has no section for it.

    A ranking that its gate refuses, or that has no randomised lead, is not published, and the
    night says why.
    """
    project = snapshot.project
    if project.uplift is None or not project.publish.uplift:
        return NightUplift()
    return compute_night_part(
        "uplift",
        lambda: _build_published(snapshot),
        lambda result: result.tables.by_name(),
        (DataError, GateRefused),
    )


def _build_published(snapshot: Snapshot) -> UpliftResult:
    result = build_uplift(snapshot)
    if refusal := describe_refusal(snapshot.project, result):
        raise refusal
    return result
