"""Realised outcomes of published scores: expected against actual, and metrics, by part.

Rows are ranked within their model version, since each version has its own level of probabilities.
Metrics at capacity count each week separately. Intervals are bootstrapped by
account, or lead without one, as in ``models.evaluation``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from scipy.special import gammaincinv

from models.evaluation.metrics import (
    HIGH_QUANTILE,
    LOW_QUANTILE,
    Estimate,
    PredictedRows,
    draw_cluster_weights,
    estimate_with_interval,
)
from models.evaluation.sliced_metrics import SliceMetrics, compute_sliced_metrics, mask_by_value

# Key of the part with all rows.
ALL_ROWS = ("all", "all")
# A drift shows first in the latest mature weeks of a version.
RECENT_WEEKS = 4
# With fewer leads that have the outcome, or that have not, only their number is compared: a handful
# of leads must not raise an alarm.
MIN_LEADS = 30
# Bootstrap replicates of each interval, as many as a training uses for the metrics compared with.
REPLICATES = 200
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class RealisedValue:
    """Value of the rows whose amount and expected value are known, in the unit of the amount.

    Attributes:
        rows: Number of these rows.
        expected: Sum of the expected values.
        actual: Sum of the amounts of the rows with the outcome.
        ratio: Actual over expected value, with its 90 % interval.
    """

    rows: int
    expected: float
    actual: float
    ratio: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return the sums and their ratio as JSON values."""
        sums = {"rows": self.rows, "expected": self.expected, "actual": self.actual}
        return {**sums, "actual_to_expected": self.ratio.to_json()}


