"""The learners behind one small protocol: LightGBM, logistic regression, the CRM's naive Bayes, the base rate.

Input everywhere: ``x`` (rows, features) float64, NaN where missing, categories as codes 0, 1, …; ``y`` (rows,)
0 or 1, both present. Output is in log-odds. Each model is stored as text that holds no code, and is the same to
the bit after it was read back, because ``fit`` itself keeps only what is stored.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from models.naive_bayes import NaiveBayes
from models.stored import read_json, read_text, unreadable, write_json

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
LIGHTGBM = {**TREES, "bagging_fraction": 0.8, "bagging_freq": 1, "cat_smooth": 10.0, "min_data_per_group": 20}
ROUNDS = 200
FEW = 20_000
"""Rows below which a table counts as small."""
WIDE = 100
"""Columns from which a table counts as wide."""
REPEATED = 2.0
"""Rows an entity from which its rows count as repeats of each other."""
MAX_LEVELS = 30
"""Frequent categories that the logistic regression tells apart; the others count as one."""
INVERSE_PENALTY = 1.0
"""Of the logistic regression: the variance of the normal prior of its weights."""


class Model(Protocol):
    """What can be learnt, asked, explained and stored."""

    name: ClassVar[str]
    file: ClassVar[str]

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        categorical: list[int],
        seed: int,
        repeats: float = 1.0,
        weight: np.ndarray | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn from rows; ``categorical`` are the columns that hold codes, ``repeats`` how many rows an entity has.

        ``weight`` (rows,) says how much each row counts, on average 1; without it all count alike. ``parameters`` are
        LightGBM's, by its names for them, in place of those that it would be given; the other learners have none.
        """

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row; a row's value does not depend on the rows beside it."""

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) in log-odds that sum to the margin; the last column is the bias."""

    def save(self, directory: Path) -> None:
        """Write ``file`` into the directory; the same bytes for the same model."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote; raises DataError if it is not there or not readable."""


@dataclass(frozen=True)
class LightGbm:
    """Gradient-boosted trees on native categories and missing values, as LightGBM's own text.

    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017.
    """

    text: str
    name: ClassVar[str] = "lightgbm"
    file: ClassVar[str] = "model.txt"

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        categorical: list[int],
        seed: int,
        repeats: float = 1.0,
        weight: np.ndarray | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn trees; unless given, parameters depend on the number of rows only, nothing is tuned on ``y``.

        Where an entity has several rows, a threshold that fits best is found on few independent leads: then one random
        threshold a feature is tried instead (Geurts, Ernst & Wehenkel, "Extremely randomized trees", 2006).
        """
        import lightgbm

        settings = {**own_parameters(len(x), x.shape[1], repeats), "seed": seed, **(parameters or {})}
        rows = lightgbm.Dataset(x, y, weight=weight, categorical_feature=categorical, params=settings)
        booster = lightgbm.train(settings, rows)
        return cls(_trees_only(booster.model_to_string()))

    @functools.cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row: the sum over the trees."""
        if not len(x):
            return np.zeros(0)
        return self._booster.predict(x, raw_score=True, num_threads=1)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return exact TreeSHAP values (Lundberg et al., Nature Machine Intelligence 2, 2020), bias last."""
        if not len(x):
            return np.zeros((0, x.shape[1] + 1))
        return self._booster.predict(x, pred_contrib=True, num_threads=0 if len(x) > 1000 else 1)

    def save(self, directory: Path) -> None:
        """Write ``model.txt``."""
        (directory / self.file).write_text(self.text, encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``model.txt``; raises DataError if it is not there or not a model."""
        import lightgbm

        model = cls(read_text(directory / cls.file))
        try:
            _ = model._booster
        except lightgbm.basic.LightGBMError as error:
            raise unreadable(directory / cls.file, error) from error
        return model


