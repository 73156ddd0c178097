"""Choice by segment: decides as a plain bootstrap does, and rarely by luck."""

import numpy as np
import pytest
from scipy.stats import norm

from models.calibration import compute_log_loss, to_probability
from models.segments import choice
from models.segments.choice import (
    GLOBAL,
    OWN,
    RECALIBRATED,
    SegmentEvidence,
    choose_segment_models,
)

MINIMUM = 100


def evidence(
    random: np.random.Generator, noise: dict[str, float], rows: int = 2_000, clusters: int = 800
) -> SegmentEvidence:
    """Return rows whose candidates miss the true log-odds by noise of these sizes.

    Rows of one cluster share their noise.
    """
    cluster = random.integers(0, clusters, rows)
    truth = random.normal(-1.0, 1.0, clusters)[cluster]
    label = (random.random(rows) < to_probability(truth)).astype(np.int64)
    margins = {
        model: truth + size * random.normal(size=clusters)[cluster] for model, size in noise.items()
    }
    window = np.ones(rows, np.int64)
    return SegmentEvidence(label, np.char.add("account-", cluster.astype(str)), window, margins)


def plain_low_end(part: SegmentEvidence, model: str, other: str, comparisons: int) -> float:
    """Return the low end of the gain, by a loop over drawn clusters and a normal tail."""
    loss = {m: compute_log_loss(part.margins[m], part.label) for m in (model, other)}
    gain = loss[other] - loss[model]
    rows = {name: np.flatnonzero(part.cluster == name) for name in np.unique(part.cluster)}
    names, random = list(rows), np.random.default_rng(99)
    means = []
    for _ in range(400):
        drawn = np.concatenate([rows[names[i]] for i in random.integers(0, len(names), len(names))])
        means.append(gain[drawn].mean())
    stretch = norm.isf(0.05 / comparisons) / norm.isf(0.05)
    return gain.mean() - (gain.mean() - np.quantile(means, 0.05)) * stretch


@pytest.mark.parametrize("seed", range(6))
def test_choice_is_that_of_a_plain_bootstrap(seed):
    random = np.random.default_rng(seed)
    parts = {}
    for i in range(6):
        sizes = random.choice([0.0, 0.2, 0.5, 0.9], 3)
        noise = dict(zip((GLOBAL, RECALIBRATED, OWN), sizes, strict=True))
        parts[f"s{i}"] = evidence(random, noise, rows=900, clusters=400)
    decisions = choose_segment_models(parts, MINIMUM, seed=1)
    certain = 0
    for name, part in parts.items():
        low = {m: plain_low_end(part, m, GLOBAL, 12) for m in (RECALIBRATED, OWN)}
        own_over = plain_low_end(part, OWN, RECALIBRATED, 12)
        # The draws differ, so an end that is next to 0 may fall on either side.
        if min(abs(end) for end in (*low.values(), own_over)) < 0.003:
            continue
        certain += 1
        expected = GLOBAL
        if low[RECALIBRATED] > 0:
            expected = OWN if low[OWN] > 0 and own_over > 0 else RECALIBRATED
        elif low[OWN] > 0:
            expected = OWN
        assert decisions[name].model == expected, (name, low, own_over)
        if expected != GLOBAL:
            assert abs(decisions[name].gain.low - low[expected]) < 0.01
    assert certain >= 2


def test_equal_candidates_rarely_leave_the_global_model(monkeypatch):
    """Five segments in which no candidate is better: any switch is an error."""
    # Fewer draws know an end less well, and cost less.
    monkeypatch.setattr(choice, "REPLICATES", 200)
    switched, runs = 0, 100
    for seed in range(runs):
        random = np.random.default_rng(seed)
        noise = {GLOBAL: 0.3, RECALIBRATED: 0.3, OWN: 0.3}
        parts = {f"s{i}": evidence(random, noise, rows=600, clusters=300) for i in range(5)}
        chosen = choose_segment_models(parts, MINIMUM, seed)
        switched += any(decision.model != GLOBAL for decision in chosen.values())
    # The error rate is 5 %; three standard errors of 100 runs are another 6.5 %.
    assert switched / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_more_comparisons_need_a_greater_gain():
    """A gain that is proven alone is not among many segments."""
    random = np.random.default_rng(3)
    close = evidence(random, {GLOBAL: 0.62, RECALIBRATED: 0.0}, rows=500, clusters=250)
    alone = choose_segment_models({"close": close}, 50, seed=0)["close"]
    others = {
        f"s{i}": evidence(random, {GLOBAL: 0.3, RECALIBRATED: 0.3}, rows=500) for i in range(19)
    }
    among = choose_segment_models({"close": close, **others}, 50, seed=0)["close"]
    assert among.gain.value == alone.gain.value
    assert among.gain.low < alone.gain.low
    width = (among.gain.value - among.gain.low) / (alone.gain.value - alone.gain.low)
    assert width == pytest.approx(norm.isf(0.05 / 20) / norm.isf(0.05))


def test_simplest_model_wins_where_both_are_as_good():
    random = np.random.default_rng(4)
    part = evidence(random, {GLOBAL: 1.5, RECALIBRATED: 0.0})
    part.margins[OWN] = part.margins[RECALIBRATED] + 1e-9
    assert choose_segment_models({"a": part}, MINIMUM, 0)["a"].model == RECALIBRATED
    better = evidence(random, {GLOBAL: 1.5, RECALIBRATED: 1.0, OWN: 0.0})
    decision = choose_segment_models({"a": better}, MINIMUM, 0)["a"]
    assert (decision.model, decision.reason, decision.alternative) == (OWN, "better", OWN)


@pytest.mark.parametrize("outcomes", [1.0, 0.05])
def test_gain_that_turns_into_a_loss_is_none(outcomes):
    """The own model wins by far in window 1 and loses in window 2, unless that is too small."""
    random = np.random.default_rng(6)
    part = evidence(random, {GLOBAL: 1.5, OWN: 0.0}, rows=4_000)
    late = random.random(4_000) < 0.25 * outcomes
    part.window[late] = 2
    part.margins[OWN][late], part.margins[GLOBAL][late] = (
        part.margins[GLOBAL][late].copy(),
        part.margins[OWN][late].copy(),
    )
    decision = choose_segment_models({"a": part}, MINIMUM, 0)["a"]
    assert decision.gain.low > 0
    assert (decision.model, decision.reason) == (
        (GLOBAL, "unstable") if outcomes == 1 else (OWN, "better")
    )


@pytest.mark.parametrize("shown", [99, 100])
def test_minimum_counts_the_rows_that_a_candidate_predicted(shown):
    """Rows of windows without a candidate do not count."""
    random = np.random.default_rng(5)
    part = evidence(random, {GLOBAL: 2.0, OWN: 0.0})
    positive = np.flatnonzero(part.label == 1)
    part.margins[OWN][positive[shown:]] = np.nan
    decision = choose_segment_models({"a": part}, MINIMUM, 0)["a"]
    assert (decision.model, decision.reason) == (
        (OWN, "better") if shown == MINIMUM else (GLOBAL, "too_few")
    )


def test_segments_without_evidence_keep_the_global_model():
    none = np.empty(0)
    empty = SegmentEvidence(none, np.empty(0, str), none, {OWN: none, GLOBAL: none})
    decision = choose_segment_models({"a": empty}, MINIMUM, 0)["a"]
    assert (decision.model, decision.reason, decision.alternative) == (GLOBAL, "too_few", None)
    assert choose_segment_models({}, MINIMUM, 0) == {}
