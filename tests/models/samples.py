"""Fitted models of every kind, and a company whose outcomes have times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.calibration import AffineCalibrator
from models.learners.blend import Blend
from models.learners.fit_input import FitInput
from models.learners.hazard import FollowUp, Hazard
from models.learners.kinds import MODELS_BY_NAME
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.protocol import Model
from models.learners.segmented import ModelOfSegment, Segmented

HORIZON = 30.0
"""Horizon of the samples in days."""
SHARES = 0.5, 0.2, 0.3


def follow_to_horizon(y: np.ndarray) -> FollowUp:
    """Return the follow-up of rows to the outcome, at a random time, or to the horizon."""
    when = np.random.default_rng(0).uniform(1, HORIZON, len(y))
    return FollowUp(np.where(y == 1, when, HORIZON), y == 1)


def fitted(
    kind: type[Model],
    x: np.ndarray,
    y: np.ndarray,
    categorical: list[int],
    weight: np.ndarray | None = None,
) -> Model:
    """Return a fitted model of any kind, also of those that need more than labels."""
    fit_input = FitInput(x, categorical, 1, weight=weight)
    if kind is Hazard:
        return Hazard.fit_follow_up(fit_input, follow_to_horizon(y), HORIZON)
    if kind is Blend:
        parts = tuple(
            fitted(part, x, y, categorical, weight) for part in (LightGbm, Hazard, Logistic)
        )
        return Blend(parts, SHARES)
    if kind is Segmented:
        base, own = (fitted(part, x, y, categorical, weight) for part in (LightGbm, Logistic))
        parts = (
            ModelOfSegment(0, AffineCalibrator(1.2, -0.1)),
            ModelOfSegment(1, AffineCalibrator(0.8, 0.3), own),
        )
        return Segmented(categorical[0], base, AffineCalibrator(0.9, 0.2), parts)
    return kind.fit(fit_input, y)


def fitted_kinds(x: np.ndarray, y: np.ndarray, categorical: list[int]) -> dict[str, Model]:
    """Return a model of every kind by its name; the blend consists of three of them."""
    models = {
        name: fitted(kind, x, y, categorical)
        for name, kind in sorted(MODELS_BY_NAME.items())
        if kind is not Blend
    }
    parts = models[LightGbm.name], models[Hazard.name], models[Logistic.name]
    return {**models, Blend.name: Blend(parts, SHARES)}


TWO_WEEKS = 14 * US_PER_DAY
WEEKS = 14
OBSERVED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(weeks=WEEKS - 1, days=3)


def followed_company(leads: int = 120, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return a matrix and its labels: weekly rows with a waiting time each; some never end.

    The horizon is two weeks. Outcomes after OBSERVED are included.
    """
    random = np.random.default_rng(seed)
    rows = leads * WEEKS
    cutoff = np.repeat(np.arange(WEEKS), leads) * 7 * US_PER_DAY
    one, source = random.normal(size=rows), random.choice(["web", "fair", "call"], rows)
    wait = random.exponential(25 / np.exp(one + (source == "fair"))) * US_PER_DAY
    outcome = cutoff + wait.astype(np.int64)
    mature = cutoff + TWO_WEEKS <= int(OBSERVED.timestamp() * 1e6)
    label = pa.array((outcome < cutoff + TWO_WEEKS).astype(np.int8), mask=~mature)
    at = pa.array(outcome, INSTANT, mask=wait > 60 * US_PER_DAY)
    spine = [[f"lead-{i}" for i in range(leads)] * WEEKS, pa.array(cutoff, INSTANT)]
    matrix = pa.table(
        [*spine, one, random.normal(size=rows), source],
        ["entity_id", "cutoff", "one", "two", "source"],
    )
    return matrix, pa.table([*spine, mature, label, at], schema=LABELS)


def change_later_outcomes(labels: pa.Table, end: int, seed: int = 1) -> pa.Table:
    """Return labels that are equal as known at ``end`` (microseconds UTC), and differ later.

    An outcome after ``end`` comes at another time or never; immature labels are inverted.
    """
    random = np.random.default_rng(seed)
    rows = []
    for row in labels.to_pylist():
        cutoff, known = (
            row["cutoff"],
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=end),
        )
        if row["outcome_at"] is None or row["outcome_at"] >= known:
            later = max(cutoff, known) + timedelta(days=float(random.integers(0, 20)))
            row["outcome_at"] = None if random.random() < 0.3 else later
        if row["label"] is not None and cutoff + timedelta(microseconds=TWO_WEEKS) > known:
            row["label"] = 1 - row["label"]
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=LABELS)