def own_parameters(rows: int, features: int, repeats: float) -> dict[str, Any]:
    """Return the parameters, by LightGBM's names, that a table of this size is learnt with unless others are given."""
    return {**LIGHTGBM, **_size(rows, features), "extra_trees": repeats >= REPEATED}


def _size(rows: int, features: int) -> dict[str, float]:
    """Grow the trees with the data: what few rows cannot tell is not asked of them."""
    return {
        "num_leaves": int(np.clip(6 + rows // 3000, 6, 31)),
        "min_data_in_leaf": int(np.clip(rows // 500, 5, 100)),
        "feature_fraction": float(np.clip(30 / features, 0.15, 1.0)),
        # Small steps, if not too many, even out the luck of the seed; on large tables they only cost.
        "learning_rate": 0.02 if rows < FEW else 0.05,
        "num_iterations": 2 * ROUNDS if rows < FEW else ROUNDS,
        "max_bin": 255 if features <= WIDE else 63,  # many columns say much the same: coarser is faster and no worse
    }


def _trees_only(text: str) -> str:
    """Leave out the settings that LightGBM appends: they name threads and say nothing about predictions."""
    return text[: text.index("\nparameters:")] + "\n"


@dataclass(frozen=True)
class Term:
    """What one feature of a logistic regression adds to the log-odds, on average 0 where it learnt.

    A number v has the basis ``signed_log((v - center) / scale)``, 0 where missing, and whether it is missing;
    a category one column per frequent code and whether it is missing. ``weights`` belong to these columns.
    """

    category: bool
    center: float
    scale: float
    weights: tuple[float, ...]
    offset: float = 0.0

    @classmethod
    def plan(cls, column: np.ndarray, category: bool) -> Self:
        """Choose the basis for a column; the weights are still 0."""
        known = column[~np.isnan(column)]
        if category:
            levels = int(min(known.max(initial=-1) + 1, MAX_LEVELS))
            return cls(True, 0.0, 1.0, (0.0,) * (levels + 1))
        center = float(np.median(known)) if known.size else 0.0
        scale = float(np.abs(known - center).mean()) if known.size else 0.0
        return cls(False, center, scale or 1.0, (0.0, 0.0))

    def basis(self, column: np.ndarray) -> np.ndarray:
        """Return (rows, weights) float32, the part of the design matrix that belongs to this feature."""
        absent = np.isnan(column)
        if not self.category:
            return np.column_stack([self._curve(column), absent]).astype(np.float32)
        codes = np.where(absent, len(self.weights) - 1, column)
        codes[~absent & (column >= len(self.weights) - 1)] = -1
        return (codes[:, None] == np.arange(len(self.weights))).astype(np.float32)

    def add(self, column: np.ndarray) -> np.ndarray:
        """Return the log-odds that each value adds; element by element, so no row depends on another."""
        absent = np.isnan(column)
        if not self.category:
            slope, missing = self.weights
            return slope * self._curve(column) + np.where(absent, missing, 0.0) - self.offset
        *levels, missing = self.weights
        codes = np.where(absent, 0.0, np.minimum(column, len(levels))).astype(np.int64)
        return np.where(absent, missing, np.array([*levels, 0.0])[codes]) - self.offset

    def _curve(self, column: np.ndarray) -> np.ndarray:
        """Straight near the centre and logarithmic far from it: counts and amounts have heavy tails."""
        distance = np.where(np.isnan(column), 0.0, (column - self.center) / self.scale)
        return np.copysign(np.log1p(np.abs(distance)), distance)


@dataclass(frozen=True)
class Logistic:
    """Ridge logistic regression on standardised numbers and one-hot categories, as JSON."""

    bias: float
    terms: tuple[Term, ...]
    name: ClassVar[str] = "logistic"
    file: ClassVar[str] = "logistic.json"

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        categorical: list[int],
        seed: int,
        repeats: float = 1.0,
        weight: np.ndarray | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn by penalised maximum likelihood; the solution is unique, so the seed plays no part."""
        plans = [Term.plan(x[:, j], j in categorical) for j in range(x.shape[1])]
        design = np.column_stack([plan.basis(x[:, j]) for j, plan in enumerate(plans)])
        intercept, weights = _ridge(design, y, _number_columns(plans), weight)
        parts = np.split(weights, np.cumsum([len(plan.weights) for plan in plans])[:-1])
        means = np.split(design.mean(axis=0, dtype=np.float64), np.cumsum([len(p.weights) for p in plans])[:-1])
        offsets = [float(np.sum(w * m)) for w, m in zip(parts, means, strict=True)]
        terms = [
            replace(plan, weights=tuple(w.tolist()), offset=offset)
            for plan, w, offset in zip(plans, parts, offsets, strict=True)
        ]
        return cls(intercept + sum(offsets), tuple(terms))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, added up from left to right."""
        total = np.full(len(x), self.bias)
        for j, term in enumerate(self.terms):
            total += term.add(x[:, j])
        return total

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return each term's part: the SHAP values of a linear model with independent features, bias last."""
        added = [term.add(x[:, j]) for j, term in enumerate(self.terms)]
        return np.column_stack([*added, np.full(len(x), self.bias)])

    def save(self, directory: Path) -> None:
        """Write ``logistic.json``; Python writes a float so that it reads back to the same bits."""
        write_json(directory / self.file, {"bias": self.bias, "terms": [asdict(term) for term in self.terms]})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``logistic.json``; raises DataError if it is not there or not a model."""
        data = read_json(directory / cls.file)
        try:
            terms = [Term(**{**term, "weights": tuple(term["weights"])}) for term in data["terms"]]
            return cls(float(data["bias"]), tuple(terms))
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(directory / cls.file, error) from error


@dataclass(frozen=True)
class BaseRate:
    """The share of outcomes among the rows learnt from, for everyone: what a model must at least beat."""

    bias: float
    name: ClassVar[str] = "base_rate"
    file: ClassVar[str] = "base_rate.json"

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        categorical: list[int],
        seed: int,
        repeats: float = 1.0,
        weight: np.ndarray | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn the log-odds of the share of outcomes; both classes must occur. Every row counts alike."""
        return cls(float(np.log(np.sum(y) / np.sum(1 - y))))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the same log-odds for each row."""
        return np.full(len(x), self.bias)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return zeros and the bias."""
        return np.column_stack([np.zeros(x.shape), self.margin(x)])

    def save(self, directory: Path) -> None:
        """Write ``base_rate.json``."""
        write_json(directory / self.file, {"bias": self.bias})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``base_rate.json``; raises DataError if it is not there or not a model."""
        data = read_json(directory / cls.file)
        try:
            return cls(float(data["bias"]))
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(directory / cls.file, error) from error


LEARNERS: dict[str, type[Model]] = {model.name: model for model in (LightGbm, Logistic, NaiveBayes, BaseRate)}


def _number_columns(plans: list[Term]) -> np.ndarray:
    """Places of the curves of numbers in the design; all other columns are 0 or 1."""
    starts = np.cumsum([0, *[len(plan.weights) for plan in plans]])
    return np.array([s for s, plan in zip(starts, plans, strict=False) if not plan.category], dtype=np.int64)


def _ridge(
    design: np.ndarray, y: np.ndarray, numbers: np.ndarray, weight: np.ndarray | None
) -> tuple[float, np.ndarray]:
    """Return intercept and weights of a ridge logistic regression.

    Numbers are brought to unit spread, so that the penalty treats them alike; indicators are left as they
    are, so that it holds rare ones back.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    spread = np.ones(design.shape[1])
    spread[numbers] = design[:, numbers].std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1.0
    # More threads would add up in another order: the last bits would depend on the number of cores.
    with threadpool_limits(1):
        learnt = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        learnt.fit(design / spread.astype(np.float32), y, sample_weight=weight)
    return float(learnt.intercept_[0]), learnt.coef_[0].astype(np.float64) / spread
