"""The promotion gate: tests that a challenger must pass to replace the champion.

All estimates are of out-of-time rows, one row per (entity, cutoff), with entity-clustered 90 %
intervals, so a test against one end of an interval errs in about 5 of 100 cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from configs.errors import GateRefused
from models.evaluation.metrics import (
    Estimate,
    evaluate_rows,
    log_loss_per_row,
    paired_log_loss_gain,
)

NOT_MEASURED = Estimate(np.nan, np.nan, np.nan, 0)

# Tag of a registered version, and its values.
GATE_TAG, PASSED, REFUSED = "gate", "passed", "refused"

# A model without any signal passes the first of these tests and fails the other two.
ENOUGH_DATA, BEATS_BASE_RATE, RANKS = "enough data", "better than the base rate", "ranks"


@dataclass(frozen=True)
class GateSettings:
    """Bounds of the gate.

    Attributes:
        min_entities: Entities required with and without the outcome. Below 30 of either, the
            interval of an AUC of 0.7 already reaches 0.6, and a rate is known no better than to a
            factor of about 1.4.
        ratio: Accepted range of mean predicted to observed rate. An error of a quarter moves no
            lead across a grade or a budget. A ratio outside the range passes if its interval
            contains 1, since few outcomes cannot prove an error.
        slope: Accepted range of the calibration slope; the interval must reach it. Below 0.7 the
            odds of the best and the worst leads are exaggerated so much that a predicted odds ratio
            of 10 is less than 5 in truth.
        max_loss: The champion may be better by at most this share of the base rate's log loss. A
            refit on newer data must not be refused for noise, and half a percent has no practical
            effect.
        seed: Seed of the bootstrap.
        replicates: Number of bootstrap replicates.
    """

    min_entities: int = 30
    ratio: tuple[float, float] = (0.8, 1.25)
    slope: tuple[float, float] = (0.7, 1.3)
    max_loss: float = 0.005
    seed: int = 0
    replicates: int = 200


@dataclass(frozen=True)
class GateTest:
    """Result of one test.

    Attributes:
        name: Name of the test.
        passed: Whether the challenger passed it.
        estimate: The estimate that was tested.
        bound: Accepted range; infinite where open.
        sentence: Estimate and bound in words.
    """

    name: str
    passed: bool
    estimate: Estimate
    bound: tuple[float, float]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the test as plain JSON values; null for an open bound or an undefined estimate."""
        bound = [float(end) if np.isfinite(end) else None for end in self.bound]
        head = {"name": self.name, "passed": self.passed}
        return {**head, **self.estimate.to_json(), "bound": bound, "sentence": self.sentence}


