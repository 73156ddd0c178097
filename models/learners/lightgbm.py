"""What learns and what it gives: the protocol of all models, LightGBM, and the base rate.

Input everywhere: ``x`` (rows, features) float64, NaN where missing, categories as codes 0, 1, …. Output is in log-odds.
Each model is stored as text that holds no code, and is the same to the bit after it was read back, because ``fit``
itself keeps only what is stored.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from models.learners.fit_input import Lesson
from models.serialization import JsonModel, read_text, unreadable

# Small trees, slow steps and strong smoothing: leads are few, outcomes rare and columns noisy. One thread a model:
# several models learn side by side instead, as threads of one model wait for each other hundreds of times a second,
# which on a busy machine costs four times the work. By column, more threads would still add up in the same order.
TREES = {
    "objective": "binary",
    "lambda_l2": 20.0,
    "cat_l2": 20.0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
LIGHTGBM = {
    **TREES,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 10.0,
    "min_data_per_group": 20,
}
ROUNDS = 200
FEW = 20_000
"""Rows below which a table counts as small."""
WIDE = 100
"""Columns from which a table counts as wide."""
REPEATED = 2.0
"""Rows an entity from which its rows count as repeats of each other."""


class Model(Protocol):
    """What can be asked, explained and stored."""

    name: ClassVar[str]
    file: ClassVar[str]

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row; a row's value does not depend on the rows beside it."""

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) in log-odds that sum to the margin; the last column is the bias."""

    def save(self, directory: Path) -> None:
        """Write ``file`` into the directory; the same bytes for the same model."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote; raises DataError if it is not there or not readable."""


class Learner(Model, Protocol):
    """A model that learns from labels alone."""

    @classmethod
    def fit(cls, lesson: Lesson, y: np.ndarray) -> Self:
        """Learn from the rows of a lesson and the outcome ``y`` of each, 0 or 1, both present."""


@dataclass(frozen=True)
class LightGbm:
    """Gradient-boosted trees on native categories and missing values, as LightGBM's own text.

    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017.
    """

    text: str
    name: ClassVar[str] = "lightgbm"
    file: ClassVar[str] = "model.txt"

    @classmethod
    def fit(cls, lesson: Lesson, y: np.ndarray) -> Self:
        """Learn trees; unless given, parameters depend on the number of rows only, nothing is tuned on ``y``.

        Where an entity has several rows, a threshold that fits best is found on few independent leads: then one random
        threshold a feature is tried instead (Geurts, Ernst & Wehenkel, "Extremely randomized trees", 2006).
        """
        return cls.grow(lesson, y, lesson.parameters)

    @classmethod
    def grow(
        cls,
        lesson: Lesson,
        y: np.ndarray,
        settings: Mapping[str, Any],
        start: np.ndarray | None = None,
    ) -> Self:
        """Learn trees with these ``settings`` in place of LightGBM's own for such a lesson.

        ``start`` (rows,) is what each row has before the first tree; it is not part of the model.
        """
        import lightgbm

        own = {
            **own_parameters(len(lesson.x), lesson.x.shape[1], lesson.repeats),
            "seed": lesson.seed,
            **settings,
        }
        codes = lesson.categorical
        rows = lightgbm.Dataset(
            lesson.x,
            y,
            weight=lesson.weight,
            init_score=start,
            categorical_feature=codes,
            params=own,
        )
        return cls(_trees_only(lightgbm.train(own, rows).model_to_string()))

    @functools.cached_property
    def _adder(self) -> Any:
        from models.trees.predict import Adder

        return Adder.of(self.text)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row: the sum over the trees, on one thread and to LightGBM's own bit."""
        return self._adder.margin(x)

    @functools.cached_property
    def _explainer(self) -> Any:
        from models.trees.shap import Explainer

        return Explainer.of(self.text)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return exact TreeSHAP values (Lundberg et al., Nature Machine Intelligence 2, 2020), bias last."""
        return self._explainer.contributions(x)

    def to_json(self) -> str:
        """Return LightGBM's own text."""
        return self.text

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model of LightGBM's own text; raises ValueError if it is none.

        LightGBM itself, which takes a second to import, is not asked: what predicts reads the text without it.
        """
        model = cls(str(data))
        try:
            _ = model._adder
        except (KeyError, IndexError) as error:
            raise ValueError(f"not LightGBM's text: {error!r}") from error
        return model

    def save(self, directory: Path) -> None:
        """Write ``model.txt``."""
        (directory / self.file).write_text(self.text, encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``model.txt``; raises DataError if it is not there or not a model."""
        text = read_text(directory / cls.file)
        try:
            return cls.from_json(text)
        except ValueError as error:
            raise unreadable(directory / cls.file, error) from error


def own_parameters(rows: int, features: int, repeats: float) -> dict[str, Any]:
    """Return the parameters, by LightGBM's names, that a table of this size is learnt with unless others are given."""
    random = repeats >= REPEATED
    size = _size(rows, rows / repeats if random else rows)
    # A tree that tries random thresholds needs more features to find a good one.
    share = float(np.clip((60 if random else 30) / features, 0.15, 1.0))
    # Many columns say much the same: coarser is faster and no worse.
    shape = {"feature_fraction": share, "max_bin": 255 if features <= WIDE else 63}
    return {**LIGHTGBM, **size, **shape, "extra_trees": random}


def _size(rows: int, independent: float) -> dict[str, float]:
    """Grow the trees with the data: what few independent rows cannot tell is not asked of them."""
    return {
        "num_leaves": int(np.clip(6 + independent // 3000, 6, 31)),
        "min_data_in_leaf": int(np.clip(rows // 500, 5, 100)),
        # Small steps, if not too many, even out the luck of the seed; on large tables they only cost.
        "learning_rate": 0.02 if rows < FEW else 0.05,
        "num_iterations": 2 * ROUNDS if rows < FEW else ROUNDS,
    }


def _trees_only(text: str) -> str:
    """Leave out the settings that LightGBM appends: they name threads and say nothing about predictions."""
    return text[: text.index("\nparameters:")] + "\n"


@dataclass(frozen=True)
class BaseRate(JsonModel):
    """The share of outcomes among the rows learnt from, for everyone: what a model must at least beat."""

    bias: float
    name: ClassVar[str] = "base_rate"
    file: ClassVar[str] = "base_rate.json"

    @classmethod
    def fit(cls, lesson: Lesson, y: np.ndarray) -> Self:
        """Learn the log-odds of the share of outcomes; both classes must occur. Every row counts alike."""
        return cls(float(np.log(np.sum(y) / np.sum(1 - y))))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the same log-odds for each row."""
        return np.full(len(x), self.bias)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return zeros and the bias."""
        return np.column_stack([np.zeros(x.shape), self.margin(x)])

    def to_json(self) -> dict[str, float]:
        """Return the bias."""
        return {"bias": self.bias}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model that ``to_json`` described."""
        return cls(float(data["bias"]))
