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
from models.evaluation.metrics import Figure
from serve.monitoring.realised import FEW, Realised, inverse

WIDER = 2.5758 / 1.6449
"""From the half-width of a 90 % interval to that of a 99 % one."""
RATIO, SLOPE, AUC = "actual_to_expected", "calibration_slope", "roc_auc"
WORSE: Mapping[str, Literal["lower", "higher", "either"]] = {
    AUC: "lower",
    "log_loss": "higher",
    SLOPE: "either",
    RATIO: "either",
}
"""The figures held against the promise, and the side on which each is worse."""
NAMES = {
    AUC: "ROC AUC",
    "log_loss": "log loss",
    SLOPE: "calibration slope",
    RATIO: "actual to expected outcomes",
}
FELT = {AUC: 0.02, SLOPE: 0.1, RATIO: 0.1}
"""A smaller difference is no reason to train again, however sure it is; log loss moves with the outcome rate alone."""
FRESH = 0.1
"""Matured since the training, against the mature rows it had: what makes it worth while to train an old model again."""


@dataclass(frozen=True)
class Comparison:
    """One figure of a version, promised and realised; ``difference`` has its 99 % interval, NaN where undefined.

    ``promised`` is what the gate asks for where the version kept no promise, and then ``kept`` says so.
    """

    figure: str
    promised: Figure
    realised: Figure
    difference: Figure
    kept: bool

    @property
    def off(self) -> bool:
        """Whether the figure is worse than promised, beyond the doubt of both."""
        worse = WORSE[self.figure]
        below, above = self.difference.high < 0, self.difference.low > 0
        return (below and worse != "higher") or (above and worse != "lower")

    @property
    def felt(self) -> bool:
        """Whether it is off, and by so much that it matters."""
        return self.off and abs(self.difference.value) >= FELT.get(self.figure, np.inf)

    @property
    def sentence(self) -> str:
        """Both figures in words."""
        promised = f"{'promised' if self.kept else 'the gate asks for'} {_written(self.promised)}"
        return f"{NAMES[self.figure]} is {_written(self.realised)}, {promised}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        parts = {
            "promised": self.promised,
            "realised": self.realised,
            "difference": self.difference,
        }
        return {
            **{name: figure.to_json() for name, figure in parts.items()},
            "kept": self.kept,
            "off": self.off,
        }


@dataclass(frozen=True)
class Age:
    """How old the champion is and may be, and the rows that were mature at its training or have matured since."""

    length: timedelta
    allowed: timedelta
    learnt: int
    fresh: int


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


def promised(kept: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    """Read a promise as it is kept with a model; the ratio is turned into actual over expected."""
    read = {name: _read(parts) for name, parts in kept.items()}
    ratio = read.pop("predicted_to_observed", None)
    return read | ({RATIO: inverse(ratio)} if ratio else {})


def compare(realised: Realised, promise: Mapping[str, Figure]) -> list[Comparison]:
    """Hold the figures of a part against a promise; without one the ratio and the slope against the gate's bounds.

    Where few leads have the outcome, or have not, only the ratio is compared.
    """
    asked = promise or _asked_by_the_gate()
    names = [name for name in WORSE if name in asked and name in realised.figures]
    return [
        Comparison(name, asked[name], figure, difference(figure, asked[name]), bool(promise))
        for name, figure in ((name, realised.figures[name]) for name in names)
        if name == RATIO or not realised.few
    ]


def difference(realised: Figure, promise: Figure) -> Figure:
    """Return realised less promised with its 99 % interval."""
    value = realised.value - promise.value
    below = WIDER * np.hypot(realised.value - realised.low, promise.high - promise.value)
    above = WIDER * np.hypot(realised.high - realised.value, promise.value - promise.low)
    return Figure(value, float(value - below), float(value + above), realised.n)


def recommend(
    champion: str | None, of_all: list[Comparison], recent: list[Comparison], age: Age | None
) -> Recommendation:
    """Say whether to train again, by what is known of the champion: none at all is a reason.

    ``of_all`` compares all of its rows, ``recent`` those of its latest weeks; ``age`` is None where it is not known.
    """
    if champion is None:
        return Recommendation(("there is no champion",))
    return Recommendation(tuple(_reasons(f"version {champion}", of_all, recent, age)))


def _reasons(
    who: str, of_all: list[Comparison], recent: list[Comparison], age: Age | None
) -> Iterator[str]:
    for each in of_all:
        if each.felt:
            yield f"{who}: {each.sentence}"
    settled = {each.figure for each in of_all if each.felt}
    for each in recent:
        if each.felt and each.figure == RATIO and RATIO not in settled:
            yield f"{who}, in its latest weeks: {each.sentence}"
    if age and age.length > age.allowed and age.fresh >= max(FEW, FRESH * age.learnt):
        yield (
            f"{who} was trained {age.length.days} days ago, more than the {age.allowed.days} allowed, "
            f"and {age.fresh:,} rows have matured since, beside {age.learnt:,} before"
        )


def _read(parts: Mapping[str, Any]) -> Figure:
    value, low, high = (
        np.nan if parts[end] is None else parts[end] for end in ("value", "low", "high")
    )
    return Figure(value, low, high, parts["n"])


def _asked_by_the_gate() -> dict[str, Figure]:
    """Return the gate's bounds as if they were 90 % intervals around 1."""
    gate = GateSettings()
    return {RATIO: inverse(Figure(1.0, *gate.ratio, 0)), SLOPE: Figure(1.0, *gate.slope, 0)}


def _written(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
