"""Amount model: the expected amount of an outcome, given that it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from models.calibration import MIN_CALIBRATION_ROWS, Z90, compute_clustered_error
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.sample_weights import weigh_entities_equally
from models.stored_json import StoredAmount, check_stored

NO_AMOUNTS = "no outcome in the training rows has an amount, so there is no expected value"
# Amounts are skewed, some are zero, and large ones vary more: Tweedie. Few rows carry an amount:
# small trees, which start from the mean.
TWEEDIE_PARAMETERS = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.5,
    "boost_from_average": False,
    "num_iterations": 100,
    "learning_rate": 0.05,
    "num_leaves": 6,
    "min_data_in_leaf": 20,
}


@dataclass(frozen=True)
class AmountRows:
    """Rows with the outcome and a known amount.

    Attributes:
        x: Encoded features (rows, features).
        amount: Amount of each outcome, in its unit.
        entity_id: Entity of each row (text).
        order: Rises with time, such as the cutoff.
        cluster: Key of the rows that depend on each other, such as those of an account; None for
            the entity.
    """

    x: np.ndarray
    amount: np.ndarray
    entity_id: np.ndarray
    order: np.ndarray
    cluster: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> AmountRows:
        """Return the rows of an index or a mask."""
        cluster = None if self.cluster is None else self.cluster[rows]
        return AmountRows(
            self.x[rows], self.amount[rows], self.entity_id[rows], self.order[rows], cluster
        )

    @property
    def clusters(self) -> np.ndarray:
        """Key of the rows that depend on each other."""
        return self.entity_id if self.cluster is None else self.cluster

    @cached_property
    def weight(self) -> np.ndarray:
        """Sample weights (rows,), 1 on average: each entity weighs the same in total."""
        weights = weigh_entities_equally(self.entity_id)
        return weights / weights.mean()


@dataclass(frozen=True)
class AmountTrial:
    """Out-of-time comparison of trees and mean, both fitted on earlier entities.

    Attributes:
        entities: Number of later entities that were tested.
        mean_deviance: Mean Tweedie deviance of the mean; less is better.
        tree_deviance: Mean Tweedie deviance of the trees; less is better.
        expected: Mean amount that the better one predicted for the later entities.
        observed: Mean amount of their outcomes.
    """

    entities: int
    mean_deviance: float
    tree_deviance: float
    expected: float
    observed: float

    def to_json(self) -> dict[str, Any]:
        """Return the stored keys, which are older than the field names."""
        return {
            "entities": self.entities,
            "mean": self.mean_deviance,
            "trees": self.tree_deviance,
            "expected": self.expected,
            "happened": self.observed,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the trial that ``to_json`` described; raise KeyError for an absent key."""
        keys = ("entities", "mean", "trees", "expected", "happened")
        return cls(*(data[key] for key in keys))