@dataclass(frozen=True)
class GateVerdict:
    """All test results of one challenger, which passes if it passes each of them."""

    tests: tuple[GateTest, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may be promoted."""
        return all(test.passed for test in self.tests)

    @property
    def no_signal(self) -> bool:
        """Whether the data suffices and the model neither beats the base rate nor ranks.

        A model that ranks well and loses to the base rate has a signal, and exaggerates it.
        """
        passed = {test.name for test in self.tests if test.passed}
        return ENOUGH_DATA in passed and not passed & {BEATS_BASE_RATE, RANKS}

    def to_json(self) -> dict[str, Any]:
        """Return ``passed`` and the tests as plain JSON values."""
        return {"passed": self.passed, "tests": [test.to_json() for test in self.tests]}

    def raise_if_refused(self, target: str) -> None:
        """Raise GateRefused with the sentence of each failed test.

        The error also says if there is no signal.
        """
        failed = [test.sentence for test in self.tests if not test.passed]
        if failed:
            reason = "no signal was found in these features, so " if self.no_signal else ""
            raise GateRefused(
                f"{reason}the challenger was not promoted",
                where=f"target {target}",
                found="; ".join(failed),
                fix="see the training report; provide a longer history or more events. "
                "The champion, if any, stays in use",
            )


def require_gate_passed(target: str, number: int, tags: Mapping[str, str]) -> None:
    """Raise GateRefused if the tags of a version record that the gate refused it."""
    if tags.get(GATE_TAG) == REFUSED:
        raise GateRefused(
            "this version did not pass the gate",
            where=f"target {target}, version {number}",
            found="the failed tests are in gate.json of its MLflow run",
            fix="promote a version that passed, or run leadscore train",
        )


def judge_challenger(
    out_of_time: pa.Table,
    champion_probability: np.ndarray | None = None,
    *,
    settings: GateSettings | None = None,
) -> GateVerdict:
    """Test the challenger on its out-of-time rows.

    ``out_of_time`` has the columns entity_id, label (0 or 1), probability (of the calibrated
    challenger) and base_rate (the prediction without a model). With a column fold, rows are ranked
    within their fold, since each fold has a model of its own; otherwise all rows are ranked
    together. ``champion_probability`` has one element per row, NaN where the champion saw
    the row; None if there is no champion.
    """
    settings = settings or GateSettings()
    label, challenger, base, entity = (
        np.asarray(out_of_time[name]) for name in ("label", "probability", "base_rate", "entity_id")
    )
    fold = np.asarray(out_of_time["fold"]) if "fold" in out_of_time.column_names else None
    rows = _OutOfTimeRows(label, challenger, base, entity, fold)
    tests = [
        _test_enough_data(rows, settings),
        _test_base_rate_gain(rows, settings),
        *_test_ranking_and_calibration(rows, settings),
    ]
    return GateVerdict((*tests, _test_against_champion(rows, champion_probability, settings)))


@dataclass(frozen=True)
class _OutOfTimeRows:
    """The out-of-time rows of a challenger as arrays of one element per row.

    Attributes:
        label: 0 or 1.
        challenger: Calibrated probability of the challenger.
        base_rate: Prediction without a model.
        entity: Entity of the row.
        fold: Fold of the row; None ranks all rows together.
    """

    label: np.ndarray
    challenger: np.ndarray
    base_rate: np.ndarray
    entity: np.ndarray
    fold: np.ndarray | None

    def count_entities(self, mask: np.ndarray | slice = slice(None)) -> tuple[int, int]:
        """Return the number of entities with a positive row, and of those with a negative one."""
        label, entity = self.label[mask], self.entity[mask]
        return len(np.unique(entity[label == 1])), len(np.unique(entity[label == 0]))

    def log_loss_gain(
        self, baseline: np.ndarray, mask: np.ndarray | slice, settings: GateSettings
    ) -> Estimate:
        """Return the log-loss gain over a baseline, as a share of the base rate's log loss."""
        label, entity = self.label[mask], self.entity[mask]
        gain = paired_log_loss_gain(
            label, self.challenger[mask], baseline[mask], entity, settings.seed, settings.replicates
        )
        base_loss = (
            float(log_loss_per_row(label, self.base_rate[mask]).mean()) if len(label) else np.nan
        )
        return Estimate(gain.value / base_loss, gain.low / base_loss, gain.high / base_loss, gain.n)


def _test_enough_data(rows: _OutOfTimeRows, settings: GateSettings) -> GateTest:
    positive, negative = rows.count_entities()
    rarer, bound = float(min(positive, negative)), float(settings.min_entities)
    sentence = (
        f"{ENOUGH_DATA}: {positive} entities with the outcome and {negative} without among "
        f"{len(rows.label)} out-of-time rows, needs {settings.min_entities} of each"
    )
    estimate = Estimate(rarer, rarer, rarer, len(rows.label))
    return GateTest(ENOUGH_DATA, rarer >= bound, estimate, (bound, np.inf), sentence)


def _test_base_rate_gain(rows: _OutOfTimeRows, settings: GateSettings) -> GateTest:
    gain = rows.log_loss_gain(rows.base_rate, slice(None), settings)
    sentence = (
        f"{BEATS_BASE_RATE}: log loss lower by {_format_estimate(gain, '.1%')}, "
        f"needs a lower bound above 0.0%"
    )
    return GateTest(BEATS_BASE_RATE, gain.low > 0, gain, (0.0, np.inf), sentence)


def _test_ranking_and_calibration(
    rows: _OutOfTimeRows, settings: GateSettings
) -> Iterator[GateTest]:
    """Yield the tests of the AUC, of the mean prediction and of the calibration slope."""
    bootstrap = {"seed": settings.seed, "replicates": settings.replicates}
    metrics = evaluate_rows(
        rows.label, rows.challenger, rows.entity, stratum=rows.fold, **bootstrap
    )
    auc, ratio, slope = (
        metrics[k] for k in ("roc_auc", "predicted_to_observed", "calibration_slope")
    )
    sentence = f"{RANKS}: AUC {_format_estimate(auc, '.3f')}, needs a lower bound above 0.500"
    # A random order has an AUC of 0.5.
    yield GateTest(RANKS, auc.low > 0.5, auc, (0.5, np.inf), sentence)
    low, high = settings.ratio
    yield GateTest(
        "calibrated on average",
        low <= ratio.value <= high or ratio.low <= 1 <= ratio.high,
        ratio,
        settings.ratio,
        f"calibrated on average: predicted to observed {_format_estimate(ratio)}, "
        f"needs {low:.2f} to {high:.2f}, or an interval that contains 1",
    )
    low, high = settings.slope
    yield GateTest(
        "calibrated in spread",
        slope.low <= high and slope.high >= low,
        slope,
        settings.slope,
        f"calibrated in spread: slope {_format_estimate(slope)}, "
        f"needs an interval that reaches {low:.2f} to {high:.2f}",
    )


def _test_against_champion(
    rows: _OutOfTimeRows, champion: np.ndarray | None, settings: GateSettings
) -> GateTest:
    """Test the log loss against that of the champion.

    Pass if there is no champion, or too few rows that it was not trained on.
    """
    name, bound = "not worse than the champion", (-settings.max_loss, np.inf)
    if champion is None:
        return GateTest(name, True, NOT_MEASURED, bound, f"{name}: there is no champion yet")
    unseen = np.isfinite(champion)
    positive, negative = rows.count_entities(unseen)
    if min(positive, negative) < settings.min_entities:
        sentence = (
            f"{name}: not testable yet, {positive} entities with the outcome and {negative} "
            f"without are new to the champion, needs {settings.min_entities} of each"
        )
        return GateTest(name, True, NOT_MEASURED, bound, sentence)
    gain = rows.log_loss_gain(champion, unseen, settings)
    sentence = (
        f"{name}: log loss lower by {_format_estimate(gain, '.1%')} of the base rate's on "
        f"{gain.n} rows new to both, needs a lower bound above {-settings.max_loss:.1%}"
    )
    return GateTest(name, gain.low > -settings.max_loss, gain, bound, sentence)


def _format_estimate(estimate: Estimate, style: str = ".2f") -> str:
    if not np.isfinite(estimate.low):
        return "not defined"
    return f"{estimate.value:{style}} ({estimate.low:{style}} to {estimate.high:{style}})"
