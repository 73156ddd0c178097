"""The gate of uplift: a ranking is published only if it beats random order and response.

Response is the ranking by the predicted outcome, as a score gives it. A ranking by uplift can lose
to it, so that it has to win beyond noise, on rows that no model has seen. Intervals are at 90 %, so
each of the two tests passes a ranking without an effect in about 5 of 100 cases, both together in
fewer. Arms that were not assigned as recorded are refused before: then the pseudo-outcomes mean
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.evaluation.gate import GateTest, GateVerdict
from models.evaluation.metrics import Estimate
from models.uplift.cross_validation import JudgedRows
from models.uplift.effect_estimates import estimate_mean, weigh_qini
from models.uplift.randomised_rows import RandomisedRows

ENOUGH_ROWS, AS_RECORDED = "enough randomised rows", "arms as recorded"
INDEPENDENT = "arms independent of the score"
BEATS_RANDOM, BEATS_RESPONSE = "better than random order", "better than ranking by response"
# Clusters with and without the outcome in each arm. A quarter of them fits the outcome models of an
# arm, which with fewer than a dozen would be constants.
MIN_CLUSTERS = 50
# Standard errors by which arms may differ from what is recorded. Chance exceeds it in 1 of 1,000
# experiments, and this is no test that may refuse a good one now and then.
MAX_DEVIATION = 3.3
OPEN = (0.0, np.inf)
# Where there is no effect, the ranking of each half follows chance in the other one: both figures
# are one sum over pairs of rows, counted twice, so that the variance of their mean is twice that of
# rankings which depend on nothing.
STRETCH = float(np.sqrt(2))


def judge_rows(rows: RandomisedRows) -> GateVerdict:
    """Test whether randomised rows can be judged at all: their number, and their arms."""
    return GateVerdict((_test_size(rows), _test_shares(rows)))


def judge_uplift(judged: JudgedRows) -> GateVerdict:
    """Test a ranking by predicted effects on the rows of an experiment."""
    before = judge_rows(judged.rows).tests
    return GateVerdict((*before, _test_independence(judged), *_test_rankings(judged)))


def _test_size(rows: RandomisedRows) -> GateTest:
    least = min(count_clusters(rows))
    sentence = (
        f"{ENOUGH_ROWS}: {int(rows.treated.sum()):,} with and {int((~rows.treated).sum()):,} "
        f"without outreach; the rarer outcome of an arm has {least:,} accounts or leads, needs "
        f"{MIN_CLUSTERS}"
    )
    estimate = Estimate(float(least), float(least), float(least), len(rows))
    return GateTest(ENOUGH_ROWS, least >= MIN_CLUSTERS, estimate, (MIN_CLUSTERS, np.inf), sentence)


def count_clusters(rows: RandomisedRows) -> list[int]:
    """Return the number of clusters of each arm and outcome: four counts."""
    arms = (rows.treated, ~rows.treated)
    outcomes = (rows.outcome > 0, rows.outcome <= 0)
    return [len(np.unique(rows.cluster[arm & own])) for arm in arms for own in outcomes]


def _test_shares(rows: RandomisedRows) -> GateTest:
    """Compare the number with outreach with the sum of propensities (sample ratio mismatch)."""
    expected = float(rows.propensity.sum())
    spread = float(np.sqrt((rows.propensity * (1 - rows.propensity)).sum()))
    deviation = (float(rows.treated.sum()) - expected) / spread if spread else 0.0
    sentence = (
        f"{AS_RECORDED}: {int(rows.treated.sum()):,} rows with outreach, {expected:,.0f} expected "
        f"from their propensities, {deviation:+.1f} standard errors, needs at most {MAX_DEVIATION}"
    )
    return _make_deviation_test(AS_RECORDED, deviation, len(rows), sentence)


def _test_independence(judged: JudgedRows) -> GateTest:
    """Compare the mean score of the arms: outreach must not follow what a lead did."""
    rows = judged.rows
    response = judged.average_rows("response")
    values = (rows.treated - rows.propensity) * (response - response.mean())
    mean = estimate_mean(values, rows.cluster)
    # The ends of a 90 % interval lie 1.645 standard errors from the mean.
    error = (mean.high - mean.low) / (2 * 1.645)
    deviation = mean.value / error if error > 0 else 0.0
    sentence = (
        f"{INDEPENDENT}: leads with outreach had scores that differ by {deviation:+.1f} standard "
        f"errors, needs at most {MAX_DEVIATION}"
    )
    return _make_deviation_test(INDEPENDENT, deviation, len(rows), sentence)


def _make_deviation_test(name: str, deviation: float, rows: int, sentence: str) -> GateTest:
    estimate = Estimate(deviation, deviation, deviation, rows)
    bound = (-MAX_DEVIATION, MAX_DEVIATION)
    return GateTest(name, abs(deviation) <= MAX_DEVIATION, estimate, bound, sentence)


def _test_rankings(judged: JudgedRows) -> Iterator[GateTest]:
    own = judged.estimate_by_uplift(weigh_qini).widen_interval(STRETCH)
    yield _test_gain(BEATS_RANDOM, own, f"Qini {_format_qini(own)} per treated lead")
    gain = judged.estimate_gain(weigh_qini).widen_interval(STRETCH)
    yield _test_gain(BEATS_RESPONSE, gain, f"Qini higher by {_format_qini(gain)}")


def _test_gain(name: str, gain: Estimate, words: str) -> GateTest:
    sentence = f"{name}: {words}, needs a lower bound above 0"
    return GateTest(name, gain.low > 0, gain, OPEN, sentence)


def _format_qini(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