@dataclass(frozen=True)
class AmountModel:
    """Expected amount of an outcome: ``level``, times the trees' factor of the row if any.

    Attributes:
        level: Amount where the trees' margin is 0; the mean amount without trees.
        trees: Model of the log of a row's amount relative to the level.
        entities: Number of entities that the model was fitted on.
        mean: Mean amount of their outcomes, each entity weighing the same.
        trial: Out-of-time comparison that decided about the trees; None if there was none.
    """

    level: float
    trees: LightGbm | None
    entities: int
    mean: float
    trial: AmountTrial | None = None

    @classmethod
    def fit(cls, rows: AmountRows, categorical: list[int], seed: int = 0) -> AmountModel | None:
        """Fit on rows with a finite amount; return None if there are none.

        Trees have a Tweedie loss of power 1.5 and a log link (Jørgensen, "Exponential dispersion
        models", J. R. Stat. Soc. B 49, 1987). They are scaled to the level at which their mean
        prediction is the mean amount of the training rows. They are used only where trees of the
        earlier half of the entities beat its mean on the later half beyond noise (1.645 standard
        errors, clustered by account). Otherwise the mean is predicted for all rows; so it is below
        50 entities, without features, and where an amount is negative or all are zero.
        """
        if not len(rows.amount):
            return None
        mean = float(np.average(rows.amount, weights=rows.weight))
        mean_model = cls(mean, None, len(set(rows.entity_id)), mean)
        too_few = mean_model.entities < MIN_CALIBRATION_ROWS
        if too_few or not rows.x.shape[1] or rows.amount.min() < 0 or not mean > 0:
            return mean_model
        trial, proven = _compare_with_mean(rows, categorical, seed)
        model = _add_trees(rows, mean_model, categorical, seed) if proven else mean_model
        return replace(model, trial=trial)

    def predict_amounts(self, x: np.ndarray) -> np.ndarray:
        """Return the expected amount (rows,); no row's value depends on another row."""
        if self.trees is None:
            return np.full(len(x), self.level)
        return self.level * np.exp(self.trees.margin(x))

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether the trees, if any, read rows of these features."""
        return self.trees is None or self.trees.accepts_features(is_category)

    @property
    def sentence(self) -> str:
        """Description of the fit and its trial, for reports."""
        summary = (
            f"an outcome is worth {self.mean:,.2f} on average, over {self.entities:,} entities "
            "with an amount"
        )
        if self.trial is None:
            return f"{summary}; amounts cannot be modelled, so the mean is used for all leads"
        before, after = self.trial.mean_deviance, self.trial.tree_deviance
        less = 1 - after / before if before else 0.0
        size = f"{abs(less):.1%} {'less' if less > 0 else 'more'} deviance"
        result = f"on the later half, trees fitted on the earlier half have {size} than its mean"
        used = "trees are used" if self.trees else "the mean is used for all leads"
        return f"{summary}; {result}, so {used}"

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``from_json`` reads."""
        return {
            "level": self.level,
            "trees": self.trees and self.trees.to_json(),
            "entities": self.entities,
            "mean": self.mean,
            "trial": self.trial and self.trial.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described.

        Raise ValueError, TypeError or KeyError for anything else.
        """
        check_stored(StoredAmount, data)
        trees = LightGbm.from_json(data["trees"]) if data["trees"] is not None else None
        trial = AmountTrial.from_json(data["trial"]) if data["trial"] is not None else None
        return cls(float(data["level"]), trees, int(data["entities"]), float(data["mean"]), trial)


def compute_tweedie_deviance(amount: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the unit Tweedie deviance of power 1.5 of each amount (0 or more).

    ``expected`` is the predicted amount, above 0.
    """
    return 4 * (np.sqrt(amount) - np.sqrt(expected)) ** 2 / np.sqrt(expected)


def _add_trees(
    rows: AmountRows, mean_model: AmountModel, categorical: list[int], seed: int
) -> AmountModel:
    """Fit trees on amounts as shares of their mean, so that the unit changes nothing."""
    rows_per_cluster = len(rows.amount) / len(set(rows.clusters))
    fit_input = FitInput(rows.x, categorical, seed, rows_per_cluster, rows.weight)
    trees = LightGbm.fit_trees(fit_input, rows.amount / mean_model.mean, TWEEDIE_PARAMETERS)
    model = replace(mean_model, trees=trees)
    # Shrunken trees do not reach the mean that they were fitted to, so the level makes up for it.
    predicted = float(np.average(model.predict_amounts(rows.x), weights=rows.weight))
    return replace(model, level=mean_model.mean**2 / predicted)


def _compare_with_mean(
    rows: AmountRows, categorical: list[int], seed: int
) -> tuple[AmountTrial | None, bool]:
    """Return how trees of the earlier half did on the later half, and whether they are proven.

    A cluster, which is an account or an entity without one, is in the half of its last row with all
    its rows: trees would recognise the outcome that they share.
    """
    _, cluster = np.unique(rows.clusters.astype(str), return_inverse=True)
    last = np.full(cluster.max() + 1, rows.order.min())
    np.maximum.at(last, cluster, rows.order)
    # By value, not by position, so that clusters of one instant stay in one half.
    is_later = (last >= np.sort(last)[len(last) // 2])[cluster]
    earlier, later = rows.take(~is_later), rows.take(is_later)
    mean = float(np.average(earlier.amount, weights=earlier.weight)) if len(earlier.amount) else 0.0
    if not mean > 0:
        return None, False
    mean_model = AmountModel(mean, None, len(set(earlier.entity_id)), mean)
    models = mean_model, _add_trees(earlier, mean_model, categorical, seed)
    _, first, code = np.unique(later.entity_id.astype(str), return_index=True, return_inverse=True)
    expected = [model.predict_amounts(later.x) for model in models]
    mean_loss, tree_loss = (
        _average_by_entity(compute_tweedie_deviance(later.amount, predicted), code)
        for predicted in expected
    )
    gain = mean_loss - tree_loss
    proven = bool(gain.mean() > Z90 * compute_clustered_error(gain, later.clusters[first]))
    trial = AmountTrial(
        len(gain),
        float(mean_loss.mean()),
        float(tree_loss.mean()),
        float(_average_by_entity(expected[proven], code).mean()),
        float(_average_by_entity(later.amount, code).mean()),
    )
    return trial, proven


def _average_by_entity(value: np.ndarray, entity: np.ndarray) -> np.ndarray:
    """Return the mean over each entity's rows."""
    return np.bincount(entity, value) / np.bincount(entity)
