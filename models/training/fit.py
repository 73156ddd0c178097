"""Fitting: encoding, features, hyperparameters and models, from the rows known at an instant."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from models.encoding import Encoding
from models.learners.base_rate import BaseRate
from models.learners.fit_input import FitInput
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes
from models.learners.protocol import Model
from models.sample_weights import compute_sample_weights
from models.training.blending import RECENT_LOGISTIC, Margins
from models.training.folds import Fold
from models.training.search import HyperparameterChoice, choose_hyperparameters
from models.training.selection import select_strongest_features
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
) -> Margins:
    """Fit models on what was known before a fold's test rows; return their log-odds of these."""
    test = table.take(fold.test)
    known_until = settings.known_until(int(test.cutoff.min()))
    available = AvailableRows.from_cutoff(table, fold.train, known_until, settings.horizon_us)
    return fit_models(available, names, settings).predict_margins(test)


def fit_models(
    available: AvailableRows, names: Container[str], settings: TrainingSettings
) -> FittedModels:
    """Fit the models of these names; those that the available rows do not allow are left out.

    Right-censored rows are used by the hazard model alone.
    """
    rows = available.mature
    encoding = Encoding.fit(rows.matrix, rows.feature_names, rows.row_number)
    choice, search = choose_hyperparameters(rows, encoding, settings)
    encoding = encoding.take(_select_features(rows, encoding, settings.seed))
    # Encoded once for all models: the mature rows come first, the censored ones follow.
    all_rows = available.all_rows
    x = encoding.encode(all_rows.matrix, all_rows.row_number)
    fit_input = _make_fit_input(x[: len(rows.label)], rows, encoding, choice, settings)
    models = _fit_on_labels(fit_input, rows, names, choice, settings)
    if Hazard.name in names and available.has_outcome_times:
        models[Hazard.name] = Hazard.fit_follow_up(
            _make_fit_input(x, all_rows, encoding, choice, settings),
            available.follow_up(),
            settings.horizon / timedelta(days=1),
        )
    return FittedModels(encoding, models, search)


def _select_features(rows: TrainingTable, encoding: Encoding, seed: int) -> np.ndarray:
    return select_strongest_features(
        lambda pilot: encoding.encode(rows.matrix, rows.row_number[pilot]),
        rows.label,
        encoding.categorical,
        seed,
    )


def _make_fit_input(
    x: np.ndarray,
    rows: TrainingTable,
    encoding: Encoding,
    choice: HyperparameterChoice,
    settings: TrainingSettings,
) -> FitInput:
    return FitInput(
        x,
        encoding.categorical,
        settings.seed,
        len(rows.entity_id) / len(set(rows.entity_id)),
        compute_sample_weights(rows.entity_id, rows.cutoff, choice.learning),
        choice.parameters,
    )


def _fit_on_labels(
    fit_input: FitInput,
    rows: TrainingTable,
    names: Container[str],
    choice: HyperparameterChoice,
    settings: TrainingSettings,
) -> dict[str, Model]:
    models: dict[str, Model] = {}
    for learner in (LightGbm, Logistic, NaiveBayes, BaseRate):
        if learner.name in names:
            models[learner.name] = learner.fit(fit_input, rows.label)
    # Weights by age need an order of the rows.
    if RECENT_LOGISTIC in names and settings.ordered:
        recent = choice.learning.model_copy(update={"recency_half_life": RECENT_HALF_LIFE_SHARE})
        weight = compute_sample_weights(rows.entity_id, rows.cutoff, recent)
        models[RECENT_LOGISTIC] = Logistic.fit(replace(fit_input, weight=weight), rows.label)
    return models
