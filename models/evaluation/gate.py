"""The tests that a challenger passes before it may take the champion's place, and the words of a refusal.

All figures are of out-of-time rows, one row an (entity, cutoff), with 90 % entity-clustered intervals, so
that a test on one side of an interval errs in about 5 of 100 cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from configs.errors import GateRefused
from models.evaluation.metrics import Figure, evaluate, log_loss, paired_log_loss_gain

NOT_MEASURED = Figure(np.nan, np.nan, np.nan, 0)


GATE, PASSED, REFUSED = "gate", "passed", "refused"
"""The tag of a version that says what the gate said."""

ENOUGH, GAIN, RANKS = "enough data", "better than the base rate", "ranks"
"""A model without any signal passes the first of these tests and fails the other two."""


@dataclass(frozen=True)
class GateSettings:
    """The bounds of the gate.

    ``min_entities``: below 30 of either outcome the interval of an AUC of 0.7 already reaches 0.6, and a rate
    is known to no better than a factor of about 1.4. ``ratio``: mean predicted to observed rate. A quarter
    off moves no lead across a grade or a budget; the gate also lets pass what is further off by chance (the
    interval holds 1), since few outcomes cannot show more. ``slope``: below 0.7 the odds of the best and the
    worst leads are exaggerated so much that a predicted odds ratio of 10 is really less than 5. An interval
    that reaches the range has not been shown to lie outside it. ``max_loss``: the champion may be better by
    this share of the base rate's loss at most: a refit on newer data must not be refused for noise, and a
    loss of half a percent cannot be felt.
    """

    min_entities: int = 30
    ratio: tuple[float, float] = (0.8, 1.25)
    slope: tuple[float, float] = (0.7, 1.3)
    max_loss: float = 0.005
    seed: int = 0
    replicates: int = 200


@dataclass(frozen=True)
class GateTest:
    """One test: its figure, the range ``bound`` that decides (infinite where open), and both in words."""

    name: str
    passed: bool
    figure: Figure
    bound: tuple[float, float]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the test as plain JSON values; null for what is not measured or open."""
        bound = [float(end) if np.isfinite(end) else None for end in self.bound]
        head = {"name": self.name, "passed": self.passed}
        return {**head, **self.figure.to_json(), "bound": bound, "sentence": self.sentence}


