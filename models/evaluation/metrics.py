"""Metrics of predicted probabilities, with clustered 90 % intervals.

The order of the rows changes no bit of the result. Metrics of a slice, such as one fold, come from
the same bootstrap draws as those of all rows, and the rows worked at capacity are chosen among all
rows.

Ranking compares rows of the same stratum only. Each fold has a model of its own: where their levels
differ, even a pooled constant ranks rows by fold, not by likelihood within it (Forman & Scholz
2010, Apples-to-apples in cross-validation studies, SIGKDD Explorations 12).

Intervals are percentile intervals of the cluster bootstrap: whole clusters, which are accounts or
entities without one, are drawn with replacement (Field & Welsh 2007, Bootstrapping clustered data,
JRSS B 69; Cameron, Gelbach & Miller 2008, Bootstrap-based improvements for inference with clustered
errors, REStat 90).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np

from models.evaluation.capacity_metrics import Ranking
from models.evaluation.grouped import dot_without_blas, split_by_label
from models.evaluation.weighted_curves import EPSILON, ProbabilityLevels, assign_equal_count_bins

# Ends of the 90 % interval.
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95
VALUE_CAPTURED = "value_captured_at_capacity"
SliceName = TypeVar("SliceName", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A metric with its 90 % interval; NaN where undefined, such as the AUC of one class.

    Attributes:
        value: Point estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of rows that the estimate is made of.
    """

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the attributes as JSON values; null instead of NaN, which JSON lacks."""
        parts = {"value": self.value, "low": self.low, "high": self.high}
        return {
            **{name: float(x) if np.isfinite(x) else None for name, x in parts.items()},
            "n": int(self.n),
        }

    def widen_interval(self, stretch: float) -> Self:
        """Return the estimate with ends that are ``stretch`` times as far from its value."""
        low, high = (self.value + (end - self.value) * stretch for end in (self.low, self.high))
        return replace(self, low=low, high=high)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class PredictedRows:
    """Predicted rows as arrays of one element per row.

    Attributes:
        label: 0 or 1.
        probability: Predicted probability in [0, 1].
        entity_id: Entity of the row.
        stratum: Any key, such as the fold; only rows of the same stratum are ranked against each
            other. None ranks all rows together.
        cutoff: Batch of work, as any key; give the week where every row has an instant of its own.
            None puts all rows in the same batch.
        capacity: Rows that can be worked at each distinct cutoff; None for the top 10 %.
        amount: Value of an outcome, in any unit; NaN where unknown.
        expected_value: Expected value of the row; None for probability times amount, which holds
            where the amount is known beforehand.
        cluster: Key of the rows that depend on each other, such as those of an account; None for
            the entity.
    """

    label: Any
    probability: Any
    entity_id: Any
    stratum: Any = None
    cutoff: Any = None
    capacity: int | None = None
    amount: Any = None
    expected_value: Any = None
    cluster: Any = None

    @property
    def clusters(self) -> Any:
        """Key of the rows that depend on each other: the bootstrap draws whole clusters."""
        return self.entity_id if self.cluster is None else self.cluster


def evaluate_rows(
    label: Any,
    probability: Any,
    cluster: Any,
    *,
    stratum: Any = None,
    cutoff: Any = None,
    capacity: int | None = None,
    seed: int = 0,
    replicates: int = 200,
) -> dict[str, Estimate]:
    """Return the metrics of all rows by name.

    Arguments are those of ``PredictedRows``; ``cluster`` is its account, or entity without one.
    Metrics and errors are those of ``evaluate_slices``.
    """
    rows = PredictedRows(label, probability, cluster, stratum, cutoff, capacity)
    everything = np.ones(np.shape(label), bool)
    return evaluate_slices(rows, {"all": everything}, seed=seed, replicates=replicates)["all"]


def evaluate_slices(
    rows: PredictedRows,
    masks: Mapping[SliceName, np.ndarray],
    *,
    seed: int = 0,
    replicates: int = 200,
) -> dict[SliceName, dict[str, Estimate]]:
    """Return all metrics of each slice, given by a boolean mask of the n rows.

    ``roc_auc`` is the share of correctly ordered pairs of the same stratum, so strata weigh by
    their pairs. ``average_precision`` is the mean over the positives of the precision within their
    stratum. ``calibration_slope`` and ``calibration_intercept`` are NaN where each stratum has one
    probability only, since a slope cannot be separated from differences between strata.

    ``precision_at_capacity`` is the outcome rate of the slice's worked rows, where worked are the
    most probable of all rows of their cutoff. ``lift_at_capacity`` is its ratio to the slice's
    outcome rate. With amounts, ``value_captured_at_capacity`` is the share of the slice's realized
    amount (that of its rows with the outcome) that lies in the rows that would be worked by
    expected value. Rows of unknown amount or expected value count 0.

    ``n`` is the number of rows of the slice; for precision and lift that of its worked rows, for
    the captured value that of its rows with an amount. Metrics that one class or one probability
    leaves undefined are NaN. Raise ValueError for arrays of different length or values out of
    range.
    """
    label, probability = _validate_inputs(rows.label, rows.probability)
    rankings = _CapacityRankings.from_rows(rows, label, probability)
    slices = {
        name: _SliceRows.from_index(label, probability, rows.stratum, np.flatnonzero(mask))
        for name, mask in masks.items()
    }
    ones = np.ones(len(label))
    shares = rankings.worked_shares(ones)
    values = {
        name: {**part.metrics(ones), **rankings.metrics(shares, part.rows, ones)}
        for name, part in slices.items()
    }
    counts = {name: rankings.row_counts(part.rows) for name, part in slices.items()}
    drawn = [
        _evaluate_replicate(slices, rankings, weight)
        for weight in draw_cluster_weights(rows.clusters, seed, replicates)
    ]
    return {
        name: _make_estimates(
            values[name], [replicate[name] for replicate in drawn], counts[name], len(part.rows)
        )
        for name, part in slices.items()
    }


def _make_estimates(
    values: Mapping[str, float],
    replicates: list[dict[str, float]],
    counts: Mapping[str, int],
    n: int,
) -> dict[str, Estimate]:
    """Return the estimates of one slice; ``counts`` has the rows of metrics of fewer than ``n``."""
    return {
        key: estimate_with_interval(
            value,
            np.array([replicate[key] for replicate in replicates]),
            counts.get(key, n),
            biased=key == "calibration_error",
        )
        for key, value in values.items()
    }


def compute_reliability(
    label: Any, probability: Any, cluster: Any, *, seed: int = 0, replicates: int = 200
) -> list[tuple[float, Estimate]]:
    """Return (mean predicted, observed rate) of up to 10 equal-count bins, ascending."""
    label, probability = _validate_inputs(label, probability)
    distinct, level = np.unique(probability, return_inverse=True)
    bin_of_row = np.unique(
        assign_equal_count_bins(level, len(distinct))[level], return_inverse=True
    )[1]
    bins = bin_of_row.max(initial=-1) + 1

    def observed(weight: np.ndarray) -> np.ndarray:
        negative, positive = split_by_label(bin_of_row, label, weight, bins)
        total = negative + positive
        return np.divide(positive, total, out=np.full(bins, np.nan), where=total > 0)

    ones = np.ones(len(label))
    replicated = np.array(
        [observed(weight) for weight in draw_cluster_weights(cluster, seed, replicates)]
    )
    rows = np.bincount(bin_of_row, minlength=bins)
    predicted = np.bincount(bin_of_row, probability, minlength=bins) / rows
    return [
        (float(predicted[i]), estimate_with_interval(rate, replicated[:, i], int(rows[i])))
        for i, rate in enumerate(observed(ones))
    ]


def compute_gain_curve(
    label: Any, probability: Any, *, cutoff: Any = None, capacity: int | None = None
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return the gain curve and its point at capacity.

    A point is (share of rows worked, share of outcomes among them). The curve has 101 points; at
    each, the most probable rows of every cutoff are worked. ``cutoff`` and ``capacity`` are those
    of ``PredictedRows``.
    """
    label, probability = _validate_inputs(label, probability)
    ranking = Ranking.from_scores(probability, cutoff, capacity)
    ones, rows = np.ones(len(label)), np.arange(len(label))

    def find_point(share: float | None = None) -> tuple[float, float]:
        shares = ranking.worked_shares(ones, share)
        return ranking.count_worked(shares, rows, label, ones).gain_point

    return [find_point(share) for share in np.linspace(0, 1, 101)], find_point()


