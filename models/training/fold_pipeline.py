"""How a target is learnt from the rows known at an instant: encoding, features, models, shares of a blend, calibrators.

Nothing here sees a row that it is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from configs.durations import MICROSECOND
from configs.errors import DataError
from configs.learning import Evaluation, Learning
from features.contracts import to_us
from models.calibration import FEWEST as FEWEST_EACH
from models.calibration import Affine, fit_calibrator
from models.encoding import Encoding
from models.learners.blend import Blend, Part, shares, weighted
from models.learners.fit_input import Lesson
from models.learners.hazard import Hazard
from models.learners.lightgbm import BaseRate, LightGbm, Model
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes
from models.sample_weights import weights
from models.training.folds import Fold, by_entity, entity_hash, rolling_origin
from models.training.search import Choice, Sample, search
from models.training.selection import strongest
from models.training.training_rows import Known, Rows

FEWEST = 2
"""Outcomes, and rows without, that anything can be learnt from."""
INNER_SHARE = 0.25
"""Latest share of the rows learnt from that the inner model leaves for its calibrator."""
INNER_PARTS = 4
SEARCH_FOLDS, SEARCH_SHARE = 4, 0.5
RECENT = 0.05
"""Half-life of the second line of a blend, as a share of the time learnt from."""
RECENT_LINE = "recent"
BLENDED = (LightGbm.name, Hazard.name, Logistic.name, RECENT_LINE)
CANDIDATES: tuple[type[Model], ...] = (LightGbm, Hazard, Logistic, Blend)
"""The default first: another must be better beyond noise to take its place."""
BASELINES = (NaiveBayes, BaseRate)
"""What is reported next to the candidates, as it is: never calibrated, never chosen."""

Margins = dict[str, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """What one training needs besides the data.

    ``ordered`` is false where the order of the rows means nothing. ``observed`` is the instant through which outcomes
    are complete, None where they have no times. ``meta`` goes into the scorer; ``progress`` is told each step in
    words. ``learners`` are those that are tried beside the baselines.
    """

    target: str
    horizon: timedelta
    evaluation: Evaluation
    ordered: bool = True
    observed: datetime | None = None
    seed: int = 0
    learning: Learning = field(default_factory=Learning)
    meta: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] | None = None
    learners: tuple[type[Model], ...] = CANDIDATES

    def tell(self, step: str) -> None:
        """Pass a step on to whoever listens."""
        if self.progress:
            self.progress(step)

    def known(self, whole: Rows, train: np.ndarray, start: int | None) -> Known:
        """Return what was known at the embargo before ``start`` (microseconds UTC), or, without one, when observed."""
        if not self.ordered or self.observed is None:
            return Known.at(whole, train, None, 0)
        end = (
            to_us(self.observed)
            if start is None
            else start - self.evaluation.embargo // MICROSECOND
        )
        return Known.at(whole, train, end, self.horizon // MICROSECOND)


@dataclass(frozen=True)
class Learnt:
    """An encoding, the models that read it, by name, and what a search found, in plain values."""

    encoding: Encoding
    models: dict[str, Model]
    search: dict[str, Any]

    def margins(self, rows: Rows) -> Margins:
        """Return each model's raw log-odds of the rows."""
        x = self.encoding.encode(rows.matrix, rows.number)
        return {name: model.margin(x) for name, model in self.models.items()}


def rarer(label: np.ndarray) -> int:
    """Return how many rows have the rarer of the two labels."""
    return int(min(label.sum(), (1 - label).sum()))


def wanted(learners: Iterable[type[Model]]) -> set[str]:
    """Return the names of the models to learn for these learners: of a blend all its parts."""
    return {part for kind in learners for part in (BLENDED if kind is Blend else (kind.name,))}


def learn(known: Known, names: Container[str], settings: Settings) -> Learnt:
    """Learn the models of these names from what is known, those left out that it does not allow for."""
    rows = known.mature
    encoding = Encoding.fit(rows.matrix, rows.features, rows.number)
    choice, found = _choice(rows, encoding, settings)
    kept = strongest(
        lambda pilot: encoding.encode(rows.matrix, rows.number[pilot]),
        rows.label,
        encoding.categorical,
        settings.seed,
    )
    encoding = encoding.take(kept)
    whole = encoding.encode(rows.matrix, np.concatenate([rows.number, known.young.number]))
    x = whole[: len(rows.label)]
    lesson = _lesson(x, rows.entity_id, rows.cutoff, encoding, choice, settings)
    models: dict[str, Model] = {}
    for kind in (LightGbm, Logistic, *BASELINES):
        if kind.name in names:
            models[kind.name] = kind.fit(lesson, rows.label)
    if RECENT_LINE in names and settings.ordered:
        newest = choice.learning.model_copy(update={"recency_half_life": RECENT})
        weight = weights(rows.entity_id, rows.cutoff, newest)
        models[RECENT_LINE] = Logistic.fit(replace(lesson, weight=weight), rows.label)
    if Hazard.name in names and known.follows:
        models[Hazard.name] = _hazard(known, encoding, whole, choice, settings)
    return Learnt(encoding, models, found)


