"""Hazard: when the outcome comes, fitted on every row as far as it was followed up.

A row that was followed for five of thirty days without an outcome is evidence about these five days
and none about the other twenty-five. So right-censored rows are neither wasted nor counted as
negative. A table of person-periods would hold a row for each day. Under proportional hazards its
likelihood is that of one Poisson count a row, 1 if the outcome was observed, whose expectation is
the cumulative baseline hazard of the row's follow-up times a factor of its features (Holford, "The
analysis of rates and of survivorship using log-linear models", Biometrics 36, 1980; Laird &
Olivier, J. Am. Stat. Assoc. 76, 1981). So one model serves any horizon, and costs no more than one
that is fitted on mature rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from features.contracts import ACTIVITY_SPAN
from features.tools.instants import US_PER_DAY, duration_to_microseconds
from models.learners.activity_model import ActivityModel
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.serialization import JsonModel
from models.stored_json import StoredHazard, check_stored

# Knots of the stored baseline, at quantiles of the observed outcomes.
MAX_KNOTS = 200
# Trees start from the hazard common to all rows and only fit by how much a row differs from it.
# Their steps are small as they are, so LightGBM's safeguard for Poisson steps is nearly turned off.
POISSON_PARAMETERS = {
    "objective": "poisson",
    "boost_from_average": False,
    "poisson_max_delta_step": 0.01,
}
# The forecast of activity knows how features act together: what is left to learn is nearly a sum.
RESIDUAL_PARAMETERS = {"num_leaves": 3}


@dataclass(frozen=True)
class FollowUp:
    """Follow-up of rows from their cutoff.

    Attributes:
        days: Days that each row was followed, above 0.
        observed: Whether the outcome was observed at the end of these days.
        activity: Events of the days after the cutoff, NaN where these days are not over yet; None
            where events are not counted.
    """

    days: np.ndarray
    observed: np.ndarray
    activity: np.ndarray | None = None

    @classmethod
    def from_times(
        cls,
        cutoff: np.ndarray,
        outcome_at: np.ndarray,
        known_until: int,
        horizon: int,
        activity: np.ndarray | None = None,
    ) -> Self:
        """Follow rows from their cutoff until the outcome, the horizon, or ``known_until``.

        All in microseconds (int64 UTC), intervals closed at their start. ``cutoff`` lies before
        ``known_until``, ``outcome_at`` at or after ``cutoff``, and beyond every instant where
        there is none. An outcome at the cutoff itself counts as half a microsecond later, so that
        the follow-up of every row is above 0. ``activity`` (rows,) holds the events of the
        ACTIVITY_SPAN after the cutoff.
        """
        last = np.minimum(cutoff + horizon, known_until)
        observed = outcome_at < last
        microseconds = np.maximum(np.where(observed, outcome_at, last) - cutoff, 0.5)
        if activity is not None:
            is_over = cutoff + duration_to_microseconds(ACTIVITY_SPAN) <= known_until
            activity = np.where(is_over, activity, np.nan)
        return cls(microseconds / US_PER_DAY, observed, activity)


@dataclass(frozen=True)
class BaselineHazard:
    """Cumulative hazard common to all rows, linear between its knots.

    Attributes:
        days: Knots in days, rising from 0.
        hazard: Cumulative hazard at each knot, rising from 0.
    """

    days: tuple[float, ...]
    hazard: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        follow_up: FollowUp,
        horizon: float,
        weight: np.ndarray | float = 1.0,
        log_relative: np.ndarray | float = 0.0,
    ) -> Self:
        """Estimate the baseline at no more than MAX_KNOTS outcome times and at the horizon.

        Nelson-Aalen (Aalen, Annals of Statistics 6, 1978). ``horizon`` is in days, ``weight``
        (rows,) holds sample weights; at least one outcome must have been observed. With
        ``log_relative``, the log of each row's hazard relative to the baseline, the estimate is
        Breslow's (discussion of Cox, J. R. Stat. Soc. B 34, 1972): rows of a high hazard leave
        first, so that without it the hazard would seem to fade.
        """
        times, place = np.unique(follow_up.days, return_inverse=True)
        risk = weight * np.exp(log_relative) * np.ones(len(place))
        events = np.bincount(place, weight * follow_up.observed)
        at_risk = np.cumsum(np.bincount(place, risk)[::-1])[::-1]
        increments = np.divide(events, at_risk, out=np.zeros(len(times)), where=events > 0)
        cumulative = np.cumsum(increments)
        event_days = follow_up.days[follow_up.observed]
        levels = np.linspace(0, 1, MAX_KNOTS)
        # method="lower" returns observed times, at which the estimate steps, never a time between.
        knots = np.unique(
            np.concatenate([np.quantile(event_days, levels, method="lower"), [horizon]])
        )
        hazard = cumulative[np.searchsorted(times, knots, side="right") - 1]
        return cls((0.0, *knots.tolist()), (0.0, *hazard.tolist()))

    def cumulative_hazard(self, days: np.ndarray) -> np.ndarray:
        """Return the cumulative hazard of each number of days."""
        return np.interp(days, self.days, self.hazard)

    def days_to_hazard(self, hazard: np.ndarray) -> np.ndarray:
        """Return the days by which each cumulative hazard is reached."""
        return np.interp(hazard, self.hazard, self.days)


@dataclass(frozen=True)
class Hazard(JsonModel):
    """Proportional hazards: one baseline for all rows, and trees for each row's factor.

    Attributes:
        trees: Model of the log of a row's hazard relative to the baseline and the activity.
        baseline: Cumulative hazard common to all rows.
        activity: Forecast of activity that the trees start from; None without one.
    """

    trees: LightGbm
    baseline: BaselineHazard
    activity: ActivityModel | None = None
    name: ClassVar[str] = "hazard"
    file: ClassVar[str] = "hazard.json"

    @classmethod
    def fit_follow_up(cls, fit_input: FitInput, follow_up: FollowUp, horizon: float) -> Self:
        """Fit on rows that were each followed up for some time within ``horizon`` days.

        The trees start from the baseline of all rows, and from a forecast of each row's activity
        where events were counted. Their result then gives the baseline its final level and shape.
        """
        # Twice: the trees need a baseline to start from, and the final baseline needs the relative
        # hazards that only the trees give.
        baseline = BaselineHazard.fit(follow_up, horizon)
        observed = follow_up.observed.astype(float)
        parameters = {**fit_input.parameters, **POISSON_PARAMETERS, "seed": fit_input.seed}
        activity, start = None, np.zeros(len(observed))
        if follow_up.activity is not None:
            exposure = baseline.cumulative_hazard(follow_up.days)
            activity = ActivityModel.fit(fit_input, follow_up.activity, observed, exposure)
        if activity is not None:
            start = activity.margin(fit_input.x)
            baseline = BaselineHazard.fit(follow_up, horizon, log_relative=start)
            parameters |= RESIDUAL_PARAMETERS
        init_score = start + np.log(baseline.cumulative_hazard(follow_up.days))
        trees = LightGbm.fit_trees(fit_input, observed, parameters, init_score)
        weight = 1.0 if fit_input.weight is None else fit_input.weight
        log_relative = start + trees.margin(fit_input.x)
        baseline = BaselineHazard.fit(follow_up, horizon, weight, log_relative)
        return cls(trees, baseline, activity)

    def log_relative_hazard(self, x: np.ndarray) -> np.ndarray:
        """Return the log of each row's hazard relative to the baseline."""
        margin = self.trees.margin(x)
        return margin if self.activity is None else self.activity.margin(x) + margin

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds that the outcome happens within the horizon."""
        return self._log_odds(self.log_relative_hazard(x))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) in log-odds that sum to the margin, bias last.

        The trees' exact SHAP values of the log hazard, scaled to log-odds by one factor a row:
        each log-odds is a rising function of the log hazard.
        """
        parts = self.trees.contributions(x)
        if self.activity is not None:
            parts = self.activity.contributions(x) + parts
        bias = parts[:, -1].copy()
        total = parts[:, :-1].sum(axis=1)
        base = self._log_odds(bias)
        # Near a total of 0 the factor is the derivative, taken over a small step.
        step = np.where(np.abs(total) < 1e-9, 1e-6, total)
        parts[:, :-1] *= ((self._log_odds(bias + step) - base) / step)[:, None]
        parts[:, -1] = base
        return parts

    def days_to_share(self, log_relative: np.ndarray, share: float) -> np.ndarray:
        """Return the days after which ``share`` of the outcomes within the horizon have come.

        ``log_relative`` is the result of ``log_relative_hazard`` for the rows.
        """
        relative = np.exp(log_relative)
        probability = -np.expm1(-relative * self.baseline.hazard[-1])
        return self.baseline.days_to_hazard(-np.log1p(-share * probability) / relative)

    def _log_odds(self, log_relative: np.ndarray) -> np.ndarray:
        cumulative = np.exp(log_relative + np.log(self.baseline.hazard[-1]))
        return cumulative + np.log(-np.expm1(-cumulative))

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether the trees read rows of these features."""
        parts = [self.trees] if self.activity is None else [self.trees, self.activity.trees]
        return all(trees.accepts_features(is_category) for trees in parts)

    def to_json(self) -> dict[str, Any]:
        """Return the trees' text, the baseline and the activity model."""
        return {
            "trees": self.trees.to_json(),
            "baseline": asdict(self.baseline),
            "activity": self.activity and self.activity.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredHazard, data)
        baseline = data["baseline"]
        # Hazards stored by earlier versions have no activity model.
        activity = data.get("activity")
        return cls(
            LightGbm.from_json(data["trees"]),
            BaselineHazard(tuple(baseline["days"]), tuple(baseline["hazard"])),
            ActivityModel.from_json(activity) if activity else None,
        )
