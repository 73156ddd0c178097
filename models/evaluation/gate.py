"""The promotion gate: tests that a challenger must pass to replace the champion.

All estimates are of out-of-time rows, one row per (entity, cutoff), with clustered 90 % intervals,
so a test against one end of an interval errs in about 5 of 100 cases. A range is accepted if the
interval reaches it, so that noise alone refuses no challenger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from configs.errors import GateRefused
from models.clusters import has_clusters, number_clusters
from models.evaluation.fold_calibration import RATIO, SLOPE, calibrate_across_folds, measure_folds
from models.evaluation.metrics import (
    Estimate,
    PredictedRows,
    evaluate_rows,
    log_loss_per_row,
    paired_log_loss_gain,
)
from models.evaluation.refusal_causes import RefusalCause, find_refusal_causes

NOT_MEASURED = Estimate(np.nan, np.nan, np.nan, 0)

# Tag of a registered version, and its values.
GATE_TAG, PASSED, REFUSED = "gate", "passed", "refused"

NOT_WORSE = "not worse than the champion"
BY_SEGMENT = "not worse than without segments"
SEGMENTS_CHANGED = RefusalCause(
    "segments changed",
    "models of segments that were better in earlier windows are worse in the last one",
    "leave out learning.segment_by, or train again when more outcomes are known",
)
METRIC_WORDS = {RATIO: "predicted to observed", SLOPE: "slope"}

# A model without any signal passes the first of these tests and fails the other two.
ENOUGH_DATA, BEATS_BASE_RATE, RANKS = "enough data", "better than the base rate", "ranks"


@dataclass(frozen=True)
class GateSettings:
    """Bounds of the gate.

    Attributes:
        min_clusters: Accounts, or entities without one, required with and without the outcome.
            Below 30 of either, the
            interval of an AUC of 0.7 already reaches 0.6, and a rate is known no better than to a
            factor of about 1.4.
        ratio: Accepted range of mean predicted to observed rate. An error of a quarter moves no
            lead across a grade or a budget.
        slope: Accepted range of the calibration slope. Below 0.7 the odds of the best and the worst
            leads are exaggerated so much that a predicted odds ratio of 10 is less than 5 in truth.
        fold_ratio: The same of a single fold. It is wider, since a fold has a season of its own.
        fold_slope: The same of a single fold: at most half or twice the odds ratio.
        max_loss: The champion may be better by at most this share of the base rate's log loss. A
            refit on newer data must not be refused for noise, and half a percent has no practical
            effect.
        seed: Seed of the bootstrap.
        replicates: Number of bootstrap replicates.
    """

    min_clusters: int = 30
    ratio: tuple[float, float] = (0.8, 1.25)
    slope: tuple[float, float] = (0.7, 1.3)
    fold_ratio: tuple[float, float] = (2 / 3, 1.5)
    fold_slope: tuple[float, float] = (0.5, 2.0)
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
    """All test results of one challenger, which passes if it passes each of them.

    Attributes:
        tests: Result of each test.
        causes: Likely causes of a refusal, the most likely first; empty where none is found.
    """

    tests: tuple[GateTest, ...]
    causes: tuple[RefusalCause, ...] = ()

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
        """Return ``passed``, the tests and the likely causes as plain JSON values."""
        return {
            "passed": self.passed,
            "tests": [test.to_json() for test in self.tests],
            "causes": [cause.to_json() for cause in self.causes],
        }

    @property
    def _advice(self) -> str:
        if not self.causes:
            return "see the training report; provide a longer history or more events"
        return f"{self.causes[0].sentence}; see the training report"

    def raise_if_refused(self, target: str) -> None:
        """Raise GateRefused with the sentence of each failed test, and the most likely cause.

        The error also says if there is no signal.
        """
        failed = [test.sentence for test in self.tests if not test.passed]
        if failed:
            reason = "no signal was found in these features, so " if self.no_signal else ""
            raise GateRefused(
                f"{reason}the challenger was not promoted",
                where=f"target {target}",
                found="; ".join(failed),
                fix=f"{self._advice}. The champion, if any, stays in use",
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
    searched: bool = False,
    global_model: str = "",
) -> GateVerdict:
    """Test the challenger on its out-of-time rows.

    ``out_of_time`` has the columns entity_id, label (0 or 1), probability (of the calibrated
    challenger) and base_rate (the prediction without a model). With a column cluster, rows of one
    account depend on each other; otherwise those of one entity do. With a column fold, rows are
    ranked within their fold, since each fold has a model of its own; otherwise all rows are ranked
    together. With a column as_shipped, calibration is judged on the rows where it is true: their
    calibrators are fitted as the scorer's is, and the others are not used afterwards. Where they
    are too few, every fold is judged with a calibrator from the other folds.
    ``champion_probability`` has one element per row, NaN where the champion saw the row; None if
    there is no champion. ``searched`` says that hyperparameters were searched for.
    ``global_model`` is the column of the model of all leads, where some segments have another.
    """
    settings = settings or GateSettings()
    rows = _OutOfTimeRows.from_table(out_of_time)
    metrics = rows.metrics(settings)
    tests = (
        _test_enough_data(rows, settings),
        _test_base_rate_gain(rows, settings),
        _test_ranking(metrics["roc_auc"]),
        *_test_calibration(rows, out_of_time, metrics, settings),
        _test_against_champion(rows, champion_probability, settings),
        *_test_segments(rows, out_of_time, global_model, settings),
    )
    # Too few outcomes, or a good champion, need no further cause.
    explained = {ENOUGH_DATA, NOT_WORSE, BY_SEGMENT}
    failed = {test.name for test in tests if not test.passed}
    causes = (SEGMENTS_CHANGED,) if BY_SEGMENT in failed else ()
    if failed <= explained:
        return GateVerdict(tests, causes)
    return GateVerdict(tests, (*causes, *find_refusal_causes(out_of_time, searched=searched)))


@dataclass(frozen=True)
class _OutOfTimeRows:
    """The out-of-time rows of a challenger as arrays of one element per row.

    Attributes:
        label: 0 or 1.
        challenger: Calibrated probability of the challenger.
        base_rate: Prediction without a model.
        cluster: Account of the row, or its entity without one, as a number.
        cluster_word: What the clusters are called in sentences.
        fold: Fold of the row; None ranks all rows together.
        as_shipped: Whether the row's calibrator is fitted as the scorer's is.
    """

    label: np.ndarray
    challenger: np.ndarray
    base_rate: np.ndarray
    cluster: np.ndarray
    cluster_word: str
    fold: np.ndarray | None
    as_shipped: np.ndarray

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        label, challenger, base = (
            np.asarray(table[name]) for name in ("label", "probability", "base_rate")
        )
        word = "accounts or single leads" if has_clusters(table) else "entities"
        fold, as_shipped = (
            np.asarray(table[name]) if name in table.column_names else None
            for name in ("fold", "as_shipped")
        )
        if as_shipped is None:
            as_shipped = np.zeros(table.num_rows, bool)
        return cls(label, challenger, base, number_clusters(table), word, fold, as_shipped)

    def take(self, mask: np.ndarray) -> _OutOfTimeRows:
        """Return some rows."""
        return _OutOfTimeRows(
            self.label[mask],
            self.challenger[mask],
            self.base_rate[mask],
            self.cluster[mask],
            self.cluster_word,
            None if self.fold is None else self.fold[mask],
            self.as_shipped[mask],
        )

    def count_clusters(self, mask: np.ndarray | slice = slice(None)) -> tuple[int, int]:
        """Return the number of clusters with a positive row, and of those with a negative one."""
        label, cluster = self.label[mask], self.cluster[mask]
        return len(np.unique(cluster[label == 1])), len(np.unique(cluster[label == 0]))

    def metrics(self, settings: GateSettings) -> dict[str, Estimate]:
        """Return the metrics of all rows by name."""
        bootstrap = {"seed": settings.seed, "replicates": settings.replicates}
        return evaluate_rows(
            self.label, self.challenger, self.cluster, stratum=self.fold, **bootstrap
        )

    def log_loss_gain(
        self, baseline: np.ndarray, mask: np.ndarray | slice, settings: GateSettings
    ) -> Estimate:
        """Return the log-loss gain over a baseline, as a share of the base rate's log loss."""
        label, cluster = self.label[mask], self.cluster[mask]
        gain = paired_log_loss_gain(
            label,
            self.challenger[mask],
            baseline[mask],
            cluster,
            settings.seed,
            settings.replicates,
        )
        base_loss = (
            float(log_loss_per_row(label, self.base_rate[mask]).mean()) if len(label) else np.nan
        )
        return Estimate(gain.value / base_loss, gain.low / base_loss, gain.high / base_loss, gain.n)


