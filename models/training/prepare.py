"""Preparation of a fit: encoding, hyperparameters and feature selection, from available rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.encoding import Encoding
from models.regression.logistic_prior import find_default_columns
from models.training.search import HyperparameterChoice, choose_hyperparameters
from models.training.selection import select_strongest_features
from models.training.settings import TrainingSettings
from models.training.training_rows import AvailableRows


@dataclass(frozen=True)
class PreparedFeatures:
    """Encoded features of available rows, and the settings to fit with.

    Attributes:
        x: Encoded features (rows, features) of all available rows, the mature ones first.
        encoding: Selected features, in the order of the columns of ``x``.
        choice: Sample weights and LightGBM parameters to fit with.
        search: Choice and report of a hyperparameter search as JSON values; empty without one.
    """

    x: np.ndarray
    encoding: Encoding
    choice: HyperparameterChoice
    search: dict[str, Any]


def prepare_features(available: AvailableRows, settings: TrainingSettings) -> PreparedFeatures:
    """Encode the available rows; encoding, search and selection see the mature rows alone.

    The column of segments is selected in any case, since the choice of a segment's model compares
    others with a model that has the segment as a feature.
    """
    table = available.mature
    encoding = Encoding.fit(table.matrix, table.feature_names, table.row_number)
    choice, search = choose_hyperparameters(table, encoding, settings)
    follow_up = available.follow_up
    activity = None if follow_up is None else follow_up.activity
    columns = select_strongest_features(
        lambda pilot: encoding.encode(table.matrix, table.row_number[pilot]),
        table.label,
        encoding.categorical,
        settings.seed,
        # The prior of the logistic regression is about these: with few outcomes the pilot model
        # cannot see that they are informative.
        find_default_columns(encoding.names),
        None if activity is None else activity[: len(table.label)],
    )
    required = [j for j, name in enumerate(encoding.names) if name == settings.segment_column]
    encoding = encoding.take(np.union1d(columns, required).astype(np.int64))
    # Encoded once for all models, so that the matrix is in memory only once.
    x = encoding.encode(table.matrix, available.all_rows.row_number)
    return PreparedFeatures(x, encoding, choice, search)