def _lesson(
    x: np.ndarray,
    entity_id: np.ndarray,
    cutoff: np.ndarray,
    encoding: Encoding,
    choice: Choice,
    settings: Settings,
) -> Lesson:
    repeats, weight = (
        len(entity_id) / len(set(entity_id)),
        weights(entity_id, cutoff, choice.learning),
    )
    return Lesson(x, encoding.categorical, settings.seed, repeats, weight, choice.parameters)


def _choice(rows: Rows, encoding: Encoding, settings: Settings) -> tuple[Choice, dict[str, Any]]:
    """Search if the config wants it and there is enough time to search in."""
    learning = settings.learning
    if learning.search is None:
        return Choice(learning), {}
    x = encoding.encode(rows.matrix, rows.number)
    sample = Sample(
        x, rows.label, encoding.categorical, rows.entity_id, rows.cutoff, settings.ordered
    )
    try:
        if settings.ordered:
            gaps = settings.horizon, settings.evaluation.embargo
            folds = rolling_origin(sample.cutoff, *gaps, SEARCH_FOLDS, SEARCH_SHARE)
        else:
            folds = by_entity(sample.entity_id, SEARCH_FOLDS, settings.seed + 3)
    except DataError:
        folds = []
    folds = [
        f for f in folds if rarer(sample.y[f.train]) >= FEWEST and rarer(sample.y[f.test]) >= FEWEST
    ]
    if len(folds) < 2:
        return Choice(learning), {}
    choice, report = search(sample, folds, learning, settings.seed)
    return choice, {"choice": choice.to_json(), "report": report.to_json()}


def _hazard(
    known: Known, encoding: Encoding, x: np.ndarray, choice: Choice, settings: Settings
) -> Hazard:
    entity_id = np.concatenate([known.mature.entity_id, known.young.entity_id])
    cutoff = np.concatenate([known.mature.cutoff, known.young.cutoff])
    lesson = _lesson(x, entity_id, cutoff, encoding, choice, settings)
    return Hazard.learn(lesson, known.followed(), settings.horizon / timedelta(days=1))


def blend_shares(margins: Margins, label: np.ndarray) -> dict[str, float]:
    """Return the share of each part of a blend, by rows that none of them learnt from."""
    names = [name for name in BLENDED if name in margins]
    return dict(zip(names, shares([margins[name] for name in names], label), strict=True))


def blended(margins: Margins, parts: dict[str, float]) -> np.ndarray:
    """Return the blend of log-odds by the shares of its parts."""
    return weighted([margins[name] for name in parts], list(parts.values()))


def blend_of(learnt: Learnt, parts: dict[str, float]) -> Blend:
    """Return the blend of learnt models; those without a share are left out."""
    chosen = [(learnt.models[name], share) for name, share in parts.items() if share > 0]
    kept = [(model, share) for model, share in chosen if isinstance(model, Part)]
    return Blend(tuple(model for model, _ in kept), tuple(share for _, share in kept))


def calibrators(
    whole: Rows, train: np.ndarray, settings: Settings
) -> tuple[dict[str, Affine], dict[str, float]]:
    """Return a calibrator for each candidate, and the shares of the blend, from rows held back.

    They are the latest slice of the rows of ``train``, predicted by models of the earlier. Calibrators are left out,
    which means identity, and trees are the whole blend, where that slice or what comes before it is too small.
    """
    mature = whole.take(train)
    inner = _inner(mature, settings)
    label = mature.label
    if (
        inner is None
        or rarer(label[inner.train]) < FEWEST
        or rarer(label[inner.test]) < FEWEST_EACH
    ):
        return {}, {LightGbm.name: 1.0}
    held = mature.take(inner.test)
    known = settings.known(whole, train[inner.train], int(held.cutoff.min()))
    margins = learn(known, wanted(settings.learners), settings).margins(held)
    parts = {}
    if Blend in settings.learners:
        parts = blend_shares(margins, held.label)
        margins[Blend.name] = blended(margins, parts)
    order = order_of(held, settings)
    fitted = {
        name: fit_calibrator(margin, held.label, order, held.entity_id)
        for name, margin in margins.items()
    }
    return fitted, parts


def _inner(rows: Rows, settings: Settings) -> Fold | None:
    try:
        if settings.ordered:
            return rolling_origin(
                rows.cutoff, settings.horizon, settings.evaluation.embargo, 1, INNER_SHARE
            )[0]
        return by_entity(rows.entity_id, INNER_PARTS, settings.seed + 1)[0]
    except DataError:
        return None


def order_of(rows: Rows, settings: Settings) -> np.ndarray:
    """Where time means nothing, two random halves of the entities stand for earlier and later."""
    return rows.cutoff if settings.ordered else entity_hash(rows.entity_id, settings.seed + 2)