def draw_cluster_weights(cluster: Any, seed: int, replicates: int) -> Iterator[np.ndarray]:
    """Yield for each replicate the weight of each row: how often its cluster was drawn."""
    clusters, code = np.unique(np.asarray(cluster), return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = (
            generator.integers(len(clusters), size=len(clusters))
            if len(clusters)
            else np.empty(0, int)
        )
        yield np.bincount(drawn, minlength=len(clusters))[code].astype(float)


def estimate_with_interval(
    value: float, replicates: np.ndarray, n: int, *, biased: bool = False
) -> Estimate:
    """Return a value with the 90 % interval of its replicates; undefined replicates are left out.

    ``biased`` is for a distance, which noise only enlarges, so that replicates lie above the value.
    Its interval is mirrored at the value (basic bootstrap, Davison & Hinkley 1997, section 5.2),
    clipped at zero and stretched to contain the value.
    """
    # A replicate may have drawn clusters of one class only, for which some metrics do not exist.
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(defined):
        return Estimate(float(value), np.nan, np.nan, n)
    low, high = np.quantile(defined, [LOW_QUANTILE, HIGH_QUANTILE])
    if biased:
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return Estimate(float(value), float(low), float(high), n)


def log_loss_per_row(label: Any, probability: Any) -> np.ndarray:
    """Return the log loss of each row in nats.

    Probabilities are clipped to [EPSILON, 1 - EPSILON].
    """
    label, probability = _validate_inputs(label, probability)
    clipped = np.clip(probability, EPSILON, 1 - EPSILON)
    return -np.where(label == 1, np.log(clipped), np.log1p(-clipped))


def paired_log_loss_gain(
    label: Any, better: Any, worse: Any, cluster: Any, seed: int = 0, replicates: int = 200
) -> Estimate:
    """Return the mean log loss of ``worse`` minus that of ``better``, in nats a row.

    Both are probabilities of the same rows.
    """
    gain = log_loss_per_row(label, worse) - log_loss_per_row(label, better)
    if not len(gain):
        return Estimate(np.nan, np.nan, np.nan, 0)
    drawn = [
        dot_without_blas(weight, gain) / weight.sum()
        for weight in draw_cluster_weights(cluster, seed, replicates)
    ]
    return estimate_with_interval(float(gain.mean()), np.array(drawn), len(gain))


def compute_skill(label: Any, probability: Any, base: Any, oracle: Any) -> float:
    """Return the log-loss skill of a model: 0 for the base rate, 1 for the oracle.

    All arguments are arrays of length n; ``base`` may also be a number. NaN where the oracle is no
    better than the base rate.
    """
    losses = [log_loss_per_row(label, p).mean() for p in (base, probability, oracle)]
    return (
        float((losses[0] - losses[1]) / (losses[0] - losses[2]))
        if losses[0] > losses[2]
        else np.nan
    )


@dataclass(frozen=True)
class _SliceRows:
    """Rows of one slice, ready for the whole sample and for bootstrap replicates.

    Attributes:
        rows: Index of the slice's rows.
        levels: Levels of the rows.
        coarse: Fewer levels, of which replicates are made; ``levels`` itself if there are few.
        start: Recalibration of the whole sample, from which that of a replicate starts.
        shift: Metrics of ``levels`` minus those of ``coarse`` in the whole sample, added to
            replicates.
    """

    rows: np.ndarray
    levels: ProbabilityLevels
    coarse: ProbabilityLevels
    start: np.ndarray
    shift: dict[str, float]

    @classmethod
    def from_index(
        cls, label: np.ndarray, probability: np.ndarray, stratum: Any, rows: np.ndarray
    ) -> Self:
        key = None if stratum is None else np.asarray(stratum)[rows]
        levels = ProbabilityLevels.from_rows(label[rows], probability[rows], key)
        # Replicates of coarse levels take a quarter of the time. Merging moves a metric about as
        # much in each replicate as in the whole sample, so that difference is added back.
        coarse, ones = levels.coarsen(), np.ones(len(rows))
        start = levels.recalibrate(*levels.level_weights(ones))
        if coarse is levels:
            return cls(rows, levels, levels, start, {})
        exact, rough = levels.metrics(ones, start), coarse.metrics(ones, start)
        return cls(rows, levels, coarse, start, {name: exact[name] - rough[name] for name in exact})

    def metrics(self, weight: np.ndarray) -> dict[str, float]:
        """Return the metrics of the whole sample."""
        return self.levels.metrics(weight[self.rows], self.start)

    def replicate(self, weight: np.ndarray) -> dict[str, float]:
        """Return the metrics of one bootstrap replicate."""
        metrics = self.coarse.metrics(weight[self.rows], self.start)
        return {name: value + self.shift.get(name, 0.0) for name, value in metrics.items()}


@dataclass(frozen=True)
class _CapacityRankings:
    """All rows ranked for the work at capacity.

    Attributes:
        label: Label of each row.
        by_probability: Rows ranked by probability.
        by_expected_value: Rows ranked by expected value; None without amounts.
        has_amount: Whether the amount of each row is known.
    """

    label: np.ndarray
    by_probability: Ranking
    by_expected_value: Ranking | None
    has_amount: np.ndarray

    @classmethod
    def from_rows(cls, rows: PredictedRows, label: np.ndarray, probability: np.ndarray) -> Self:
        by_probability = Ranking.from_scores(probability, rows.cutoff, rows.capacity)
        if rows.amount is None:
            return cls(label, by_probability, None, np.zeros(len(label), bool))
        amount = np.broadcast_to(np.asarray(rows.amount, dtype=float), label.shape)
        has_amount = np.isfinite(amount)
        amount = np.where(has_amount, amount, 0.0)
        value = (
            probability * amount
            if rows.expected_value is None
            else np.nan_to_num(np.asarray(rows.expected_value, dtype=float))
        )
        by_value = Ranking.from_scores(value, rows.cutoff, rows.capacity, amount)
        return cls(label, by_probability, by_value, has_amount)

    def worked_shares(self, weight: np.ndarray) -> list[np.ndarray]:
        """Return the worked share of each level, by probability and by expected value."""
        return [
            ranking.worked_shares(weight)
            for ranking in (self.by_probability, self.by_expected_value)
            if ranking
        ]

    def metrics(
        self, shares: list[np.ndarray], rows: np.ndarray, weight: np.ndarray
    ) -> dict[str, float]:
        """Return the metrics at capacity of some rows.

        ``shares`` is the result of ``worked_shares``.
        """
        label, weight = self.label[rows], weight[rows]
        counts = self.by_probability.count_worked(shares[0], rows, label, weight)
        metrics = {"precision_at_capacity": counts.precision, "lift_at_capacity": counts.lift}
        if self.by_expected_value:
            value = self.by_expected_value.count_worked(shares[1], rows, label, weight)
            metrics[VALUE_CAPTURED] = value.gain_point[1]
        return metrics

    def row_counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return the number of rows that each metric of some rows is made of."""
        shares = self.by_probability.worked_shares(np.ones(len(self.label)))
        counts = self.by_probability.count_worked(
            shares, rows, self.label[rows], np.ones(len(rows))
        )
        worked = round(counts.rows_worked)
        return {
            "precision_at_capacity": worked,
            "lift_at_capacity": worked,
            VALUE_CAPTURED: int(self.has_amount[rows].sum()),
        }


def _evaluate_replicate(
    slices: Mapping[SliceName, _SliceRows], rankings: _CapacityRankings, weight: np.ndarray
) -> dict[SliceName, dict[str, float]]:
    """Return each slice's metrics in one bootstrap replicate; row i counts ``weight[i]`` times."""
    shares = rankings.worked_shares(weight)
    return {
        name: part.replicate(weight) | rankings.metrics(shares, part.rows, weight)
        for name, part in slices.items()
    }


def _validate_inputs(label: Any, probability: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities as float arrays of one shape; raise ValueError if invalid."""
    label = np.asarray(label, dtype=float)
    probability = np.broadcast_to(np.asarray(probability, dtype=float), label.shape)
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1] and not be missing")
    return label, probability
