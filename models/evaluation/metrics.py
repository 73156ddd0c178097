"""How good probabilities are, with intervals that respect that rows of one entity belong together.

The order of the rows changes no bit of the result. Figures of a part of the rows, such as one fold's, come from
the same draws of entities as those of all rows, and what a limited number of hands would work is chosen among all.

Ranking compares rows of the same stratum only. Folds have models of their own: where their levels differ, the
pooled ranking of even a constant measures which fold a row is of, not which row is likelier within it (Forman &
Scholz 2010, Apples-to-apples in cross-validation studies, SIGKDD Explorations 12).

Intervals are 90 % percentile intervals of the cluster bootstrap: whole entities are drawn with replacement
(Field & Welsh 2007, Bootstrapping clustered data, JRSS B 69; Cameron, Gelbach & Miller 2008, Bootstrap-based
improvements for inference with clustered errors, REStat 90).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from models.evaluation.capacity_metrics import Ranking
from models.evaluation.grouped import dot, split
from models.evaluation.weighted_curves import EPSILON, Levels, equal_count_bins

LOW, HIGH = 0.05, 0.95
VALUE = "value_captured_at_capacity"
Part = TypeVar("Part", bound=Hashable)


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
        return {
            **{name: float(x) if np.isfinite(x) else None for name, x in parts.items()},
            "n": int(self.n),
        }

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Predicted:
    """Predicted rows, side by side; all arrays have one element a row.

    ``label`` is 0 or 1, ``probability`` in [0, 1]; ``stratum`` is any key a row, such as its fold: only rows of one
    are ranked against each other, without it all are. ``capacity`` is the number of rows that can be worked at
    each distinct ``cutoff`` (any key: give the week where every row has its own instant); without it, the top 10 % of
    each, without ``cutoff`` all rows are one. ``amount`` is what an outcome is worth, in any unit, NaN where unknown.
    ``value`` is the expected value; without it, it is probability times amount, as where an amount is known before.
    """

    label: Any
    probability: Any
    entity_id: Any
    stratum: Any = None
    cutoff: Any = None
    capacity: int | None = None
    amount: Any = None
    value: Any = None


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
    """Return the figures of all rows; arguments as in ``Predicted``, figures and errors as in ``evaluate_parts``."""
    rows = Predicted(label, probability, entity_id, stratum, cutoff, capacity)
    everything = np.ones(np.shape(label), bool)
    return evaluate_parts(rows, {"all": everything}, seed=seed, replicates=replicates)["all"]


def evaluate_parts(
    rows: Predicted, parts: Mapping[Part, np.ndarray], *, seed: int = 0, replicates: int = 200
) -> dict[Part, dict[str, Figure]]:
    """Return all figures of each part, a boolean mask of the n rows.

    ``roc_auc`` is the share of right pairs among those of the same stratum, so that strata weigh by their pairs, and
    ``average_precision`` the mean over the positives of the precision within their stratum. Where the probability
    is one in each stratum, nothing tells a slope from the strata's levels, and ``calibration_slope`` and
    ``calibration_intercept`` are NaN.

    ``precision_at_capacity`` is the outcome rate among the part's rows that would be worked, the most probable of
    all rows of their cutoff, and ``lift_at_capacity`` its ratio to the outcome rate of the part. With amounts,
    ``value_captured_at_capacity`` is the share of the part's realised amount (that of the rows with the outcome) held
    by the rows that would be worked if the expected value decided; a row of unknown amount, or unknown expected value,
    is worth nothing.

    ``n`` is the number of rows of the part, of precision and lift that of those that would be worked, of the value
    captured that of those with an amount. Figures that one class or one probability leaves undefined are NaN. Raises
    ValueError for arrays of different length or values out of range.
    """
    label, probability = _checked(rows.label, rows.probability)
    hands = _Hands.of(rows, label, probability)
    pieces = {
        name: _Piece.of(label, probability, rows.stratum, np.flatnonzero(mask))
        for name, mask in parts.items()
    }
    ones = np.ones(len(label))
    taken = hands.taken(ones)
    values = {
        n: {**piece.figures(ones), **hands.figures(taken, piece.rows, ones)}
        for n, piece in pieces.items()
    }
    counts = {name: hands.counts(piece.rows) for name, piece in pieces.items()}
    drawn = [
        _drawn(pieces, hands, weight) for weight in entity_weights(rows.entity_id, seed, replicates)
    ]

    def figure(name: Part, key: str) -> Figure:
        replicated = np.array([replicate[name][key] for replicate in drawn])
        n = counts[name].get(key, len(pieces[name].rows))
        return interval(values[name][key], replicated, n, biased=key == "calibration_error")

    return {name: {key: figure(name, key) for key in found} for name, found in values.items()}


def reliability(
    label: Any, probability: Any, entity_id: Any, *, seed: int = 0, replicates: int = 200
) -> list[tuple[float, Figure]]:
    """Return (mean predicted, observed rate) of each of up to BINS equal-count bins, ascending."""
    label, probability = _checked(label, probability)
    distinct, level = np.unique(probability, return_inverse=True)
    bin_of_row = np.unique(equal_count_bins(level, len(distinct))[level], return_inverse=True)[1]
    bins = bin_of_row.max(initial=-1) + 1

    def observed(weight: np.ndarray) -> np.ndarray:
        negative, positive = split(bin_of_row, label, weight, bins)
        total = negative + positive
        return np.divide(positive, total, out=np.full(bins, np.nan), where=total > 0)

    ones = np.ones(len(label))
    replicated = np.array(
        [observed(weight) for weight in entity_weights(entity_id, seed, replicates)]
    )
    rows = np.bincount(bin_of_row, minlength=bins)
    predicted = np.bincount(bin_of_row, probability, minlength=bins) / rows
    return [
        (float(predicted[i]), interval(rate, replicated[:, i], int(rows[i])))
        for i, rate in enumerate(observed(ones))
    ]


def gain(
    label: Any, probability: Any, *, cutoff: Any = None, capacity: int | None = None
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return the curve of (share of rows worked, share of outcomes among them), and its point at capacity.

    The curve has 101 points, each the most probable rows of every cutoff; ``cutoff`` and ``capacity`` as in
    ``Predicted``.
    """
    label, probability = _checked(label, probability)
    ranking, ones, rows = (
        Ranking.of(probability, cutoff, capacity),
        np.ones(len(label)),
        np.arange(len(label)),
    )

    def work(share: float | None = None) -> tuple[float, float]:
        return ranking.held(ranking.taken(ones, share), rows, label, ones).work

    return [work(share) for share in np.linspace(0, 1, 101)], work()


