"""What realised outcomes say of published scores: expected against actual, and the figures of a test, part by part.

Rows are ranked within their model version, whose levels are its own, and worked week by week; intervals are those of
``models.evaluation``, by lead.
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
    draw_entity_weights,
    estimate_with_interval,
)
from models.evaluation.sliced_metrics import SliceMetrics, compute_sliced_metrics, mask_by_value

ALL_ROWS = ("all", "all")
"""The part of all rows used."""
RECENT_WEEKS = 4
"""The latest mature weeks of a version, in which a drift shows first."""
MIN_LEADS = 30
"""Where fewer leads than this have the outcome, or have not, only their number is judged."""
REPLICATES = 200
"""Drawings of leads from which each interval is made."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class RealisedValue:
    """Sums over the ``rows`` whose amount and expected value are known, in the amount's unit, and their ratio."""

    rows: int
    expected: float
    actual: float
    ratio: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        sums = {"rows": self.rows, "expected": self.expected, "actual": self.actual}
        return {**sums, "actual_to_expected": self.ratio.to_json()}


@dataclass(frozen=True)
class RealisedOutcomes:
    """One part of the rows used: counts and figures, leads with the outcome, outcomes expected, actual / expected."""

    part: SliceMetrics
    leads_with_outcome: int
    expected: float
    ratio: Estimate
    value: RealisedValue | None

    @property
    def too_few(self) -> bool:
        """Whether too few leads have the outcome, or have not, for more than their number to be judged."""
        return self.part.too_small or min(self.leads_with_outcome, self.part.entities - self.leads_with_outcome) < MIN_LEADS

    @property
    def metrics(self) -> dict[str, Estimate]:
        """The figures of the part, the ratio among them; without the others where it is too small."""
        return {"actual_to_expected": self.ratio, **self.part.estimates}

    def to_json(self) -> dict[str, Any]:
        """Return counts and figures as plain JSON values."""
        found = self.part.to_json()
        used = {
            "used": found["rows"],
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
            "metrics": {k: figure.to_json() for k, figure in self.metrics.items()},
        }


def build_masks(
    rows: pa.Table, stage: pa.Array | None, stages: Sequence[str], champion: str | None
) -> dict[tuple[str, str], np.ndarray]:
    """Return the parts of FOLLOWED rows by boolean masks: all, by week, grade, stage and version, and recent.

    ``stage`` is each row's stage at its cutoff; “recent” are the champion's latest RECENT weeks.
    """
    week, version = (
        np.array(rows[name].to_pylist(), dtype=object) for name in ("week", "model_version")
    )
    masks = {ALL_ROWS: np.ones(rows.num_rows, bool)}
    for kind, values in (("week", week), ("version", version)):
        masks |= {(kind, name): values == name for name in sorted(set(values), key=_sort_key)}
    grades = mask_by_value(rows["grade"].to_pylist(), "ABCD")
    masks |= {("grade", name): mask for name, mask in grades.items()}
    if stage is not None:
        masks |= {
            ("stage", name): mask for name, mask in mask_by_value(stage.to_pylist(), stages).items()
        }
    mine = version == champion
    if mine.any():
        latest = sorted(set(week[mine]))[-RECENT_WEEKS:]
        masks["recent", str(champion)] = mine & np.isin(week, latest)
    return masks


def measure_outcomes(
    rows: pa.Table,
    lead: np.ndarray,
    masks: Mapping[Key, np.ndarray],
    amount: np.ndarray | None,
    capacity: int | None,
    amount_is_learned: bool = False,
) -> dict[Key, RealisedOutcomes]:
    """Return what became of each part of FOLLOWED rows that are all labelled.

    ``lead`` is any key of each row's lead, ``amount`` what its outcome is worth, NaN where unknown, None where the
    target has none. ``capacity`` is a week's, and the most probable of a week are worked. An amount that is ``amount_is_learned``
    was not known before: then the published expected value says who would be worked by it.
    """
    label, probability = (rows[name].to_numpy().astype(float) for name in ("label", "probability"))
    version, week = (
        rows[name].combine_chunks().dictionary_encode().indices
        for name in ("model_version", "week")
    )
    value = rows["expected_value"].to_numpy() if amount_is_learned else None
    predicted = PredictedRows(
        label, probability, lead, version.to_numpy(), week.to_numpy(), capacity, amount, value
    )
    parts = compute_sliced_metrics(predicted, masks, replicates=REPLICATES)
    values = _measure_values(rows["expected_value"].to_numpy(), label, lead, masks, amount)
    found = {}
    for name, part in parts.items():
        converted, expected = (
            len(np.unique(lead[masks[name] & (label == 1)])),
            float(probability[masks[name]].sum()),
        )
        found[name] = RealisedOutcomes(
            part, converted, expected, _estimate_ratio(part, converted, expected), values.get(name)
        )
    return found


def invert_estimate(figure: Estimate) -> Estimate:
    """Return one over a positive figure: the percentiles of a bootstrap go over into those of the inverse."""
    with np.errstate(divide="ignore"):
        value, low, high = (
            float(np.float64(1) / x) for x in (figure.value, figure.high, figure.low)
        )
    return Estimate(value, low, high, figure.n)


def _sort_key(name: str) -> tuple[int, str]:
    """Sort versions by their number."""
    return (int(name), "") if name.isdigit() else (0, name)


def _estimate_ratio(part: SliceMetrics, converted: int, expected: float) -> Estimate:
    """Return actual over expected outcomes, by the bootstrap where many leads have the outcome, else by counting.

    Few outcomes count as a Poisson number (Garwood 1936, Fiducial limits for the Poisson distribution, Biometrika
    28), of leads and not of rows: rows are as many as a lead has of them. None at all says something too.
    """
    drawn = part.estimates.get("predicted_to_observed")
    if drawn is not None and converted >= MIN_LEADS:
        return invert_estimate(drawn)
    if not expected:
        return Estimate(np.nan, np.nan, np.nan, part.rows)
    each = part.rows / part.entities
    count = part.outcomes / each
    low = float(gammaincinv(count, LOW_QUANTILE)) if count else 0.0
    high = float(gammaincinv(count + 1, HIGH_QUANTILE))
    return Estimate(
        part.outcomes / expected, low * each / expected, high * each / expected, part.rows
    )


def _measure_values(
    expected: np.ndarray,
    label: np.ndarray,
    lead: np.ndarray,
    masks: Mapping[Key, np.ndarray],
    amount: np.ndarray | None,
) -> dict[Key, RealisedValue]:
    """Return the value of each part in which an amount and an expected value are known, drawn by lead."""
    if amount is None:
        return {}
    priced = np.isfinite(expected) & np.isfinite(amount)
    promised, actual = np.where(priced, expected, 0.0), np.where(priced & (label == 1), amount, 0.0)
    places = {name: np.flatnonzero(mask & priced) for name, mask in masks.items()}
    places = {name: rows for name, rows in places.items() if len(rows)}
    drawn: dict[Key, list[float]] = {name: [] for name in places}
    for weight in draw_entity_weights(lead, 0, REPLICATES):
        for name, rows in places.items():
            drawn[name].append(
                _divide_or_nan((weight * actual)[rows].sum(), (weight * promised)[rows].sum())
            )
    found = {}
    for name, rows in places.items():
        sums = float(promised[rows].sum()), float(actual[rows].sum())
        ratio = estimate_with_interval(_divide_or_nan(sums[1], sums[0]), np.array(drawn[name]), len(rows))
        found[name] = RealisedValue(len(rows), *sums, ratio)
    return found


def _divide_or_nan(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
