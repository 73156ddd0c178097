"""How good probabilities are, with intervals that respect that rows of one entity belong together.

Every figure is a function of three arrays: the distinct probabilities of each stratum, the weight of the rows
without the outcome and of the rows with it at each. A bootstrap replicate only changes the weights, so that
nothing is sorted twice, and rows with the same probability in the same stratum are told apart by nothing: the
order of the rows changes no bit of the result.

Ranking compares rows of the same stratum only. Folds have models of their own: where their levels differ, the
pooled ranking of even a constant measures which fold a row is of, not which row is likelier within it (Forman &
Scholz 2010, Apples-to-apples in cross-validation studies, SIGKDD Explorations 12).

Intervals are 90 % percentile intervals of the cluster bootstrap: whole entities are drawn with replacement
(Field & Welsh 2007, Bootstrapping clustered data, JRSS B 69; Cameron, Gelbach & Miller 2008, Bootstrap-based
improvements for inference with clustered errors, REStat 90).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit, logit

EPSILON = 1e-9
"""Log loss and logits read probabilities as within [EPSILON, 1 - EPSILON]: a failed certainty costs 20.7."""
BINS = 10
LOW, HIGH = 0.05, 0.95
NO_CAPACITY_SHARE = 0.1
"""Share of the rows of a cutoff that stands for the capacity where none is given."""


@dataclass(frozen=True)
class Figure:
    """A value with its 90 % interval, from ``n`` rows; NaN where undefined, such as an AUC of one class."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the four parts; null, which JSON knows, instead of NaN, which it does not."""
        parts = {"value": self.value, "low": self.low, "high": self.high}
        return {**{name: float(x) if np.isfinite(x) else None for name, x in parts.items()}, "n": int(self.n)}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def evaluate(
    label: Any,
    probability: Any,
    entity_id: Any,
    *,
    stratum: Any = None,
    cutoff: Any = None,
    capacity: int | None = None,
    seed: int = 0,
    replicates: int = 200,
) -> dict[str, Figure]:
    """Return all figures of n rows; ``label`` is 0 or 1, ``probability`` in [0, 1], all arrays of length n.

    ``stratum`` is any key a row, such as its fold; without it all rows are of one. ``roc_auc`` is the share of
    right pairs among those of the same stratum, so that strata weigh by their pairs, and ``average_precision`` the
    mean over the positives of the precision within their stratum. Where the probability is one in each stratum,
    nothing tells a slope from the strata's levels, and ``calibration_slope`` and ``calibration_intercept`` are NaN.

    ``capacity`` is the number of rows that can be worked at each distinct ``cutoff`` (any key: give the week
    where every row has its own instant); without it, the top 10 % of each. Without ``cutoff`` all rows are
    one. ``n`` of every figure is the number of rows. Figures that one class or one probability leaves
    undefined are NaN. Raises ValueError for arrays of different length or values out of range.
    """
    label, probability = _checked(label, probability)
    levels = _Levels.of(label, probability, stratum)
    ranking = _Ranking.of(label, probability, cutoff, capacity)
    start = levels.recalibration(*levels.weights(np.ones(len(label))))

    def figures(weight: np.ndarray) -> dict[str, float]:
        return {**_level_figures(levels, weight, start), **ranking.figures(weight)}

    replicated = [figures(weight) for weight in entity_weights(entity_id, seed, replicates)]
    return {
        name: interval(value, np.array([r[name] for r in replicated]), len(label), biased=name == "calibration_error")
        for name, value in figures(np.ones(len(label))).items()
    }


def reliability(
    label: Any, probability: Any, entity_id: Any, *, seed: int = 0, replicates: int = 200
) -> list[tuple[float, Figure]]:
    """Return (mean predicted, observed rate) of each of up to BINS equal-count bins, ascending."""
    label, probability = _checked(label, probability)
    distinct, level = np.unique(probability, return_inverse=True)
    bin_of_row = np.unique(equal_count_bins(level, len(distinct))[level], return_inverse=True)[1]
    bins = bin_of_row.max(initial=-1) + 1

    def observed(weight: np.ndarray) -> np.ndarray:
        negative, positive = _split(bin_of_row, label, weight, bins)
        total = negative + positive
        return np.divide(positive, total, out=np.full(bins, np.nan), where=total > 0)

    ones = np.ones(len(label))
    replicated = np.array([observed(weight) for weight in entity_weights(entity_id, seed, replicates)])
    rows = np.bincount(bin_of_row, minlength=bins)
    predicted = np.bincount(bin_of_row, probability, minlength=bins) / rows
    return [
        (float(predicted[i]), interval(rate, replicated[:, i], int(rows[i]))) for i, rate in enumerate(observed(ones))
    ]


