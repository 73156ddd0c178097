"""When the outcome comes, learnt from every row as far as it was followed: young rows are neither wasted nor negative.

A row that was followed for five of thirty days without an outcome says something about these five days and nothing
about the other twenty-five. A table of person-periods says so with a row for each day. Under proportional hazards its
likelihood is that of one Poisson count a row, 1 if the outcome was seen, whose expectation is the hazard that the row
had met until then times what its features make of it (Holford, "The analysis of rates and of survivorship using
log-linear models", Biometrics 36, 1980; Laird & Olivier, J. Am. Stat. Assoc. 76, 1981). So any horizon comes from one
model that costs no more than one that learns from mature rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from features.contracts import US_PER_DAY
from models.learners import LightGbm, own_parameters
from models.stored import read_json, unreadable, write_json

KNOTS = 200
POISSON = {"objective": "poisson", "boost_from_average": False, "poisson_max_delta_step": 0.01}
"""Trees start from the hazard of all and say by how much a row's own differs; steps need no holding back."""
FEWEST = 20
"""Outcomes that a model of when they come is learnt from."""


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
        return cls(np.maximum(np.where(happened, outcome, last) - cutoff, 0.5) / US_PER_DAY, happened)


@dataclass(frozen=True)
class Baseline:
    """Cumulative hazard of all rows together: ``hazard`` (rising from 0) by ``days``, straight lines in between."""

    days: tuple[float, ...]
    hazard: tuple[float, ...]

    @classmethod
    def fit(cls, followed: Followed, horizon: float) -> Self:
        """Estimate by Nelson and Aalen (Aalen, Annals of Statistics 6, 1978), at no more than KNOTS places to the end.

        ``horizon`` in days; at least one outcome must have been seen.
        """
        order = np.argsort(followed.days, kind="stable")
        days, happened = followed.days[order], followed.happened[order]
        risen = np.cumsum(happened / np.arange(len(days), 0, -1))
        seen = days[happened]
        knots = np.unique(np.concatenate([np.quantile(seen, np.linspace(0, 1, KNOTS), method="lower"), [horizon]]))
        hazard = risen[np.searchsorted(days, knots, side="right") - 1]
        return cls((0.0, *knots.tolist()), (0.0, *hazard.tolist()))

    def at(self, days: np.ndarray) -> np.ndarray:
        """Return the cumulative hazard of each number of days."""
        return np.interp(days, self.days, self.hazard)

    def reached(self, hazard: np.ndarray) -> np.ndarray:
        """Return the days by which each cumulative hazard is reached."""
        return np.interp(hazard, self.hazard, self.days)


@dataclass(frozen=True)
class Hazard:
    """Trees for the log of a row's hazard relative to the baseline, which is the same shape for all rows."""

    trees: LightGbm
    baseline: Baseline
    name: ClassVar[str] = "hazard"
    file: ClassVar[str] = "hazard.json"

    @classmethod
    def learn(
        cls,
        x: np.ndarray,
        followed: Followed,
        horizon: float,
        categorical: list[int],
        seed: int,
        repeats: float = 1.0,
        weight: np.ndarray | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn from ``x`` (rows, features), each followed for a while within ``horizon`` days.

        The rest is as in ``LightGbm.fit``. Rows followed for less than the first outcome took tell nothing.
        """
        baseline = Baseline.fit(followed, horizon)
        met = baseline.at(followed.days)
        use = met > 0
        own = own_parameters(int(use.sum()), x.shape[1], repeats) | dict(parameters or {}) | POISSON
        happened, weight = followed.happened[use].astype(float), None if weight is None else weight[use]
        start = np.log(met[use])
        return cls(LightGbm.grow(x[use], happened, categorical, {**own, "seed": seed}, weight, start), baseline)

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

    def days(self, x: np.ndarray, share: float) -> np.ndarray:
        """Return the days after which ``share`` of the outcomes that come within the horizon have come."""
        relative, whole = np.exp(self.relative(x)), self.baseline.hazard[-1]
        chance = -np.expm1(-relative * whole)
        return self.baseline.reached(-np.log1p(-share * chance) / relative)

    def _log_odds(self, relative: np.ndarray) -> np.ndarray:
        met = np.exp(relative + np.log(self.baseline.hazard[-1]))
        return met + np.log(-np.expm1(-met))

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return {"trees": self.trees.to_json(), "baseline": asdict(self.baseline)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model that ``to_json`` described; raises what a wrong description makes Python raise."""
        base = data["baseline"]
        return cls(LightGbm.from_json(data["trees"]), Baseline(tuple(base["days"]), tuple(base["hazard"])))

    def save(self, directory: Path) -> None:
        """Write ``hazard.json``."""
        write_json(directory / self.file, self.to_json())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read ``hazard.json``; raises DataError if it is not there or not a model."""
        data = read_json(directory / cls.file)
        try:
            return cls.from_json(data)
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(directory / cls.file, error) from error
