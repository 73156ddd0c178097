"""Fitting: all models of one encoding, from the rows available at an instant."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from configs.learning import Learning
from models.encoding import Encoding
from models.learners.base_rate import BaseRate
from models.learners.blend import Blend
from models.learners.fit_input import FitInput
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes
from models.learners.protocol import Model
from models.learners.target_encoding import TargetEncodedTrees
from models.training.blending import RECENT_LOGISTIC, Margins, blend_margins
from models.training.folds import Fold
from models.training.prepare import PreparedFeatures, prepare_features
from models.training.search import HyperparameterChoice
from models.training.settings import TrainingSettings
from models.training.training_rows import AvailableRows, TrainingTable

# Half-life of the recent logistic regression, as a share of the time that is trained on. Chosen
# with the tested rows of bank_marketing and xeducation in view (docs/training.md, "Blend").
RECENT_HALF_LIFE_SHARE = 0.05


@dataclass(frozen=True)
class FittedModels:
    """Models that read one encoding.

    Attributes:
        encoding: Features in the order in which the models read them.
        models: Fitted models by name.
        search: Choice and report of a hyperparameter search as JSON values; empty without one.
    """

    encoding: Encoding
    models: dict[str, Model]
    search: dict[str, Any]

    def predict_margins(self, table: TrainingTable) -> Margins:
        """Return each model's raw log-odds of the rows."""
        x = self.encoding.encode(table.matrix, table.row_number)
        return {name: model.margin(x) for name, model in self.models.items()}


def predict_held_out(
    table: TrainingTable, fold: Fold, names: Container[str], settings: TrainingSettings
) -> tuple[Margins, Encoding]:
    """Fit models on the rows available before a fold's test rows.

    Return their log-odds of the test rows, and the encoding that they read.
    """
    test = table.take(fold.test)
    known_until = settings.known_until(int(test.cutoff.min()))
    available = AvailableRows.from_cutoff(table, fold.train, known_until, settings.horizon_us)
    fitted = fit_models(available, names, settings)
    return fitted.predict_margins(test), fitted.encoding


def fit_models(
    available: AvailableRows, names: Container[str], settings: TrainingSettings
) -> FittedModels:
    """Fit the models of these names; those that the available rows do not allow are left out.

    Right-censored rows are used by the hazard model alone.
    """
    return fit_prepared_models(prepare_features(available, settings), available, names, settings)


def fit_prepared_models(
    features: PreparedFeatures,
    available: AvailableRows,
    names: Container[str],
    settings: TrainingSettings,
) -> FittedModels:
    """Fit the models of these names on the encoded features of the available rows."""
    encoding, choice = features.encoding, features.choice

    def make_fit_input(table: TrainingTable, learning: Learning) -> FitInput:
        return FitInput.from_rows(
            features.x[: len(table.label)],
            encoding.categorical,
            table.entity_id,
            table.cluster,
            table.cutoff,
            learning,
            choice.parameters,
            settings.seed,
            encoding.names,
        )

    table = available.mature
    fit_input = make_fit_input(table, choice.learning)
    models: dict[str, Model] = {}
    for learner in (LightGbm, Logistic, NaiveBayes, BaseRate):
        if learner.name in names:
            models[learner.name] = learner.fit(fit_input, table.label)
    if TargetEncodedTrees.name in names:
        asked_at, known_at = _order_outcomes(table, settings)
        timed = replace(fit_input, asked_at=asked_at, known_at=known_at)
        models[TargetEncodedTrees.name] = TargetEncodedTrees.fit(timed, table.label)
    # Weights by age need an order of the rows.
    if RECENT_LOGISTIC in names and settings.ordered:
        recent = choice.learning.model_copy(update={"recency_half_life": RECENT_HALF_LIFE_SHARE})
        models[RECENT_LOGISTIC] = Logistic.fit(make_fit_input(table, recent), table.label)
    # A baseline needs at least one outcome that was observed at a known time.
    follow_up = available.follow_up
    if Hazard.name in names and follow_up is not None and follow_up.observed.any():
        horizon_days = settings.horizon / timedelta(days=1)
        fit_input = make_fit_input(available.all_rows, choice.learning)
        models[Hazard.name] = Hazard.fit_follow_up(fit_input, follow_up, horizon_days)
    return FittedModels(encoding, models, features.search)


@dataclass(frozen=True)
class OwnModel:
    """How the own model of a segment is fitted: as the global one, on fewer rows.

    Attributes:
        learner: Learner of the global model.
        encoding: Features that the global model reads.
        shares: Share of each part of a blend.
    """

    learner: type[Model]
    encoding: Encoding
    shares: Mapping[str, float]

    def fit_models(
        self,
        segment: TrainingTable,
        train: np.ndarray,
        known_until: int | None,
        settings: TrainingSettings,
    ) -> FittedModels:
        """Fit on the rows of a segment, as far as known at ``known_until``.

        ``train`` are the positions of the mature ones. Parameters that a search found for the
        global model are not used: they fit a table of another size.
        """
        available = AvailableRows.from_cutoff(segment, train, known_until, settings.horizon_us)
        x = self.encoding.encode(segment.matrix, available.all_rows.row_number)
        features = PreparedFeatures(x, self.encoding, HyperparameterChoice(settings.learning), {})
        names = self._list_parts() if self.learner is Blend else [self.learner.name]
        return fit_prepared_models(features, available, names, settings)

    def predict_fold(
        self, table: TrainingTable, rows: np.ndarray, fold: Fold, settings: TrainingSettings
    ) -> np.ndarray:
        """Return the log-odds of the fold's test rows among ``rows``, those of the segment."""
        # The instant is that of the global model, which has the same test window.
        known_until = settings.known_until(int(table.cutoff[fold.test].min()))
        train = np.flatnonzero(np.isin(rows, fold.train))
        test = table.take(fold.test[np.isin(fold.test, rows)])
        fitted = self.fit_models(table.take(rows), train, known_until, settings)
        return self._select_margin(fitted.predict_margins(test))

    def _select_margin(self, margins: Margins) -> np.ndarray:
        if self.learner is Blend:
            return blend_margins(margins, self._list_parts())
        return margins[self.learner.name]

    def _list_parts(self) -> dict[str, float]:
        return {name: share for name, share in self.shares.items() if share > 0}


def _order_outcomes(
    table: TrainingTable, settings: TrainingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Return when each row was asked and its outcome known, int64 (rows,).

    In microseconds UTC. Where the order of rows means nothing, clusters are asked in random order,
    the rows of one at the same time.
    """
    if settings.ordered:
        return table.cutoff, table.cutoff + max(settings.horizon_us, 1)
    _, cluster = np.unique(table.cluster.astype(str), return_inverse=True)
    place = np.random.default_rng(settings.seed).permutation(cluster.max() + 1)[cluster]
    return place, place + 1