def _test_enough_data(rows: _OutOfTimeRows, settings: GateSettings) -> GateTest:
    positive, negative = rows.count_clusters()
    rarer, bound = float(min(positive, negative)), float(settings.min_clusters)
    sentence = (
        f"{ENOUGH_DATA}: {positive} {rows.cluster_word} with the outcome and {negative} without "
        f"among {len(rows.label)} out-of-time rows, needs {settings.min_clusters} of each"
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


def _test_ranking(auc: Estimate) -> GateTest:
    sentence = f"{RANKS}: AUC {_format_estimate(auc, '.3f')}, needs a lower bound above 0.500"
    # A random order has an AUC of 0.5.
    return GateTest(RANKS, auc.low > 0.5, auc, (0.5, np.inf), sentence)


def _test_calibration(
    rows: _OutOfTimeRows,
    out_of_time: pa.Table,
    metrics: Mapping[str, Estimate],
    settings: GateSettings,
) -> Iterator[GateTest]:
    """Yield the tests of the mean prediction and of the slope, pooled and fold by fold.

    ``metrics`` are those of all rows, ``out_of_time`` is their table.
    """
    judged, origin = _select_judged_rows(rows, out_of_time, settings)
    metrics = metrics if judged is rows else judged.metrics(settings)
    yield _test_range("calibrated on average", metrics[RATIO], settings.ratio, RATIO, origin)
    yield _test_range("calibrated in spread", metrics[SLOPE], settings.slope, SLOPE, origin)
    if judged.fold is None:
        return
    folds = measure_folds(
        PredictedRows(judged.label, judged.challenger, judged.cluster, judged.fold),
        settings.min_clusters,
        settings.seed,
        settings.replicates,
    )
    ratios = {fold.fold: fold.ratio for fold in folds}
    slopes = {fold.fold: fold.slope for fold in folds}
    yield _test_folds("calibrated on average in each fold", ratios, settings.fold_ratio, RATIO)
    yield _test_folds("calibrated in spread in each fold", slopes, settings.fold_slope, SLOPE)


def _select_judged_rows(
    rows: _OutOfTimeRows, out_of_time: pa.Table, settings: GateSettings
) -> tuple[_OutOfTimeRows, str]:
    """Return the rows whose calibration is judged, and in words where their calibrators are from.

    Where too few have a calibrator that is fitted as the scorer's is, all rows are judged, each
    fold with a calibrator from all others.
    """
    if rows.as_shipped.all():
        return rows, ""
    if min(rows.count_clusters(rows.as_shipped)) < settings.min_clusters:
        across_folds = calibrate_across_folds(out_of_time)
        if across_folds is None:
            return rows, ""
        return replace(rows, challenger=across_folds), " (each fold calibrated on the others)"
    judged = rows.take(rows.as_shipped)
    numbers = "" if judged.fold is None else ", ".join(map(str, np.unique(judged.fold)))
    return judged, f" (of fold {numbers}, calibrated as the scorer is)" if numbers else ""


def _test_range(
    name: str, estimate: Estimate, bound: tuple[float, float], metric: str, origin: str
) -> GateTest:
    sentence = (
        f"{name}: {METRIC_WORDS[metric]} {_format_estimate(estimate)}{origin}, "
        f"needs an interval that reaches {bound[0]:.2f} to {bound[1]:.2f}"
    )
    return GateTest(name, _reaches_range(estimate, bound), estimate, bound, sentence)


def _test_folds(
    name: str, folds: Mapping[int, Estimate], bound: tuple[float, float], metric: str
) -> GateTest:
    """Test every fold; the estimate is that of the fold furthest from the middle of the range."""
    if not folds:
        sentence = f"{name}: not testable, every fold has too few outcomes"
        return GateTest(name, True, NOT_MEASURED, bound, sentence)
    off = {fold: part for fold, part in folds.items() if not _reaches_range(part, bound)}
    middle = float(np.sqrt(bound[0] * bound[1]))
    furthest = max(off or folds, key=lambda fold: _measure_distance(folds[fold].value, middle))
    shown = off or {furthest: folds[furthest]}
    values = ", ".join(f"fold {k} {_format_estimate(part)}" for k, part in shown.items())
    sentence = (
        f"{name}: {METRIC_WORDS[metric]} of {values}, needs an interval that reaches "
        f"{bound[0]:.2f} to {bound[1]:.2f}"
    )
    return GateTest(name, not off, folds[furthest], bound, sentence)


def _measure_distance(value: float, middle: float) -> float:
    """Return the distance of a ratio or slope from the middle; infinite below 0."""
    return abs(float(np.log(value / middle))) if value > 0 else np.inf


def _reaches_range(estimate: Estimate, bound: tuple[float, float]) -> bool:
    """Return whether the interval has a value inside the accepted range."""
    return estimate.low <= bound[1] and estimate.high >= bound[0]


def _test_against_champion(
    rows: _OutOfTimeRows, champion: np.ndarray | None, settings: GateSettings
) -> GateTest:
    """Test the log loss against that of the champion.

    Pass if there is no champion, or too few rows that it was not trained on.
    """
    name, bound = NOT_WORSE, (-settings.max_loss, np.inf)
    if champion is None:
        return GateTest(name, True, NOT_MEASURED, bound, f"{name}: there is no champion yet")
    unseen = np.isfinite(champion)
    positive, negative = rows.count_clusters(unseen)
    if min(positive, negative) < settings.min_clusters:
        sentence = (
            f"{name}: not testable yet, {positive} {rows.cluster_word} with the outcome and "
            f"{negative} without are new to the champion, needs {settings.min_clusters} of each"
        )
        return GateTest(name, True, NOT_MEASURED, bound, sentence)
    gain = rows.log_loss_gain(champion, unseen, settings)
    sentence = (
        f"{name}: log loss lower by {_format_estimate(gain, '.1%')} of the base rate's on "
        f"{gain.n} rows new to both, needs a lower bound above {-settings.max_loss:.1%}"
    )
    return GateTest(name, gain.low > -settings.max_loss, gain, bound, sentence)


def _test_segments(
    rows: _OutOfTimeRows, out_of_time: pa.Table, global_model: str, settings: GateSettings
) -> Iterator[GateTest]:
    """Test models of segments against the model of all leads, in the last window.

    It is the only window without a part in their choice. Yields nothing without such models.
    """
    if not global_model or rows.fold is None:
        return
    last = rows.fold == rows.fold.max()
    gain = rows.log_loss_gain(np.asarray(out_of_time[global_model]), last, settings)
    sentence = (
        f"{BY_SEGMENT}: log loss lower by {_format_estimate(gain, '.1%')} of the base rate's than "
        "that of the model of all leads in the last fold, needs an interval that reaches 0.0%"
    )
    yield GateTest(BY_SEGMENT, gain.high >= 0, gain, (0.0, np.inf), sentence)


def _format_estimate(estimate: Estimate, style: str = ".2f") -> str:
    if not np.isfinite(estimate.low):
        return "not defined"
    return f"{estimate.value:{style}} ({estimate.low:{style}} to {estimate.high:{style}})"