def entity_weights(entity_id: Any, seed: int, replicates: int) -> Iterator[np.ndarray]:
    """Yield for each replicate how often each of the n rows counts: as often as its entity was drawn."""
    entities, code = np.unique(np.asarray(entity_id), return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = (
            generator.integers(len(entities), size=len(entities))
            if len(entities)
            else np.empty(0, int)
        )
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
    drawn = [
        dot(weight, gain) / weight.sum() for weight in entity_weights(entity_id, seed, replicates)
    ]
    return interval(float(gain.mean()), np.array(drawn), len(gain))


def skill(label: Any, probability: Any, base: Any, oracle: Any) -> float:
    """Return the share of what can be known that the model knows: 0 as the base rate, 1 as the oracle.

    Measured in log loss, on arrays of length n (``base`` may be one number). NaN where the oracle knows no
    more than the base rate.
    """
    losses = [log_loss(label, p).mean() for p in (base, probability, oracle)]
    return (
        float((losses[0] - losses[1]) / (losses[0] - losses[2]))
        if losses[0] > losses[2]
        else np.nan
    )


@dataclass(frozen=True)
class _Piece:
    """The rows of a part (their index), by level, and its recalibration, from which the replicates' are near.

    Replicates are drawn of the coarse levels, and shifted by what these differ from the levels in the whole sample.
    """

    rows: np.ndarray
    levels: Levels
    coarse: Levels
    start: np.ndarray
    shift: dict[str, float]

    @classmethod
    def of(cls, label: np.ndarray, probability: np.ndarray, stratum: Any, rows: np.ndarray) -> Self:
        key = None if stratum is None else np.asarray(stratum)[rows]
        levels = Levels.of(label[rows], probability[rows], key)
        coarse, ones = levels.coarse(), np.ones(len(rows))
        start = levels.recalibration(*levels.weights(ones))
        if coarse is levels:
            return cls(rows, levels, levels, start, {})
        exact, rough = (each.figures(ones, start) for each in (levels, coarse))
        return cls(rows, levels, coarse, start, {name: exact[name] - rough[name] for name in exact})

    def figures(self, weight: np.ndarray) -> dict[str, float]:
        """Return the figures of the whole sample."""
        return self.levels.figures(weight[self.rows], self.start)

    def replicate(self, weight: np.ndarray) -> dict[str, float]:
        """Return the figures of one drawing."""
        figures = self.coarse.figures(weight[self.rows], self.start)
        return {name: value + self.shift.get(name, 0.0) for name, value in figures.items()}


@dataclass(frozen=True)
class _Hands:
    """All rows ranked by probability, and by expected value where amounts are given; ``priced`` rows have one."""

    label: np.ndarray
    probable: Ranking
    valuable: Ranking | None
    priced: np.ndarray

    @classmethod
    def of(cls, rows: Predicted, label: np.ndarray, probability: np.ndarray) -> Self:
        probable = Ranking.of(probability, rows.cutoff, rows.capacity)
        if rows.amount is None:
            return cls(label, probable, None, np.zeros(len(label), bool))
        amount = np.broadcast_to(np.asarray(rows.amount, dtype=float), label.shape)
        priced = np.isfinite(amount)
        amount = np.where(priced, amount, 0.0)
        value = (
            probability * amount
            if rows.value is None
            else np.nan_to_num(np.asarray(rows.value, dtype=float))
        )
        return cls(label, probable, Ranking.of(value, rows.cutoff, rows.capacity, amount), priced)

    def taken(self, weight: np.ndarray) -> list[np.ndarray]:
        return [ranking.taken(weight) for ranking in (self.probable, self.valuable) if ranking]

    def figures(
        self, taken: list[np.ndarray], rows: np.ndarray, weight: np.ndarray
    ) -> dict[str, float]:
        label, weight = self.label[rows], weight[rows]
        held = self.probable.held(taken[0], rows, label, weight)
        figures = {"precision_at_capacity": held.precision, "lift_at_capacity": held.lift}
        if self.valuable:
            figures[VALUE] = self.valuable.held(taken[1], rows, label, weight).work[1]
        return figures

    def counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return of how many of some rows each figure is made."""
        taken = self.probable.taken(np.ones(len(self.label)))
        worked = round(self.probable.held(taken, rows, self.label[rows], np.ones(len(rows))).taken)
        return {
            "precision_at_capacity": worked,
            "lift_at_capacity": worked,
            VALUE: int(self.priced[rows].sum()),
        }


def _drawn(
    pieces: Mapping[Part, _Piece], hands: _Hands, weight: np.ndarray
) -> dict[Part, dict[str, float]]:
    """Return each part's figures in one drawing, in which the rows count ``weight`` times."""
    taken = hands.taken(weight)
    return {
        name: piece.replicate(weight) | hands.figures(taken, piece.rows, weight)
        for name, piece in pieces.items()
    }


def _checked(label: Any, probability: Any) -> tuple[np.ndarray, np.ndarray]:
    label = np.asarray(label, dtype=float)
    probability = np.broadcast_to(np.asarray(probability, dtype=float), label.shape)
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1] and not be missing")
    return label, probability
