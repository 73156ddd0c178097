"""When the outcome comes, learnt from every row as far as it was followed: young rows are neither wasted nor negative.

A row that was followed for five of thirty days without an outcome says something about these five days and nothing
about the other twenty-five. A table of person-periods says so with a row for each day. Under proportional hazards its
likelihood is that of one Poisson count a row, 1 if the outcome was seen, whose expectation is the hazard that the row
had met until then times what its features make of it (Holford, "The analysis of rates and of survivorship using
log-linear models", Biometrics 36, 1980; Laird & Olivier, J. Am. Stat. Assoc. 76, 1981). So any horizon comes from one
model that costs no more than one that learns from mature rows alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from features.contracts import US_PER_DAY
from models.learners.fit_input import Lesson
from models.learners.lightgbm import LightGbm
from models.serialization import JsonModel

KNOTS = 200
POISSON = {"objective": "poisson", "boost_from_average": False, "poisson_max_delta_step": 0.01}
"""Trees start from the hazard of all and say by how much a row's own differs; steps need no holding back."""


@dataclass(frozen=True)
class Followed:
    """How long each row was followed, in days above 0, and whether the outcome was seen at the end of it."""

    days: np.ndarray
    happened: np.ndarray

    @classmethod
    def until(cls, cutoff: np.ndarray, outcome: np.ndarray, end: int, horizon: int) -> Self:
        """Follow rows from their cutoff until the outcome, the horizon, or what was known at ``end``.

        All in microseconds (int64 UTC), intervals closed at their start; ``cutoff`` before ``end``, and ``outcome`` at
        or after ``cutoff``, beyond every ``end`` where there is none. An outcome at the cutoff itself counts as half a
        microsecond later, so that every row was followed for a while.
        """
        last = np.minimum(cutoff + horizon, end)
        happened = outcome < last
        return cls(
            np.maximum(np.where(happened, outcome, last) - cutoff, 0.5) / US_PER_DAY, happened
        )


@dataclass(frozen=True)
class Baseline:
    """Cumulative hazard of all rows together: ``hazard`` (rising from 0) by ``days``, straight lines in between."""

    days: tuple[float, ...]
    hazard: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        followed: Followed,
        horizon: float,
        weight: np.ndarray | float = 1.0,
        relative: np.ndarray | float = 0.0,
    ) -> Self:
        """Estimate by Nelson and Aalen (Aalen, Annals of Statistics 6, 1978), at no more than KNOTS places to the end.

        ``horizon`` in days; ``weight`` (rows,) says how much each row counts; at least one outcome must have been seen.
        With ``relative``, the log of each row's hazard relative to the baseline, by Breslow (discussion of Cox, J. R.
        Stat. Soc. B 34, 1972): rows of a high hazard leave first, so that without it the hazard seems to fade.
        """
        times, place = np.unique(followed.days, return_inverse=True)
        risk = weight * np.exp(relative) * np.ones(len(place))
        came = np.bincount(place, weight * followed.happened)
        still = np.cumsum(np.bincount(place, risk)[::-1])[::-1]
        risen = np.cumsum(np.divide(came, still, out=np.zeros(len(times)), where=came > 0))
        seen = followed.days[followed.happened]
        knots = np.unique(
            np.concatenate([np.quantile(seen, np.linspace(0, 1, KNOTS), method="lower"), [horizon]])
        )
        hazard = risen[np.searchsorted(times, knots, side="right") - 1]
        return cls((0.0, *knots.tolist()), (0.0, *hazard.tolist()))

    def at(self, days: np.ndarray) -> np.ndarray:
        """Return the cumulative hazard of each number of days."""
        return np.interp(days, self.days, self.hazard)

    def reached(self, hazard: np.ndarray) -> np.ndarray:
        """Return the days by which each cumulative hazard is reached."""
        return np.interp(hazard, self.hazard, self.days)


@dataclass(frozen=True)
class Hazard(JsonModel):
    """Trees for the log of a row's hazard relative to the baseline, which is the same shape for all rows."""

    trees: LightGbm
    baseline: Baseline
    name: ClassVar[str] = "hazard"
    file: ClassVar[str] = "hazard.json"

    @classmethod
    def learn(cls, lesson: Lesson, followed: Followed, horizon: float) -> Self:
        """Learn from rows, each followed for a while within ``horizon`` days.

        The trees start from what all rows met alike; what they tell apart then gives the baseline its level and shape.
        """
        start = np.log(Baseline.fit(followed, horizon).at(followed.days))
        settings = {**lesson.parameters, **POISSON, "seed": lesson.seed}
        trees = LightGbm.grow(lesson, followed.happened.astype(float), settings, start)
        weight = 1.0 if lesson.weight is None else lesson.weight
        return cls(trees, Baseline.fit(followed, horizon, weight, trees.margin(lesson.x)))

    def relative(self, x: np.ndarray) -> np.ndarray:
        """Return the log of each row's hazard relative to the baseline."""
        return self.trees.margin(x)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds that the outcome happens within the horizon."""
        return self._log_odds(self.relative(x))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) in log-odds that sum to the margin, bias last.

        The trees' exact values for the log hazard, of which each log-odds is a rising function, brought to log-odds by
        one factor a row.
        """
        parts = self.trees.contributions(x)
        bias = parts[:, -1].copy()
        moved = parts[:, :-1].sum(axis=1)
        base = self._log_odds(bias)
        still = np.abs(moved) < 1e-9
        step = np.where(still, 1e-6, moved)
        parts[:, :-1] *= ((self._log_odds(bias + step) - base) / step)[:, None]
        parts[:, -1] = base
        return parts

    def days(self, relative: np.ndarray, share: float) -> np.ndarray:
        """Return the days after which ``share`` of the outcomes that come within the horizon have come.

        ``relative`` is what ``relative(x)`` returned for the rows.
        """
        times = np.exp(relative)
        chance = -np.expm1(-times * self.baseline.hazard[-1])
        return self.baseline.reached(-np.log1p(-share * chance) / times)

    def _log_odds(self, relative: np.ndarray) -> np.ndarray:
        met = np.exp(relative + np.log(self.baseline.hazard[-1]))
        return met + np.log(-np.expm1(-met))

    def to_json(self) -> dict[str, Any]:
        """Return the trees' text and the baseline."""
        return {"trees": self.trees.to_json(), "baseline": asdict(self.baseline)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model that ``to_json`` described."""
        base = data["baseline"]
        return cls(
            LightGbm.from_json(data["trees"]), Baseline(tuple(base["days"]), tuple(base["hazard"]))
        )
