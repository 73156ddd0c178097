"""What each family of features is worth: out-of-time figures without it, and with it alone.

Every run goes through the folds as a training does, on the same rows, with LightGBM alone. A family that others can
stand in for costs little when it is left out, however much it tells alone: so both are asked (Covert, Lundberg & Lee
2021, Explaining by removing: a unified framework for model explanation, JMLR 22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from features.contracts import SPINE
from models.calibration import probability
from models.evaluation.metrics import Figure, evaluate, paired_log_loss_gain
from models.learners.lightgbm import BaseRate, LightGbm
from models.training.training import Pooled, Settings, predict

Kept = Literal["all", "without", "only", "none"]


@dataclass(frozen=True)
class Trial:
    """Figures of one run: all features, those without or only those of a family, or none (the base rate).

    ``features`` is how many columns of the matrix were offered to the learner. ``difference`` is the log loss less
    that with all features on the same rows, in nats a row: above 0 is worse than with all, below 0 better.
    """

    kept: Kept
    family: str
    features: int
    roc_auc: Figure
    log_loss: Figure
    difference: Figure

    def to_json(self) -> dict[str, Any]:
        """Return the trial as plain JSON values."""
        figures = {
            name: getattr(self, name).to_json() for name in ("roc_auc", "log_loss", "difference")
        }
        return {
            "kept": self.kept,
            "family": self.family or None,
            "features": self.features,
        } | figures


def ablate(
    matrix: pa.Table, labels: pa.Table, settings: Settings, families: Mapping[str, str]
) -> list[Trial]:
    """Return the trials: all features, without each family, only each family, none.

    ``matrix`` and ``labels`` are those of ``training.train``; ``families`` gives the family of every feature column,
    and the order of the families. Where nothing that is kept varies among the rows learnt from, a run is the base
    rate. Raises what ``training.predict`` raises for all features.
    """
    present = [name for name in families if name in matrix.column_names]
    plan = list(_plan(list(dict.fromkeys(families[name] for name in present))))
    settings.tell(f"1 of {len(plan) + 1}: all features")
    quiet = replace(settings, learners=(LightGbm,), progress=None)
    whole = predict(matrix, labels, quiet)
    trials = [_trial(whole, LightGbm.name, whole, ("all", "", len(present)))]
    for number, (kept, family) in enumerate(plan, 2):
        settings.tell(f"{number} of {len(plan) + 1}: {kept} {family}")
        names = [name for name in present if (families[name] == family) == (kept == "only")]
        found, learner = _predict(matrix.select([*SPINE.names, *names]), labels, quiet, whole)
        trials.append(_trial(found, learner, whole, (kept, family, len(names))))
    return [*trials, _trial(whole, BaseRate.name, whole, ("none", "", 0))]


def _plan(families: list[str]) -> Iterator[tuple[Kept, str]]:
    yield from (("without", family) for family in families)
    yield from (("only", family) for family in families)


def _predict(
    matrix: pa.Table, labels: pa.Table, settings: Settings, whole: Pooled
) -> tuple[Pooled, str]:
    """Return predictions, and the learner whose they are: with nothing to learn from it is the base rate."""
    try:
        return predict(matrix, labels, settings), LightGbm.name
    except (
        DataError
    ):  # rows, labels and folds did for all features, so it is that no column kept varies
        return whole, BaseRate.name


def _trial(found: Pooled, learner: str, whole: Pooled, what: tuple[Kept, str, int]) -> Trial:
    label, entity = whole.rows.label, whole.rows.entity_id.astype(str)
    chance, best = _chance(found, learner), _chance(whole, LightGbm.name)
    figures = evaluate(label, chance, entity, stratum=whole.fold)
    difference = paired_log_loss_gain(label, best, chance, entity)
    return Trial(*what, figures["roc_auc"], figures["log_loss"], difference)


def _chance(pooled: Pooled, learner: str) -> np.ndarray:
    return probability(pooled.calibrated[learner])
