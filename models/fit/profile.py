"""The ideal customer profile: values at entry with which units bring more, or less, than others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.fit.chance import find_critical_score
from models.fit.cohort import EntryCohort
from models.fit.entry_values import EntryValues
from models.fit.lifts import Lifts, OutcomeSums, measure_lifts
from models.fit.points import fit_points
from models.survival.bootstrap import BUCKETS, REPLICATES, draw_weights

# With fewer customers nothing is distinct from chance.
MIN_CUSTOMERS = 20
# A value of fewer units, or with fewer expected customers, is not compared.
MIN_UNITS, MIN_EXPECTED = 30, 5.0
# A smaller difference is of no use to choose accounts by, however certain it is.
MIN_LIFT = 1.2
# A profile has at most so many values, those that differ most clearly.
MAX_ROWS = 10


@dataclass(frozen=True)
class BucketSums:
    """Sums of the outcome by bucket of the bootstrap; the first axis is that of the buckets.

    Attributes:
        part: Sums by value, float64 (buckets, values).
        whole: Sums over all units, float64 (buckets,).
    """

    part: OutcomeSums
    whole: OutcomeSums

    def weigh(self, weights: np.ndarray) -> tuple[OutcomeSums, OutcomeSums]:
        """Return the sums under weights of the buckets, (…, values) and (…,)."""
        part = OutcomeSums(*(weights @ sums for sums in self.part))
        return part, OutcomeSums(*(weights @ sums for sums in self.whole))


@dataclass(frozen=True)
class IdealProfile:
    """Values that set valuable units apart.

    Attributes:
        rows: Numbers of the values, int64 (rows,), those that differ most clearly first.
        points: Logarithm of the factor of each row, given the others, float64 (rows,).
        base: Logarithm of the factor of a unit without any of the values.
    """

    rows: np.ndarray
    points: np.ndarray
    base: float

    def score_units(self, values: EntryValues, units: np.ndarray) -> np.ndarray:
        """Return what units are expected to bring, as a multiple of the mean, float64 (units,)."""
        has = values.codes[:, units][values.attribute[self.rows]] == self.rows[:, None]
        factor: np.ndarray = np.exp(self.base + self.points @ has)
        return factor


@dataclass(frozen=True)
class ProfileFit:
    """A profile with everything that it was chosen by.

    Attributes:
        profile: The profile.
        compared: Numbers of the values that were compared, int64.
        lifts: Lifts of the compared values.
        critical: Score from which on a value is no chance find.
        stability: Share of bootstrap resamples whose profile has each row, float64 (rows,).
        sums: Sums of the compared values.
    """

    profile: IdealProfile
    compared: np.ndarray
    lifts: Lifts
    critical: float
    stability: np.ndarray
    sums: BucketSums


def learn_profile(cohort: EntryCohort, values: EntryValues, rows: np.ndarray) -> ProfileFit | None:
    """Return the profile of a cohort; None where all or too few of its units are customers.

    ``rows`` are the cohort's units among those of ``values``.
    """
    customers = int(cohort.is_customer.sum())
    if min(customers, len(cohort) - customers) < MIN_CUSTOMERS:
        return None
    compared = choose_compared(values.list_sizes(rows), customers, len(cohort))
    sums = sum_by_bucket(cohort, values, rows, compared)
    critical = find_critical_score(cohort, values, rows, compared)
    every = np.ones((1, BUCKETS))
    weights = np.concatenate([every, draw_weights(REPLICATES)])
    lifts = measure_lifts(*sums.weigh(weights), values.attribute[compared])
    is_chosen = choose_rows(lifts, critical)
    point = Lifts(*(part[0] for part in lifts))
    chosen = np.flatnonzero(is_chosen[0])
    chosen = chosen[np.lexsort((chosen, -np.abs(point.score[chosen])))]
    return ProfileFit(
        fit_chosen(cohort, values, rows, compared[chosen], float(point.spread)),
        compared,
        point,
        critical,
        is_chosen[1:, chosen].mean(axis=0),
        sums,
    )


def learn_on_buckets(
    fit: ProfileFit, cohort: EntryCohort, values: EntryValues, rows: np.ndarray, kept: np.ndarray
) -> IdealProfile:
    """Return the profile of those units of a cohort whose bucket is ``kept`` (buckets,), bool."""
    sums = fit.sums.weigh(kept.astype(float))
    lifts = measure_lifts(*sums, values.attribute[fit.compared])
    chosen = np.flatnonzero(choose_rows(lifts, fit.critical))
    own = kept[cohort.bucket]
    spread = float(lifts.spread)
    return fit_chosen(cohort.take(own), values, rows[own], fit.compared[chosen], spread)


def choose_compared(sizes: np.ndarray, customers: int, units: int) -> np.ndarray:
    """Return the numbers of the values with enough units, by their sizes; no outcome matters."""
    enough = max(MIN_UNITS, MIN_EXPECTED * units / customers)
    return np.flatnonzero((sizes >= enough) & (units - sizes >= MIN_UNITS))


def choose_rows(lifts: Lifts, critical: float) -> np.ndarray:
    """Return which values enter the profile, bool (…, values)."""
    score = np.abs(lifts.score)
    is_clear = (score >= critical) & (np.abs(np.log(lifts.lift)) >= np.log(MIN_LIFT))
    score = np.where(is_clear, score, -1.0)
    last = np.sort(score, axis=-1)[..., ::-1][..., :MAX_ROWS][..., -1:]
    return is_clear & (score >= last) if score.shape[-1] else is_clear


def fit_chosen(
    cohort: EntryCohort, values: EntryValues, rows: np.ndarray, chosen: np.ndarray, spread: float
) -> IdealProfile:
    """Return the profile of the chosen values, with the points of each given the others."""
    has = values.codes[:, rows][values.attribute[chosen]] == chosen[:, None]
    base, points = fit_points(has, cohort.outcome, spread)
    return IdealProfile(chosen, points, base)


def sum_by_bucket(
    cohort: EntryCohort, values: EntryValues, rows: np.ndarray, compared: np.ndarray
) -> BucketSums:
    """Return the sums of the compared values by bucket."""
    place = np.full(len(values.names) + 1, len(compared))
    place[compared] = np.arange(len(compared))
    width = len(compared) + 1
    cell = (cohort.bucket * width + place[values.codes[:, rows]]).ravel()
    outcome = cohort.outcome
    parts, wholes = [], []
    for weight in (np.ones(len(cohort)), cohort.is_customer.astype(float), outcome, outcome**2):
        repeated = np.broadcast_to(weight, values.codes[:, rows].shape).ravel()
        sums = np.bincount(cell, repeated, BUCKETS * width).reshape(BUCKETS, width)
        parts.append(sums[:, :-1])
        wholes.append(np.bincount(cohort.bucket, weight, BUCKETS))
    return BucketSums(OutcomeSums(*parts), OutcomeSums(*wholes))
