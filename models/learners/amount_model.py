"""What an outcome will be worth, learnt from what earlier ones were worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from models.calibration import FEWEST, Z90, clustered_error
from models.learners.fit_input import Lesson
from models.learners.lightgbm import LightGbm
from models.sample_weights import one_vote

NOTHING = "no outcome that could be learnt from carries a value, so there is no expected value"
TWEEDIE = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.5,
    "boost_from_average": False,
    "num_iterations": 100,
    "learning_rate": 0.05,
    "num_leaves": 6,
    "min_data_in_leaf": 20,
}
"""Amounts are skewed, some are zero, and large ones vary more; trees start from the mean, and few rows carry any."""


@dataclass(frozen=True)
class Priced:
    """Rows with the outcome and a known amount, side by side: ``x`` (rows, features) as a learner reads it, the
    ``amount`` in its unit, ``entity_id`` (text), and ``order``, which rises with time, such as the cutoff.
    """

    x: np.ndarray
    amount: np.ndarray
    entity_id: np.ndarray
    order: np.ndarray

    def take(self, rows: np.ndarray) -> Priced:
        """Return the rows of an index or a mask."""
        return Priced(self.x[rows], self.amount[rows], self.entity_id[rows], self.order[rows])

    @cached_property
    def weight(self) -> np.ndarray:
        """How much each row counts, on average 1: each entity has one vote."""
        votes = one_vote(self.entity_id)
        return votes / votes.mean()


@dataclass(frozen=True)
class Trial:
    """How trees that learnt from earlier entities did on ``entities`` later ones, the mean of the earlier beside it.

    ``mean`` and ``trees`` are mean Tweedie deviances, less is better. ``expected`` is the mean amount that the better
    expected of the later entities, ``happened`` what it was.
    """

    entities: int
    mean: float
    trees: float
    expected: float
    happened: float


@dataclass(frozen=True)
class Worth:
    """The expected amount of an outcome, given that it comes: ``level`` times what the trees make of the row, if any.

    ``entities`` is of how many it was learnt, ``mean`` what their outcomes were worth on average, each entity one vote.
    """

    level: float
    trees: LightGbm | None
    entities: int
    mean: float
    trial: Trial | None = None

    @classmethod
    def fit(cls, rows: Priced, categorical: list[int], seed: int = 0) -> Worth | None:
        """Learn from rows with a finite amount; None where there are none.

        Trees with a Tweedie loss of power 1.5 and a log link (Jørgensen, "Exponential dispersion models", J. R. Stat.
        Soc. B 49, 1987), brought to the level at which they expect the mean amount of the rows learnt from. They are
        kept only where what they learn from the earlier half of the entities is better on the later half than its mean,
        beyond noise (1.645 standard errors, by entity). Otherwise, below 50 entities, and where an amount is negative
        or all are zero, everyone is expected the mean.
        """
        if not len(rows.amount):
            return None
        mean = float(np.average(rows.amount, weights=rows.weight))
        plain = cls(mean, None, len(set(rows.entity_id)), mean)
        if plain.entities < FEWEST or rows.amount.min() < 0 or not mean > 0:
            return plain
        trial, proven = _tried(rows, categorical, seed)
        return replace(_grown(rows, plain, categorical, seed) if proven else plain, trial=trial)

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Return the expected amount (rows,); no row's value depends on another row."""
        if self.trees is None:
            return np.full(len(x), self.level)
        return self.level * np.exp(self.trees.margin(x))

    @property
    def sentence(self) -> str:
        """What was learnt, in words."""
        learnt = f"an outcome is worth {self.mean:,.2f} on average, by the values of {self.entities:,} entities"
        if self.trial is None:
            return f"{learnt}; too few, or not of a kind, to tell outcomes apart: the mean is expected of all"
        less = 1 - self.trial.trees / self.trial.mean if self.trial.mean else 0.0
        size = f"{abs(less):.1%} {'less' if less > 0 else 'more'} deviance"
        did = f"on the later half of them trees that learnt from the earlier have {size} than its mean"
        return f"{learnt}; {did}, so {'trees are kept' if self.trees else 'the mean is expected of all'}"

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        trees, trial = self.trees and self.trees.to_json(), self.trial and vars(self.trial)
        return {
            "level": self.level,
            "trees": trees,
            "entities": self.entities,
            "mean": self.mean,
            "trial": trial,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model that ``to_json`` described; raises ValueError, TypeError or KeyError for anything else."""
        trees = LightGbm.from_json(data["trees"]) if data["trees"] is not None else None
        trial = Trial(**data["trial"]) if data["trial"] is not None else None
        return cls(float(data["level"]), trees, int(data["entities"]), float(data["mean"]), trial)


def deviance(amount: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the unit Tweedie deviance of power 1.5 of each amount, 0 or more, under what was expected, above 0."""
    return 4 * (np.sqrt(amount) - np.sqrt(expected)) ** 2 / np.sqrt(expected)


def _grown(rows: Priced, plain: Worth, categorical: list[int], seed: int) -> Worth:
    """Learn trees; of amounts as shares of their mean, so that the unit changes nothing."""
    lesson = Lesson(rows.x, categorical, seed, len(rows.amount) / plain.entities, rows.weight)
    trees = LightGbm.grow(lesson, rows.amount / plain.mean, TWEEDIE)
    found = replace(plain, trees=trees)
    return replace(
        found, level=plain.mean**2 / float(np.average(found.expected(rows.x), weights=rows.weight))
    )


def _tried(rows: Priced, categorical: list[int], seed: int) -> tuple[Trial | None, bool]:
    """Return how trees of the earlier half did on the later one, and whether they were better beyond noise.

    An entity is in the half of its last row with all its rows: they are of one outcome, which trees would know again.
    """
    _, entity = np.unique(rows.entity_id.astype(str), return_inverse=True)
    last = np.full(entity.max() + 1, rows.order.min())
    np.maximum.at(last, entity, rows.order)
    later = (last >= np.sort(last)[len(last) // 2])[entity]
    earlier = rows.take(~later)
    mean = float(np.average(earlier.amount, weights=earlier.weight)) if len(earlier.amount) else 0.0
    if not mean > 0:
        return None, False
    plain = Worth(mean, None, len(set(earlier.entity_id)), mean)
    after, code = rows.take(later), np.unique(entity[later], return_inverse=True)[1]
    kinds = plain, _grown(earlier, plain, categorical, seed)
    expected = [kind.expected(after.x) for kind in kinds]
    loss = [_by_entity(deviance(after.amount, each), code) for each in expected]
    gain = loss[0] - loss[1]
    proven = bool(gain.mean() > Z90 * clustered_error(gain, np.arange(len(gain))))
    means = (_by_entity(each, code).mean() for each in (expected[proven], after.amount))
    return Trial(
        len(gain), *(float(each) for each in (loss[0].mean(), loss[1].mean(), *means))
    ), proven


def _by_entity(value: np.ndarray, entity: np.ndarray) -> np.ndarray:
    """Return the mean of each entity's rows."""
    return np.bincount(entity, value) / np.bincount(entity)