@dataclass(frozen=True)
class RealisedOutcomes:
    """Realised outcomes of one part of the rows.

    Attributes:
        part: Counts and metrics of the part.
        leads_with_outcome: Distinct leads with the outcome.
        expected: Sum of the published probabilities.
        ratio: Actual over expected outcomes, with its 90 % interval.
        value: Expected and actual value; None if no row has both.
    """

    part: SliceMetrics
    leads_with_outcome: int
    expected: float
    ratio: Estimate
    value: RealisedValue | None

    @property
    def too_few(self) -> bool:
        """Whether too few leads have the outcome, or too few have not, to compare metrics."""
        without_outcome = self.part.entities - self.leads_with_outcome
        return self.part.too_small or min(self.leads_with_outcome, without_outcome) < MIN_LEADS

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Metrics of the part with the ratio; the ratio alone if the part is too small."""
        return {"actual_to_expected": self.ratio, **self.part.estimates}

    def to_json(self) -> dict[str, Any]:
        """Return counts and metrics as JSON values, under the keys of outcomes.json."""
        used = {
            "used": self.part.to_json()["rows"],
            "leads": self.part.entities,
            "leads_with_outcome": self.leads_with_outcome,
        }
        sums = {
            "expected": self.expected,
            "actual": self.part.outcomes,
            "too_small": self.part.too_small,
        }
        value = {"value": self.value.to_json()} if self.value else {}
        return {
            **used,
            **sums,
            **value,
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
        }


def build_masks(
    rows: pa.Table, stage: pa.Array | None, stages: Sequence[str], champion: str | None
) -> dict[tuple[str, str], np.ndarray]:
    """Return a boolean mask of FOLLOWED rows for each part, by (kind, name).

    The kinds are all, week, month, version, grade, stage and recent. ``stage`` is each row's stage
    at its cutoff, ``stages`` the names of all stages. The recent part holds the champion's latest
    RECENT_WEEKS weeks.
    """
    columns = ("week", "month", "model_version")
    week, month, version = (np.array(rows[name].to_pylist(), dtype=object) for name in columns)
    masks = {ALL_ROWS: np.ones(rows.num_rows, bool)}
    for kind, values in (("week", week), ("month", month), ("version", version)):
        masks |= {(kind, name): values == name for name in sorted(set(values), key=_sort_key)}
    grades = mask_by_value(rows["grade"].to_pylist(), "ABCD")
    masks |= {("grade", name): mask for name, mask in grades.items()}
    if stage is not None:
        masks |= {
            ("stage", name): mask for name, mask in mask_by_value(stage.to_pylist(), stages).items()
        }
    is_champion = version == champion
    if is_champion.any():
        latest = sorted(set(week[is_champion]))[-RECENT_WEEKS:]
        masks["recent", str(champion)] = is_champion & np.isin(week, latest)
    return masks


def measure_outcomes(
    rows: pa.Table,
    lead: np.ndarray,
    masks: Mapping[Key, np.ndarray],
    amount: np.ndarray | None,
    capacity: int | None,
    amount_is_learned: bool = False,
    cluster: np.ndarray | None = None,
) -> dict[Key, RealisedOutcomes]:
    """Return the realised outcomes of each part of labelled FOLLOWED rows.

    ``lead`` holds a key of each row's lead. ``amount`` is the value of each row's outcome, NaN if
    unknown; None if the target has no amount. ``capacity`` is the number of leads worked in a week:
    the most probable ones, or by value those with the highest value. A learned amount was not known
    before the outcome, so then the published expected value ranks the leads by value. ``cluster``
    holds a key of the leads that depend on each other, such as those of an account; None for the
    lead.
    """
    label, probability = (rows[name].to_numpy().astype(float) for name in ("label", "probability"))
    version, week = (
        rows[name].combine_chunks().dictionary_encode().indices
        for name in ("model_version", "week")
    )
    value = rows["expected_value"].to_numpy() if amount_is_learned else None
    cluster = lead if cluster is None else cluster
    predicted = PredictedRows(
        label,
        probability,
        lead,
        version.to_numpy(),
        week.to_numpy(),
        capacity,
        amount,
        value,
        cluster,
    )
    parts = compute_sliced_metrics(predicted, masks, replicates=REPLICATES)
    values = _measure_values(rows["expected_value"].to_numpy(), label, cluster, masks, amount)
    outcomes = {}
    for name, part in parts.items():
        leads_with_outcome = len(np.unique(lead[masks[name] & (label == 1)]))
        expected = float(probability[masks[name]].sum())
        units = len(np.unique(cluster[masks[name]]))
        units_with_outcome = len(np.unique(cluster[masks[name] & (label == 1)]))
        ratio = _estimate_ratio(part, units, units_with_outcome, expected)
        outcomes[name] = RealisedOutcomes(
            part, leads_with_outcome, expected, ratio, values.get(name)
        )
    return outcomes


def invert_estimate(estimate: Estimate) -> Estimate:
    """Return the reciprocal of a positive estimate.

    The percentiles of a bootstrap become those of the reciprocal, in reverse order.
    """
    with np.errstate(divide="ignore"):
        value, low, high = (
            float(np.float64(1) / x) for x in (estimate.value, estimate.high, estimate.low)
        )
    return Estimate(value, low, high, estimate.n)


def _sort_key(name: str) -> tuple[int, str]:
    """Return a sort key that orders versions by number and other names alphabetically."""
    return (int(name), "") if name.isdigit() else (0, name)


def _estimate_ratio(
    part: SliceMetrics, units: int, units_with_outcome: int, expected: float
) -> Estimate:
    """Return actual over expected outcomes with a 90 % interval.

    ``units`` is the number of clusters. The interval is bootstrapped if at least MIN_LEADS clusters
    have the outcome. Otherwise it is that of a Poisson number of clusters (Garwood 1936, Fiducial
    limits for the Poisson distribution, Biometrika 28), so that no outcome at all is evidence too.
    The number counts clusters, not rows, since the rows of one lead or account are dependent.
    """
    bootstrapped = part.estimates.get("predicted_to_observed")
    if bootstrapped is not None and units_with_outcome >= MIN_LEADS:
        return invert_estimate(bootstrapped)
    if not expected:
        return Estimate(np.nan, np.nan, np.nan, part.rows)
    rows_per_unit = part.rows / units
    count = part.outcomes / rows_per_unit
    # The gamma quantile is not defined for a count of 0, where the lower bound is 0.
    low = float(gammaincinv(count, LOW_QUANTILE)) if count else 0.0
    high = float(gammaincinv(count + 1, HIGH_QUANTILE))
    return Estimate(
        part.outcomes / expected,
        low * rows_per_unit / expected,
        high * rows_per_unit / expected,
        part.rows,
    )


def _measure_values(
    expected: np.ndarray,
    label: np.ndarray,
    cluster: np.ndarray,
    masks: Mapping[Key, np.ndarray],
    amount: np.ndarray | None,
) -> dict[Key, RealisedValue]:
    """Return the value of each part with rows whose amount and expected value are both known.

    The intervals of the ratios are bootstrapped by cluster.
    """
    if amount is None:
        return {}
    has_value = np.isfinite(expected) & np.isfinite(amount)
    expected_value = np.where(has_value, expected, 0.0)
    actual_value = np.where(has_value & (label == 1), amount, 0.0)
    rows_of = {name: np.flatnonzero(mask & has_value) for name, mask in masks.items()}
    rows_of = {name: rows for name, rows in rows_of.items() if len(rows)}
    replicates: dict[Key, list[float]] = {name: [] for name in rows_of}
    # A fixed seed, so that the same data give the same report.
    for weight in draw_cluster_weights(cluster, 0, REPLICATES):
        for name, rows in rows_of.items():
            actual_sum = (weight * actual_value)[rows].sum()
            expected_sum = (weight * expected_value)[rows].sum()
            replicates[name].append(_divide_or_nan(actual_sum, expected_sum))
    values = {}
    for name, rows in rows_of.items():
        sums = float(expected_value[rows].sum()), float(actual_value[rows].sum())
        ratio = estimate_with_interval(
            _divide_or_nan(sums[1], sums[0]), np.array(replicates[name]), len(rows)
        )
        values[name] = RealisedValue(len(rows), *sums, ratio)
    return values


def _divide_or_nan(numerator: float, denominator: float) -> float:
    """Return the quotient; NaN for a zero denominator."""
    return float(numerator / denominator) if denominator else np.nan
