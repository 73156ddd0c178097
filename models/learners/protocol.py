"""Protocols of models and learners.

Input everywhere: ``x`` (rows, features) float64, NaN where missing, categories as codes 0, 1, ….
Output is in log-odds. Each model is stored as text that holds no code. It is the same to the bit
after it is read back, because ``fit`` itself keeps only what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from models.learners.fit_input import FitInput


class Model(Protocol):
    """A fitted model: predicts, explains its predictions, and can be stored."""

    name: ClassVar[str]
    file: ClassVar[str]

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row; a row's value does not depend on the other rows."""

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) in log-odds that sum to the margin; the bias is last."""

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether the model reads rows of these features: for each, if it is a category."""

    def save(self, directory: Path) -> None:
        """Write ``file`` into the directory; the same bytes for the same model."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a saved model; raise DataError if the file is absent or not readable."""


class Learner(Model, Protocol):
    """A model that is fitted on labels alone."""

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Fit on the rows of ``fit_input`` and their labels ``y``, 0 or 1, both present."""