def gain(
    label: Any, probability: Any, *, cutoff: Any = None, capacity: int | None = None
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return the curve of (share of rows worked, share of outcomes among them), and its point at capacity.

    The curve has 101 points, each the most probable rows of every cutoff; ``cutoff`` and ``capacity`` as in
    ``evaluate``.
    """
    label, probability = _checked(label, probability)
    ranking, ones = _Ranking.of(label, probability, cutoff, capacity), np.ones(len(label))
    return [ranking.work(ones, share) for share in np.linspace(0, 1, 101)], ranking.work(ones)


def entity_weights(entity_id: Any, seed: int, replicates: int) -> Iterator[np.ndarray]:
    """Yield for each replicate how often each of the n rows counts: as often as its entity was drawn."""
    entities, code = np.unique(np.asarray(entity_id), return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = generator.integers(len(entities), size=len(entities)) if len(entities) else np.empty(0, int)
        yield np.bincount(drawn, minlength=len(entities))[code].astype(float)


def interval(value: float, replicated: np.ndarray, n: int, *, biased: bool = False) -> Figure:
    """Return the figure with the 90 % interval that its replicates give; undefined replicates are left out.

    ``biased`` is for a distance, which noise only ever enlarges, so that replicates lie above the value: its
    interval is mirrored at the value (basic bootstrap, Davison & Hinkley 1997, section 5.2), kept above zero
    and stretched to hold the value.
    """
    defined = replicated[np.isfinite(replicated)]
    if not np.isfinite(value) or not len(defined):
        return Figure(float(value), np.nan, np.nan, n)
    low, high = np.quantile(defined, [LOW, HIGH])
    if biased:
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return Figure(float(value), float(low), float(high), n)


def log_loss(label: Any, probability: Any) -> np.ndarray:
    """Return the log loss of each row in nats, probabilities read as within [EPSILON, 1 - EPSILON]."""
    label, probability = _checked(label, probability)
    clipped = np.clip(probability, EPSILON, 1 - EPSILON)
    return -np.where(label == 1, np.log(clipped), np.log1p(-clipped))


def paired_log_loss_gain(
    label: Any, better: Any, worse: Any, entity_id: Any, seed: int = 0, replicates: int = 200
) -> Figure:
    """Return mean log loss of ``worse`` minus that of ``better`` on the same rows, in nats a row."""
    gain = log_loss(label, worse) - log_loss(label, better)
    if not len(gain):
        return Figure(np.nan, np.nan, np.nan, 0)
    drawn = [_dot(weight, gain) / weight.sum() for weight in entity_weights(entity_id, seed, replicates)]
    return interval(float(gain.mean()), np.array(drawn), len(gain))


def skill(label: Any, probability: Any, base: Any, oracle: Any) -> float:
    """Return the share of what can be known that the model knows: 0 as the base rate, 1 as the oracle.

    Measured in log loss, on arrays of length n (``base`` may be one number). NaN where the oracle knows no
    more than the base rate.
    """
    losses = [log_loss(label, p).mean() for p in (base, probability, oracle)]
    return float((losses[0] - losses[1]) / (losses[0] - losses[2])) if losses[0] > losses[2] else np.nan


def recalibration(
    probability: np.ndarray, negative: np.ndarray, positive: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """Return (intercept at slope 1, joint intercept, slope) of the outcome on the logit of the probability.

    ``negative`` and ``positive`` are weights at each distinct probability. The slope is 1 for honest
    predictions and below 1 for exaggerated ones; the first intercept is how many logits all are too low on
    average (Cox 1958, Two further applications of a model for binary regression; Van Calster et al. 2019,
    Calibration: the Achilles heel of predictive analytics). NaN where there is no finite solution. ``start`` is
    a solution nearby, the whole sample's for a replicate, which then is solved to 1e-4 logits.
    """
    x = logit(np.clip(probability, EPSILON, 1 - EPSILON))
    last = 1e-5 if start is None else 1e-2
    start = np.zeros(3) if start is None else np.nan_to_num(start)
    shift = _fit_logistic(x, np.ones((1, len(x))), (negative, positive), start[:1], last)
    line = _fit_logistic(np.zeros(len(x)), np.stack([np.ones(len(x)), x]), (negative, positive), start[1:], last)
    return np.concatenate([shift, line])


def _fit_logistic(
    offset: np.ndarray, design: np.ndarray, weight: tuple[np.ndarray, np.ndarray], start: np.ndarray, last: float
) -> np.ndarray:
    """Fit coefficients (k,) on a design (k, levels) by Newton steps that never overshoot.

    The curvature of the logistic loss changes by at most a factor e for each logit moved (Bach 2010,
    Self-concordant analysis for logistic regression), hence a step that moves no logit by more than r may be
    taken by the share log(1 + r) / r; a short one, already close, is taken whole. A step below ``last`` logits
    is the last, since the next would be about half its square.
    """
    undefined = np.full(len(start), np.nan)
    total, coefficients = weight[0] + weight[1], start
    if not weight[0].sum() or not weight[1].sum():
        return undefined
    for _ in range(100):
        mean = expit(offset + _dot(coefficients, design))
        curvature = _dot(design * (total * mean * (1 - mean)), design.T)
        if np.linalg.cond(curvature) > 1e14:
            return undefined
        step = np.linalg.solve(curvature, _dot(design, weight[1] - total * mean))
        reach = np.abs(_dot(step, design)).max()
        if reach < last:
            return coefficients + step
        coefficients = coefficients + (step if reach < 0.5 else step * np.log1p(reach) / reach)
    return undefined


@dataclass(frozen=True)
class _Levels:
    """Rows by stratum and, within, by probability ascending: ``level`` of each row, ``bin`` of each level.

    ``first`` and ``last`` are the first and the last level of each level's stratum.
    """

    probability: np.ndarray
    level: np.ndarray
    label: np.ndarray
    bin: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, probability: np.ndarray, stratum: Any = None) -> Self:
        key = np.zeros(len(label)) if stratum is None else np.asarray(stratum)
        if key.shape != label.shape:
            raise ValueError("there must be one stratum a row")
        distinct, at = np.unique(probability, return_inverse=True)
        pair = np.unique(key, return_inverse=True)[1] * len(distinct) + at
        pairs, level = np.unique(pair, return_inverse=True)
        of_level, at_level = np.divmod(pairs, max(1, len(distinct)))
        bins = equal_count_bins(at, len(distinct))
        return cls(distinct[at_level], level, label, bins[at_level], *_ends(of_level))

    def weights(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight of negatives and of positives at each level."""
        return _split(self.level, self.label, weight, len(self.probability))

    def recalibration(self, negative: np.ndarray, positive: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """Return the coefficients of ``recalibration``; NaN where each stratum has one level."""
        if (self.first == self.last).all():
            return np.full(3, np.nan)
        return recalibration(self.probability, negative, positive, start)


def equal_count_bins(level: np.ndarray, levels: int) -> np.ndarray:
    """Return for each level which of the BINS bins of equally many rows its middle row falls into."""
    count = np.bincount(level, minlength=levels)
    return ((np.cumsum(count) - count / 2) * BINS // max(1, len(level))).astype(int)


def _level_figures(levels: _Levels, weight: np.ndarray, start: np.ndarray) -> dict[str, float]:
    negative, positive = levels.weights(weight)
    p, total = levels.probability, negative + positive
    mean = _averaging(total)
    predicted, rate = mean(total * p), mean(positive)
    intercept, _, slope = levels.recalibration(negative, positive, start)
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    return {
        "roc_auc": _roc_auc(negative, positive, levels),
        "average_precision": _average_precision(negative, positive, levels),
        "log_loss": -mean(positive * np.log(clipped) + negative * np.log1p(-clipped)),
        "brier": mean(positive * (1 - p) ** 2 + negative * p**2),
        "calibration_error": mean(np.abs(np.bincount(levels.bin, total * p - positive))),
        "calibration_slope": float(slope),
        "calibration_intercept": float(intercept),
        "mean_predicted": predicted,
        "outcome_rate": rate,
        "predicted_to_observed": predicted / rate if rate else np.nan,
    }


def _averaging(total: np.ndarray) -> Callable[[np.ndarray], float]:
    rows = total.sum()
    return lambda sums: float(sums.sum() / rows) if rows else np.nan


def _roc_auc(negative: np.ndarray, positive: np.ndarray, levels: _Levels) -> float:
    """Share of a stratum's (positive, negative) pairs in the right order, a tie for half (Mann & Whitney 1947)."""
    before = _before(negative, levels.first)
    pairs = _dot(positive, (before + negative)[levels.last])
    return float(_dot(positive, before + negative / 2) / pairs) if pairs else np.nan


def _average_precision(negative: np.ndarray, positive: np.ndarray, levels: _Levels) -> float:
    """Mean precision over the positives, each that of its stratum's rows as probable or more."""
    found, seen = (_from(weight, levels.last) for weight in (positive, negative + positive))
    precision = np.divide(found, seen, out=np.zeros(len(found)), where=seen > 0)
    positives = positive.sum()
    return float(_dot(positive, precision) / positives) if positives else np.nan


def _ends(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last position of each element's group, of groups in ascending order."""
    return np.searchsorted(group, group), np.searchsorted(group, group, side="right") - 1


def _before(weight: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the weight of the earlier elements of each element's group, which starts at ``first``."""
    earlier = np.cumsum(weight) - weight
    return earlier - earlier[first]


def _from(weight: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the weight of each element and of the later ones of its group, which ends at ``last``."""
    so_far = np.cumsum(weight)
    return so_far[last] - so_far + weight


@dataclass(frozen=True)
class _Ranking:
    """Rows by cutoff and, within, by probability descending: ``group`` of rows, ``cutoff`` of groups.

    ``first`` is the first group of each group's cutoff.
    """

    group: np.ndarray
    cutoff: np.ndarray
    first: np.ndarray
    label: np.ndarray
    capacity: int | None

    @classmethod
    def of(cls, label: np.ndarray, probability: np.ndarray, cutoff: Any, capacity: int | None) -> Self:
        key = np.zeros(len(label)) if cutoff is None else np.asarray(cutoff)
        date = np.unique(key, return_inverse=True)[1]
        distinct, group = np.unique(np.stack([date, -probability]), axis=1, return_inverse=True)
        date_of_group = distinct[0].astype(int)
        return cls(group.ravel(), date_of_group, _ends(date_of_group)[0], label, capacity)

    def figures(self, weight: np.ndarray) -> dict[str, float]:
        """Return precision among the rows worked and its ratio to the outcome rate of all."""
        worked, found = self.work(weight)
        lift = found / worked if worked else np.nan
        rate = _dot(weight, self.label) / weight.sum() if weight.any() else np.nan
        return {"precision_at_capacity": float(lift * rate), "lift_at_capacity": float(lift)}

    def work(self, weight: np.ndarray, share: float | None = None) -> tuple[float, float]:
        """Return the shares of rows and of outcomes in the top ``share`` of each cutoff, or in the capacity.

        Of rows that tie for the last places each is taken in part, as drawing lots would on average.
        """
        negative, positive = _split(self.group, self.label, weight, len(self.cutoff))
        total = negative + positive
        rows = np.bincount(self.cutoff, total)
        if share is None and self.capacity is not None:
            room: Any = self.capacity
        else:
            room = (NO_CAPACITY_SHARE if share is None else share) * rows[self.cutoff]
        taken = np.clip(room - _before(total, self.first), 0, total)
        hits = np.divide(taken * positive, total, out=np.zeros(len(total)), where=total > 0).sum()
        outcomes = positive.sum()
        worked = float(taken.sum() / total.sum()) if total.any() else np.nan
        return worked, float(hits / outcomes) if outcomes else np.nan


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``left @ right`` without BLAS, whose threads fight over busy cores and sum in an order of their own."""
    indices = {(1, 1): "i,i->", (1, 2): "i,ij->j", (2, 1): "ij,j->i", (2, 2): "ij,jk->ik"}
    return np.einsum(indices[left.ndim, right.ndim], left, right)


def _split(group: np.ndarray, label: np.ndarray, weight: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    positive = np.bincount(group, weight * label, minlength=size)
    return np.bincount(group, weight, minlength=size) - positive, positive


def _checked(label: Any, probability: Any) -> tuple[np.ndarray, np.ndarray]:
    label = np.asarray(label, dtype=float)
    probability = np.broadcast_to(np.asarray(probability, dtype=float), label.shape)
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1] and not be missing")
    return label, probability
