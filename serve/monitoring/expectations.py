"""Comparison of realised metrics with those expected at training, and when to train again.

A metric is off if the 99 % interval of its difference from the expected one excludes 0. The
interval is derived from the 90 % intervals of both metrics by the method of variance estimates
recovery (Zou & Donner 2008, Construction of confidence limits about effect measures, Statistics in
Medicine 27). If a metric is off, the two 90 % intervals do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from models.evaluation.gate import GateSettings
from models.evaluation.metrics import Estimate
from serve.monitoring.grade_order import GradeOrder
from serve.monitoring.realised import MIN_LEADS, RealisedOutcomes, invert_estimate

# Normal quantiles: the half-width of a 99 % interval over that of a 90 % interval.
WIDTH_RATIO = 2.5758 / 1.6449
RATIO, SLOPE, AUC = "actual_to_expected", "calibration_slope", "roc_auc"
# The metrics compared, and the side on which each is worse than expected.
WORSE_SIDE: Mapping[str, Literal["lower", "higher", "either"]] = {
    AUC: "lower",
    "log_loss": "higher",
    SLOPE: "either",
    RATIO: "either",
}
METRIC_NAMES = {
    AUC: "ROC AUC",
    "log_loss": "log loss",
    SLOPE: "calibration slope",
    RATIO: "actual to expected outcomes",
}
# A smaller difference is no reason to train again, even if it is certain. Log loss is no reason at
# all, since it moves with the outcome rate alone.
MIN_RELEVANT_DIFFERENCE = {AUC: 0.02, SLOPE: 0.1, RATIO: 0.1}
# Rows matured since the training, relative to those mature at it: with fewer, a new model would be
# trained on nearly the same data.
MIN_FRESH_SHARE = 0.1


@dataclass(frozen=True)
class Comparison:
    """One metric of a model version, expected and realised.

    Attributes:
        metric: Name of the metric.
        expected: Out-of-time estimate at training with its 90 % interval, or the gate's bounds if
            the version stores none.
        realised: Estimate from realised outcomes with its 90 % interval.
        difference: Realised less expected with its 99 % interval; NaN if undefined.
        is_recorded: Whether ``expected`` is stored with the version.
    """

    metric: str
    expected: Estimate
    realised: Estimate
    difference: Estimate
    is_recorded: bool

    @property
    def is_off(self) -> bool:
        """Whether the metric is worse than expected, beyond the uncertainty of both estimates."""
        worse = WORSE_SIDE[self.metric]
        below, above = self.difference.high < 0, self.difference.low > 0
        return (below and worse != "higher") or (above and worse != "lower")

    @property
    def is_relevant(self) -> bool:
        """Whether the metric is off by at least MIN_RELEVANT_DIFFERENCE."""
        return self.is_off and abs(self.difference.value) >= MIN_RELEVANT_DIFFERENCE.get(
            self.metric, np.inf
        )

    @property
    def sentence(self) -> str:
        """Both estimates in words."""
        expected = _format_estimate(self.expected)
        reference = (
            f"{expected} at training" if self.is_recorded else f"the gate requires {expected}"
        )
        return f"{METRIC_NAMES[self.metric]} is {_format_estimate(self.realised)}, {reference}"

    def to_json(self) -> dict[str, Any]:
        """Return the estimates as JSON values, under the keys of outcomes.json."""
        estimates = {
            "promised": self.expected,
            "realised": self.realised,
            "difference": self.difference,
        }
        return {
            **{name: estimate.to_json() for name, estimate in estimates.items()},
            "kept": self.is_recorded,
            "off": self.is_off,
        }


@dataclass(frozen=True)
class ModelAge:
    """Age of the champion, and the growth of its training data since.

    Attributes:
        age: Time since the training.
        max_age: Age above which the check model_age warns.
        mature_at_training: Rows that were mature at the training.
        matured_since: Rows that have matured since.
    """

    age: timedelta
    max_age: timedelta
    mature_at_training: int
    matured_since: int

    @property
    def is_reason(self) -> bool:
        """Whether the model is too old, and enough rows have matured to train a better one."""
        enough = max(MIN_LEADS, MIN_FRESH_SHARE * self.mature_at_training)
        return self.age > self.max_age and self.matured_since >= enough


@dataclass(frozen=True)
class Recommendation:
    """Recommendation on training a target again.

    Attributes:
        reasons: Each reason to train again, in words and numbers.
        doubts: What speaks for it, but may be chance.
    """

    reasons: tuple[str, ...]
    doubts: tuple[str, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether there is a reason to train again."""
        return bool(self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        return {
            "retrain": self.retrain,
            "reasons": list(self.reasons),
            "doubts": list(self.doubts),
        }


def read_expectations(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Return the out-of-time metrics stored with a model version.

    The stored ratio of predicted to observed outcomes is inverted to RATIO.
    """
    expectations = {name: _read_estimate(parts) for name, parts in stored.items()}
    ratio = expectations.pop("predicted_to_observed", None)
    return expectations | ({RATIO: invert_estimate(ratio)} if ratio else {})


def compare_with_expectations(
    realised: RealisedOutcomes, expectations: Mapping[str, Estimate]
) -> list[Comparison]:
    """Compare realised metrics with those expected at training, one Comparison per metric.

    Without ``expectations``, ratio and slope are compared with the gate's bounds. If too few leads
    have the outcome, or too few have not, only the ratio is compared.
    """
    references = expectations or _read_gate_bounds()
    names = [name for name in WORSE_SIDE if name in references and name in realised.metrics]
    return [
        Comparison(
            name,
            references[name],
            realised.metrics[name],
            estimate_difference(realised.metrics[name], references[name]),
            bool(expectations),
        )
        for name in names
        if name == RATIO or not realised.too_few
    ]


def estimate_difference(realised: Estimate, expected: Estimate) -> Estimate:
    """Return realised less expected, with its 99 % interval from their 90 % intervals."""
    value = realised.value - expected.value
    below = WIDTH_RATIO * np.hypot(realised.value - realised.low, expected.high - expected.value)
    above = WIDTH_RATIO * np.hypot(realised.high - realised.value, expected.value - expected.low)
    return Estimate(value, float(value - below), float(value + above), realised.n)


def recommend_retraining(
    champion: str | None,
    all_rows: list[Comparison],
    recent: list[Comparison],
    age: ModelAge | None,
    future: datetime | None = None,
    grades: Sequence[GradeOrder] = (),
) -> Recommendation:
    """Return whether to train a target again, and why; a missing champion is a reason.

    ``all_rows`` compares all rows of the champion, ``recent`` those of its latest weeks. ``age`` is
    None if age is no reason or unknown. ``future`` is the as-of of its training if that lies after
    the clock. ``grades`` compares the grades of the champion's rows.
    """
    if champion is None:
        return Recommendation(("there is no champion",))
    reasons = list(_list_reasons(f"version {champion}", all_rows, recent, age))
    if future is not None:
        reasons.insert(0, f"version {champion} {describe_future_training(future)}")
    doubts: list[str] = []
    for order in grades:
        if order.is_reversed:
            lines = reasons if order.is_reason else doubts
            lines.append(f"version {champion}: {order.sentence}")
    return Recommendation(tuple(reasons), tuple(doubts))


def describe_future_training(trained_as_of: datetime) -> str:
    """Return in words what is wrong with a model whose training as-of lies after the clock."""
    return (
        f"was trained as of {trained_as_of.date().isoformat()}, which lies in the future: it took "
        "leads whose outcome is still open for lost ones, so its scores are wrong; train it again"
    )


def _list_reasons(
    version: str, all_rows: list[Comparison], recent: list[Comparison], age: ModelAge | None
) -> Iterator[str]:
    """Yield each reason to train a version again, in words and numbers."""
    relevant = [comparison for comparison in all_rows if comparison.is_relevant]
    for comparison in relevant:
        yield f"{version}: {comparison.sentence}"
    # A drift shows first in the ratio of the latest weeks; it is not reported twice.
    if RATIO not in {comparison.metric for comparison in relevant}:
        for comparison in recent:
            if comparison.is_relevant and comparison.metric == RATIO:
                yield f"{version}, in its latest weeks: {comparison.sentence}"
    if age and age.is_reason:
        yield (
            f"{version} was trained {age.age.days} days ago, more than the {age.max_age.days} "
            f"allowed, and {age.matured_since:,} rows have matured since, "
            f"{age.mature_at_training:,} before"
        )


def _read_estimate(parts: Mapping[str, Any]) -> Estimate:
    """Return an estimate from JSON values; null is NaN."""
    value, low, high = (
        np.nan if parts[end] is None else parts[end] for end in ("value", "low", "high")
    )
    return Estimate(value, low, high, parts["n"])


def _read_gate_bounds() -> dict[str, Estimate]:
    """Return the gate's bounds as if they were 90 % intervals around 1."""
    gate = GateSettings()
    return {
        RATIO: invert_estimate(Estimate(1.0, *gate.ratio, 0)),
        SLOPE: Estimate(1.0, *gate.slope, 0),
    }


def _format_estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