@dataclass(frozen=True)
class Verdict:
    """All tests of one challenger; it passes if each of them does."""

    tests: tuple[GateTest, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may be promoted."""
        return all(test.passed for test in self.tests)

    @property
    def no_signal(self) -> bool:
        """Whether no signal was found in enough data: it neither beats the base rate nor ranks better than chance.

        A model that ranks well and loses to the base rate has found something, and is wrong about how much.
        """
        return {test.name for test in self.tests if test.passed} & {ENOUGH, GAIN, RANKS} == {ENOUGH}

    def to_json(self) -> dict[str, Any]:
        """Return ``passed`` and the tests as plain JSON values."""
        return {"passed": self.passed, "tests": [test.to_json() for test in self.tests]}

    def raise_if_refused(self, target: str) -> None:
        """Raise GateRefused with the sentence of every failed test, and say so where no signal was found."""
        failed = [test.sentence for test in self.tests if not test.passed]
        if failed:
            silent = "no signal was found in these features, so " if self.no_signal else ""
            raise GateRefused(
                f"{silent}the challenger was not promoted",
                where=f"target {target}",
                found="; ".join(failed),
                fix="the champion, if there is one, stays; look at the report, give more history or events",
            )


def require_passed(target: str, number: int, tags: Mapping[str, str]) -> None:
    """Raise GateRefused for a version whose tags say that the gate refused it."""
    if tags.get(GATE) == REFUSED:
        raise GateRefused(
            "this version did not pass the gate",
            where=f"target {target}, version {number}",
            found="its refusal stands in gate.json of its MLflow run",
            fix="promote a version that passed, or train again",
        )


def judge(
    out_of_time: pa.Table,
    champion_probability: np.ndarray | None = None,
    *,
    settings: GateSettings | None = None,
) -> Verdict:
    """Judge the challenger by its out-of-time rows.

    ``out_of_time`` has the columns entity_id, label (0 or 1), probability (the calibrated challenger's) and
    base_rate (what one would say without a model); with a column fold, rows are ranked within their fold, whose
    model is its own, otherwise all together. ``champion_probability`` is aligned with its rows and NaN
    where the champion had already seen the row in training; None where there is no champion.
    """
    settings = settings or GateSettings()
    label, challenger, base, entity = (
        np.asarray(out_of_time[name]) for name in ("label", "probability", "base_rate", "entity_id")
    )
    fold = np.asarray(out_of_time["fold"]) if "fold" in out_of_time.column_names else None
    rows = _Rows(label, challenger, base, entity, fold)
    tests = [
        _enough_data(rows, settings),
        _beats_base_rate(rows, settings),
        *_figure_tests(rows, settings),
    ]
    return Verdict((*tests, _not_worse_than_champion(rows, champion_probability, settings)))


@dataclass(frozen=True)
class _Rows:
    label: np.ndarray
    challenger: np.ndarray
    base: np.ndarray
    entity: np.ndarray
    fold: np.ndarray | None

    def entities(self, mask: np.ndarray | slice = slice(None)) -> tuple[int, int]:
        """Return how many distinct entities have a positive row and how many a negative one."""
        label, entity = self.label[mask], self.entity[mask]
        return len(np.unique(entity[label == 1])), len(np.unique(entity[label == 0]))

    def gain(self, over: np.ndarray, mask: np.ndarray | slice, settings: GateSettings) -> Figure:
        """Return the log-loss gain over other probabilities, as a share of the base rate's loss."""
        label, entity = self.label[mask], self.entity[mask]
        gain = paired_log_loss_gain(
            label, self.challenger[mask], over[mask], entity, settings.seed, settings.replicates
        )
        whole = float(log_loss(label, self.base[mask]).mean()) if len(label) else np.nan
        return Figure(gain.value / whole, gain.low / whole, gain.high / whole, gain.n)


def _enough_data(rows: _Rows, settings: GateSettings) -> GateTest:
    positive, negative = rows.entities()
    fewest, bound = float(min(positive, negative)), float(settings.min_entities)
    sentence = (
        f"{ENOUGH}: {positive} entities with the outcome and {negative} without among {len(rows.label)} "
        f"out-of-time rows, needs {settings.min_entities} of each"
    )
    figure = Figure(fewest, fewest, fewest, len(rows.label))
    return GateTest(ENOUGH, fewest >= bound, figure, (bound, np.inf), sentence)


def _beats_base_rate(rows: _Rows, settings: GateSettings) -> GateTest:
    gain = rows.gain(rows.base, slice(None), settings)
    sentence = f"{GAIN}: log loss lower by {_written(gain, '.1%')}, needs a lower bound above 0.0%"
    return GateTest(GAIN, gain.low > 0, gain, (0.0, np.inf), sentence)


def _figure_tests(rows: _Rows, settings: GateSettings) -> Iterator[GateTest]:
    drawing = {"seed": settings.seed, "replicates": settings.replicates}
    figures = evaluate(rows.label, rows.challenger, rows.entity, stratum=rows.fold, **drawing)
    auc, ratio, slope = (
        figures[k] for k in ("roc_auc", "predicted_to_observed", "calibration_slope")
    )
    sentence = f"{RANKS}: AUC {_written(auc, '.3f')}, needs a lower bound above 0.500"
    yield GateTest(RANKS, auc.low > 0.5, auc, (0.5, np.inf), sentence)
    low, high = settings.ratio
    yield GateTest(
        "calibrated on average",
        low <= ratio.value <= high or ratio.low <= 1 <= ratio.high,
        ratio,
        settings.ratio,
        f"calibrated on average: predicted to observed {_written(ratio)}, "
        f"needs {low:.2f} to {high:.2f}, or an interval that holds 1",
    )
    low, high = settings.slope
    yield GateTest(
        "calibrated in spread",
        slope.low <= high and slope.high >= low,
        slope,
        settings.slope,
        f"calibrated in spread: slope {_written(slope)}, needs an interval that reaches {low:.2f} to {high:.2f}",
    )


def _not_worse_than_champion(
    rows: _Rows, champion: np.ndarray | None, settings: GateSettings
) -> GateTest:
    name, bound = "not worse than the champion", (-settings.max_loss, np.inf)
    if champion is None:
        return GateTest(name, True, NOT_MEASURED, bound, f"{name}: there is no champion yet")
    unseen = np.isfinite(champion)
    positive, negative = rows.entities(unseen)
    if min(positive, negative) < settings.min_entities:
        sentence = (
            f"{name}: not testable yet, {positive} entities with the outcome and {negative} without "
            f"are new to the champion, needs {settings.min_entities} of each"
        )
        return GateTest(name, True, NOT_MEASURED, bound, sentence)
    gain = rows.gain(champion, unseen, settings)
    sentence = (
        f"{name}: log loss lower by {_written(gain, '.1%')} of the base rate's on {gain.n} rows new to both, "
        f"needs a lower bound above {-settings.max_loss:.1%}"
    )
    return GateTest(name, gain.low > -settings.max_loss, gain, bound, sentence)


def _written(figure: Figure, style: str = ".2f") -> str:
    if not np.isfinite(figure.low):
        return "not defined"
    return f"{figure.value:{style}} ({figure.low:{style}} to {figure.high:{style}})"
