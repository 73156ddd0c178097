"""LightGBM: gradient-boosted trees with parameters that grow with the data."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from models.learners.fit_input import FitInput
from models.serialization import read_text, unreadable_model_error

# Small trees, slow steps and strong smoothing: leads are few, outcomes rare and columns noisy. One
# thread a model: several models are fitted in parallel instead, as threads of one model wait for
# each other hundreds of times a second, which on a busy machine costs four times the work. By
# column, more threads would still add up in the same order.
# lambda_l2 and the number of leaves below were tuned on real leads.
TREE_PARAMETERS = {
    "objective": "binary",
    "lambda_l2": 20.0,
    "cat_l2": 20.0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
DEFAULT_PARAMETERS = {
    **TREE_PARAMETERS,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 10.0,
    "min_data_per_group": 20,
}
ROUNDS = 200
# A table with fewer rows counts as small.
SMALL_TABLE_ROWS = 20_000
# A table with more features counts as wide.
WIDE_TABLE_FEATURES = 100
# From so many rows a cluster (an account, or an entity without one), they count as repeats. By
# account, the log loss on new accounts fell by 0.003 with three entities an account and by 0.006
# with ten (simulated, one row an entity, with an effect of the account).
REPEATED_ROWS_PER_CLUSTER = 2.0


@dataclass(frozen=True)
class LightGbm:
    """Gradient-boosted trees on native categories and missing values.

    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017.

    Attributes:
        text: The model in LightGBM's own text format, without its parameters.
    """

    text: str
    name: ClassVar[str] = "lightgbm"
    file: ClassVar[str] = "model.txt"

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Fit trees on labels ``y``, 0 or 1.

        Unless given, parameters depend on the shape of the table only: nothing is tuned on ``y``.
        Where a cluster has several rows, the best threshold is found on few independent leads.
        Then one random threshold a feature is tried instead (Geurts, Ernst & Wehenkel, "Extremely
        randomized trees", 2006).
        """
        return cls.fit_trees(fit_input, y, fit_input.parameters)

    @classmethod
    def fit_trees(
        cls,
        fit_input: FitInput,
        y: np.ndarray,
        parameters: Mapping[str, Any],
        init_score: np.ndarray | None = None,
    ) -> Self:
        """Fit trees with ``parameters`` in place of those chosen for a table of this shape.

        ``init_score`` (rows,) is the margin of each row before the first tree; it is not part of
        the model.
        """
        import lightgbm

        x = fit_input.x
        all_parameters = {
            **choose_parameters(len(x), x.shape[1], fit_input.rows_per_cluster),
            "seed": fit_input.seed,
            # Last, so that given parameters replace the chosen ones.
            **parameters,
        }
        dataset = lightgbm.Dataset(
            x,
            y,
            weight=fit_input.weight,
            init_score=init_score,
            categorical_feature=fit_input.categorical,
            params=all_parameters,
        )
        return cls(_strip_parameters(lightgbm.train(all_parameters, dataset).model_to_string()))

    @functools.cached_property
    def _predictor(self) -> Any:
        from models.trees.predict import MarginPredictor

        return MarginPredictor.from_text(self.text)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row: the sum over the trees, to LightGBM's own bit.

        One thread adds up the trees.
        """
        return self._predictor.margin(x)

    @functools.cached_property
    def _explainer(self) -> Any:
        from models.trees.shap import ShapExplainer

        return ShapExplainer.from_text(self.text)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return exact TreeSHAP values, bias last.

        Lundberg et al., Nature Machine Intelligence 2, 2020.
        """
        return self._explainer.contributions(x)

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether the trees were trained on as many features."""
        return bool(self._predictor.feature_count == len(is_category))

    def to_json(self) -> str:
        """Return LightGBM's own text."""
        return self.text

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model of LightGBM's own text; raise DamagedModelError for any other text.

        LightGBM itself, which takes a second to import, is not needed: prediction reads the text
        without it.
        """
        model = cls(str(data))
        _ = model._predictor
        return model

    def save(self, directory: Path) -> None:
        """Write ``model.txt``."""
        (directory / self.file).write_text(self.text, encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``model.txt``; raise DataError if it is absent or not a model."""
        text = read_text(directory / cls.file)
        try:
            return cls.from_json(text)
        except ValueError as error:
            raise unreadable_model_error(directory / cls.file, error) from error


def choose_parameters(rows: int, features: int, rows_per_cluster: float) -> dict[str, Any]:
    """Return LightGBM's parameters, by its own names, for a table of this shape."""
    random = rows_per_cluster >= REPEATED_ROWS_PER_CLUSTER
    size = _scale_trees(rows, rows / rows_per_cluster if random else rows)
    # A tree that tries random thresholds needs more features to find a good one.
    share = float(np.clip((60 if random else 30) / features, 0.15, 1.0))
    # In a wide table many columns say much the same: coarser bins are faster and no worse.
    shape = {
        "feature_fraction": share,
        "max_bin": 255 if features <= WIDE_TABLE_FEATURES else 63,
    }
    return {**DEFAULT_PARAMETERS, **size, **shape, "extra_trees": random}


def _scale_trees(rows: int, independent_rows: float) -> dict[str, float]:
    """Return size and number of trees: their complexity grows with the independent rows."""
    small = rows < SMALL_TABLE_ROWS
    return {
        "num_leaves": int(np.clip(6 + independent_rows // 3000, 6, 31)),
        "min_data_in_leaf": int(np.clip(rows // 500, 5, 100)),
        # Many small steps even out the luck of the seed; on large tables they only cost time.
        "learning_rate": 0.02 if small else 0.05,
        "num_iterations": 2 * ROUNDS if small else ROUNDS,
    }


def _strip_parameters(text: str) -> str:
    """Remove the parameters that LightGBM appends: they name threads and predict nothing."""
    return text[: text.index("\nparameters:")] + "\n"
