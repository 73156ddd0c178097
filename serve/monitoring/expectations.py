"""Promised against realised: when a model version no longer keeps its word, and whether to train again.

A figure is off when the 99 % interval of its difference from the promised one does not hold 0. The interval takes both
doubts into account, that of the promise and that of what happened, from their 90 % intervals by the method of variance
estimates recovery (Zou & Donner 2008, Construction of confidence limits about effect measures, Statistics in Medicine
27). Where a figure is off, the two 90 % intervals have no point in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from models.evaluation.gate import GateSettings
from models.evaluation.metrics import Estimate
from serve.monitoring.realised import MIN_LEADS, RealisedOutcomes, invert_estimate

WIDTH_RATIO = 2.5758 / 1.6449
"""From the half-width of a 90 % interval to that of a 99 % one."""
RATIO, SLOPE, AUC = "actual_to_expected", "calibration_slope", "roc_auc"
WORSE_SIDE: Mapping[str, Literal["lower", "higher", "either"]] = {
    AUC: "lower",
    "log_loss": "higher",
    SLOPE: "either",
    RATIO: "either",
}
"""The figures held against the promise, and the side on which each is worse."""
METRIC_NAMES = {
    AUC: "ROC AUC",
    "log_loss": "log loss",
    SLOPE: "calibration slope",
    RATIO: "actual to expected outcomes",
}
MIN_RELEVANT_DIFFERENCE = {AUC: 0.02, SLOPE: 0.1, RATIO: 0.1}
"""A smaller difference is no reason to train again, however sure it is; log loss moves with the outcome rate alone."""
MIN_FRESH_SHARE = 0.1
"""Matured since the training, against the mature rows it had: what makes it worth while to train an old model again."""


@dataclass(frozen=True)
class Comparison:
    """One figure of a version, promised and realised; ``estimate_difference`` has its 99 % interval, NaN where undefined.

    ``expected`` is what the gate asks for where the version kept no promise, and then ``kept`` says so.
    """

    metric: str
    expected: Estimate
    realised: Estimate
    difference: Estimate
    is_recorded: bool

    @property
    def is_off(self) -> bool:
        """Whether the figure is worse than promised, beyond the doubt of both."""
        worse = WORSE_SIDE[self.metric]
        below, above = self.difference.high < 0, self.difference.low > 0
        return (below and worse != "higher") or (above and worse != "lower")

    @property
    def is_relevant(self) -> bool:
        """Whether it is off, and by so much that it matters."""
        return self.is_off and abs(self.difference.value) >= MIN_RELEVANT_DIFFERENCE.get(self.metric, np.inf)

    @property
    def sentence(self) -> str:
        """Both figures in words."""
        promised = f"{'promised' if self.is_recorded else 'the gate asks for'} {_format_estimate(self.expected)}"
        return f"{METRIC_NAMES[self.metric]} is {_format_estimate(self.realised)}, {promised}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        parts = {
            "promised": self.expected,
            "realised": self.realised,
            "difference": self.difference,
        }
        return {
            **{name: figure.to_json() for name, figure in parts.items()},
            "kept": self.is_recorded,
            "off": self.is_off,
        }


@dataclass(frozen=True)
class ModelAge:
    """How old the champion is and may be, and the rows that were mature at its training or have matured since."""

    age: timedelta
    max_age: timedelta
    mature_at_training: int
    matured_since: int


@dataclass(frozen=True)
class Recommendation:
    """Whether to train a target again, and every reason in words and numbers."""

    reasons: tuple[str, ...]

    @property
    def retrain(self) -> bool:
        """Whether there is a reason."""
        return bool(self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"retrain": self.retrain, "reasons": list(self.reasons)}


def read_expectations(kept: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Read a promise as it is kept with a model; the ratio is turned into actual over expected."""
    read = {name: _read_estimate(parts) for name, parts in kept.items()}
    ratio = read.pop("predicted_to_observed", None)
    return read | ({RATIO: invert_estimate(ratio)} if ratio else {})


def compare_with_expectations(realised: RealisedOutcomes, expectations: Mapping[str, Estimate]) -> list[Comparison]:
    """Hold the figures of a part against a promise; without one the ratio and the slope against the gate's bounds.

    Where few leads have the outcome, or have not, only the ratio is compared.
    """
    asked = expectations or _read_gate_bounds()
    names = [name for name in WORSE_SIDE if name in asked and name in realised.metrics]
    return [
        Comparison(name, asked[name], figure, estimate_difference(figure, asked[name]), bool(expectations))
        for name, figure in ((name, realised.metrics[name]) for name in names)
        if name == RATIO or not realised.too_few
    ]


def estimate_difference(realised: Estimate, expected: Estimate) -> Estimate:
    """Return realised less promised with its 99 % interval."""
    value = realised.value - expected.value
    below = WIDTH_RATIO * np.hypot(realised.value - realised.low, expected.high - expected.value)
    above = WIDTH_RATIO * np.hypot(realised.high - realised.value, expected.value - expected.low)
    return Estimate(value, float(value - below), float(value + above), realised.n)


def recommend_retraining(
    champion: str | None, all_rows: list[Comparison], recent: list[Comparison], age: ModelAge | None
) -> Recommendation:
    """Say whether to train again, by what is known of the champion: none at all is a reason.

    ``all_rows`` compares all of its rows, ``recent`` those of its latest weeks; ``age`` is None where it is not known.
    """
    if champion is None:
        return Recommendation(("there is no champion",))
    return Recommendation(tuple(_list_reasons(f"version {champion}", all_rows, recent, age)))


def _list_reasons(
    version: str, all_rows: list[Comparison], recent: list[Comparison], age: ModelAge | None
) -> Iterator[str]:
    for each in all_rows:
        if each.is_relevant:
            yield f"{version}: {each.sentence}"
    settled = {each.metric for each in all_rows if each.is_relevant}
    for each in recent:
        if each.is_relevant and each.metric == RATIO and RATIO not in settled:
            yield f"{version}, in its latest weeks: {each.sentence}"
    if age and age.age > age.max_age and age.matured_since >= max(MIN_LEADS, MIN_FRESH_SHARE * age.mature_at_training):
        yield (
            f"{version} was trained {age.age.days} days ago, more than the {age.max_age.days} allowed, "
            f"and {age.matured_since:,} rows have matured since, beside {age.mature_at_training:,} before"
        )


def _read_estimate(parts: Mapping[str, Any]) -> Estimate:
    value, low, high = (
        np.nan if parts[end] is None else parts[end] for end in ("value", "low", "high")
    )
    return Estimate(value, low, high, parts["n"])


def _read_gate_bounds() -> dict[str, Estimate]:
    """Return the gate's bounds as if they were 90 % intervals around 1."""
    gate = GateSettings()
    return {RATIO: invert_estimate(Estimate(1.0, *gate.ratio, 0)), SLOPE: Estimate(1.0, *gate.slope, 0)}


def _format_estimate(figure: Estimate) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
