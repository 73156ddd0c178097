"""Metrics against scikit-learn, brute force and invariants."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from models.evaluation import metrics
from models.evaluation.metrics import (
    Estimate,
    compute_gain_curve,
    compute_reliability,
    compute_skill,
    evaluate_rows,
    paired_log_loss_gain,
)
from models.evaluation.weighted_curves import EPSILON, ProbabilityLevels, fit_recalibration


def sample(rows: int, seed: int = 0, ties: int | None = None, entities: int | None = None):
    generator = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-generator.normal(-1, 1.5, rows)))
    if ties:
        probability = np.round(probability * ties) / ties
    label = (generator.random(rows) < probability).astype(np.int8)
    entity = generator.integers(entities or max(1, rows // 3), size=rows).astype(str).astype(object)
    return label, probability, entity


def values(*args, **kwargs) -> dict[str, float]:
    return {
        name: figure.value for name, figure in evaluate_rows(*args, replicates=1, **kwargs).items()
    }


@pytest.mark.parametrize("ties", [None, 7])
def test_metrics_equal_scikit_learn(ties):
    label, probability, entity = sample(400, ties=ties)
    estimates = values(label, probability, entity)
    clipped = np.clip(probability, EPSILON, 1 - EPSILON)
    assert estimates["roc_auc"] == pytest.approx(roc_auc_score(label, probability), abs=1e-12)
    assert estimates["average_precision"] == pytest.approx(
        average_precision_score(label, probability), abs=1e-12
    )
    assert estimates["log_loss"] == pytest.approx(sklearn_log_loss(label, clipped), abs=1e-12)
    assert estimates["brier"] == pytest.approx(brier_score_loss(label, probability), abs=1e-12)
    assert estimates["mean_predicted"] == pytest.approx(probability.mean())
    assert estimates["outcome_rate"] == pytest.approx(label.mean())
    assert estimates["predicted_to_observed"] == pytest.approx(probability.mean() / label.mean())


def test_intervals_equal_scikit_learn_on_same_replicates():
    label, probability, entity = sample(300, ties=40)
    replicates = 60
    estimates = evaluate_rows(label, probability, entity, seed=5, replicates=replicates)
    oracles = {
        "roc_auc": roc_auc_score,
        "average_precision": average_precision_score,
        "brier": brier_score_loss,
    }
    # An independent draw of the documented kind: sorted entities, as many as there are, replaced.
    names, generator = sorted(set(entity)), np.random.default_rng(5)
    drawn = [generator.integers(len(names), size=len(names)) for _ in range(replicates)]
    weights = [np.array([(chosen == names.index(e)).sum() for e in entity]) for chosen in drawn]
    for name, oracle in oracles.items():
        expected = np.quantile(
            [oracle(label, probability, sample_weight=w) for w in weights], [0.05, 0.95]
        )
        assert [estimates[name].low, estimates[name].high] == pytest.approx(
            list(expected), abs=1e-12
        )


def ranking_by_pairs(label, probability, stratum, weight):
    """Return AUC and average precision by comparing each row with each other row of its stratum."""
    concordant = pairs = precision = positives = 0.0
    for i in np.flatnonzero(label == 1):
        hits = seen = 0.0
        for j in np.flatnonzero(stratum == stratum[i]):
            both = weight[i] * weight[j]
            if label[j] == 0:
                pairs += both
                concordant += both * (
                    0.5 if probability[i] == probability[j] else probability[i] > probability[j]
                )
            if probability[j] >= probability[i]:
                seen += weight[j]
                hits += weight[j] * label[j]
        if weight[i]:
            precision += weight[i] * hits / seen
            positives += weight[i]
    return concordant / pairs, precision / positives


@pytest.mark.parametrize("ties", [None, 9])
def test_ranking_within_strata_equals_brute_force_with_interval(ties):
    label, probability, entity = sample(90, ties=ties)
    stratum = np.random.default_rng(2).choice(["a", "b", "c"], size=90, p=[0.6, 0.3, 0.1])
    estimates = evaluate_rows(label, probability, entity, stratum=stratum, seed=5, replicates=20)
    point = ranking_by_pairs(label, probability, stratum, np.ones(90))
    weights = metrics.draw_cluster_weights(entity, 5, 20)
    drawn = np.array([ranking_by_pairs(label, probability, stratum, weight) for weight in weights])
    for at, name in enumerate(["roc_auc", "average_precision"]):
        expected = [point[at], *np.quantile(drawn[:, at], [0.05, 0.95])]
        assert [estimates[name].value, estimates[name].low, estimates[name].high] == pytest.approx(
            expected, abs=1e-12
        )


@given(st.integers(0, 2**32), st.integers(30, 120), st.sampled_from([None, 2, 5]))
@settings(max_examples=20, deadline=None)
def test_strata_weigh_by_pairs_and_by_positives(seed, rows, ties):
    label, probability, entity = sample(rows, seed, ties)
    stratum = np.arange(rows) % 3
    label[:6] = [0, 0, 0, 1, 1, 1]
    estimates = values(label, probability, entity, stratum=stratum)
    parts = [(label[stratum == s], probability[stratum == s]) for s in range(3)]
    positives = [y.sum() for y, _ in parts]
    pairs = [y.sum() * (1 - y).sum() for y, _ in parts]
    precision = np.average([average_precision_score(*part) for part in parts], weights=positives)
    assert estimates["roc_auc"] == pytest.approx(
        np.average([roc_auc_score(*part) for part in parts], weights=pairs)
    )
    assert estimates["average_precision"] == pytest.approx(precision)


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([None, 2, 5]))
@settings(max_examples=20, deadline=None)
def test_single_stratum_equals_no_stratum(seed, rows, ties):
    columns = sample(rows, seed, ties)
    unstratified, single = (
        evaluate_rows(*columns, stratum=s, replicates=3) for s in (None, np.full(rows, "fold 1"))
    )
    assert {k: str(v.to_json()) for k, v in unstratified.items()} == {
        k: str(v.to_json()) for k, v in single.items()
    }


@given(st.integers(0, 2**32), st.integers(20, 120), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_constant_in_each_stratum_ranks_as_chance_without_slope(seed, rows, strata):
    generator = np.random.default_rng(seed)
    stratum = generator.integers(strata, size=rows)
    probability = generator.random(strata)[stratum]
    label = generator.permutation(np.arange(rows) % 2)
    stratum[:2], probability[:2], label[:2] = stratum[0], probability[0], [0, 1]
    estimates = evaluate_rows(label, probability, np.arange(rows), stratum=stratum, replicates=5)
    assert estimates["roc_auc"] == Estimate(0.5, 0.5, 0.5, rows)
    assert np.isnan(
        [estimates[f"calibration_{name}"].value for name in ("slope", "intercept")]
    ).all()
    assert np.isfinite(estimates["log_loss"].value)


@pytest.mark.parametrize("ties", [None, 9])
def test_strata_change_ranking_metrics_only(ties):
    label, probability, entity = sample(300, ties=ties)
    pooled, stratified = (
        values(label, probability, entity, stratum=s) for s in (None, np.arange(300) % 4)
    )
    for name in set(pooled) - {"roc_auc", "average_precision"}:
        assert stratified[name] == pytest.approx(pooled[name], rel=1e-9)
    assert stratified["roc_auc"] != pooled["roc_auc"]


def test_weighting_row_equals_repeating_it():
    label, probability, entity = sample(80, ties=20)
    weight = np.random.default_rng(1).integers(0, 4, 80)
    levels = ProbabilityLevels.from_rows(label.astype(float), probability)
    weighted = levels.metrics(weight.astype(float), np.zeros(3))
    repeated = values(
        np.repeat(label, weight), np.repeat(probability, weight), np.repeat(entity, weight)
    )
    for name in set(weighted) - {
        "calibration_error"
    }:  # its bins are fixed once, by the whole sample
        assert weighted[name] == pytest.approx(
            repeated[name], abs=1e-4 if "calibration" in name else 1e-12
        )


def test_calibration_error_of_ten_equal_bins_by_hand():
    label, probability, entity = sample(1000)
    order = np.argsort(probability)
    expected = np.mean(
        [abs(probability[rows].mean() - label[rows].mean()) for rows in np.split(order, 10)]
    )
    assert values(label, probability, entity)["calibration_error"] == pytest.approx(expected)


def test_slope_and_intercept_minimize_log_loss():
    label, probability, entity = sample(500)
    exaggerated = probability**2 / (probability**2 + (1 - probability) ** 2)
    x = np.log(exaggerated / (1 - exaggerated))

    def loss(shift, slope):
        return np.logaddexp(0, shift + slope * x).mean() - (label * (shift + slope * x)).mean()

    line = minimize(lambda c: loss(*c), [0, 1], tol=1e-12).x
    shift = minimize(lambda c: loss(c[0], 1), [0], tol=1e-12).x
    estimates = values(label, exaggerated, entity)
    assert estimates["calibration_slope"] == pytest.approx(line[1], abs=1e-5)
    assert estimates["calibration_intercept"] == pytest.approx(shift[0], abs=1e-5)
    assert 0.3 < estimates["calibration_slope"] < 0.7


@given(st.integers(0, 2**32), st.floats(0.05, 20), st.floats(-12, 12))
@settings(max_examples=60, deadline=None)
def test_recalibration_finds_the_root_from_far_away(seed, scale, shift):
    generator = np.random.default_rng(seed)
    x = generator.normal(0, scale, 60)
    truth = 1 / (1 + np.exp(-generator.normal(0, 1, 60)))
    probability = np.clip(1 / (1 + np.exp(-(x + shift))), 1e-9, 1 - 1e-9)
    intercept, joint, slope = fit_recalibration(probability, 1 - truth, truth)
    z = np.log(probability / (1 - probability))
    for mean, columns in ((intercept + z, [1]), (joint + slope * z, [1, z])):
        residual = truth - 1 / (1 + np.exp(-mean))
        for column in columns:
            assert abs((residual * column).mean()) < 1e-4 * (1 + np.abs(z).max())


def test_capacity_takes_the_top_of_every_cutoff():
    label, probability, entity = sample(90)
    cutoff = np.repeat(
        np.array(["2024-01-01", "2024-01-08", "2024-01-15"], dtype="datetime64[us]"), 30
    )
    hits = [label[rows][np.argsort(-probability[rows])[:5]] for rows in np.split(np.arange(90), 3)]
    estimates = values(label, probability, entity, cutoff=cutoff, capacity=5)
    assert estimates["precision_at_capacity"] == pytest.approx(np.mean(hits))
    assert estimates["lift_at_capacity"] == pytest.approx(np.mean(hits) / label.mean())
    tenth = values(label, probability, entity, cutoff=cutoff)
    assert tenth["precision_at_capacity"] == pytest.approx(np.mean([h[:3] for h in hits]))
    everything = values(label, probability, entity, cutoff=cutoff, capacity=1000)
    assert everything["lift_at_capacity"] == pytest.approx(1)


def test_ties_for_last_place_count_in_part():
    label, probability = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    estimates = values(label, probability, np.arange(5), capacity=2)
    assert estimates["precision_at_capacity"] == pytest.approx((1 + 1 / 3) / 2)


@given(st.integers(0, 2**32), st.integers(2, 60), st.sampled_from([None, 2, 5]))
@settings(max_examples=20, deadline=None)
def test_row_order_changes_no_bit(seed, rows, ties):
    label, probability, entity = sample(rows, seed, ties)
    cutoff, stratum = np.random.default_rng(seed).integers(3, size=(2, rows))
    shuffled = np.random.default_rng(seed + 1).permutation(rows)
    straight = evaluate_rows(
        label, probability, entity, stratum=stratum, cutoff=cutoff, capacity=2, replicates=5
    )
    mixed = evaluate_rows(
        label[shuffled],
        probability[shuffled],
        entity[shuffled],
        stratum=stratum[shuffled],
        cutoff=cutoff[shuffled],
        capacity=2,
        replicates=5,
    )
    assert {k: str(v.to_json()) for k, v in straight.items()} == {
        k: str(v.to_json()) for k, v in mixed.items()
    }


def test_coarse_levels_keep_value_and_nearly_keep_interval(monkeypatch):
    label, probability, entity = sample(12_000)
    stratum = np.arange(12_000) % 3
    drawn = {"stratum": stratum, "replicates": 40}
    coarse = evaluate_rows(label, probability, entity, **drawn)
    monkeypatch.setattr(ProbabilityLevels, "coarsen", lambda self: self)
    exact = evaluate_rows(label, probability, entity, **drawn)
    for name, figure in exact.items():
        assert coarse[name].value == figure.value
        width = figure.high - figure.low
        assert [coarse[name].low, coarse[name].high] == pytest.approx(
            [figure.low, figure.high], abs=0.01 * width
        )


@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_coarse_levels_merge_neighbors_of_same_stratum_and_bin(seed, rows, most):
    label, probability, _ = sample(rows, seed)
    stratum = np.random.default_rng(seed).integers(3, size=rows)
    levels = ProbabilityLevels.from_rows(label.astype(float), probability, stratum)
    coarse = levels.coarsen(most)
    assert len(coarse.probability) <= max(
        len(levels.probability) if len(levels.probability) <= most else 0, most + 32
    )
    for group in range(len(coarse.probability)):
        own = np.flatnonzero(coarse.row_level == group)
        assert (
            len(set(stratum[own]))
            == len({levels.level_bin[at] for at in levels.row_level[own]})
            == 1
        )
        assert coarse.probability[group] == pytest.approx(probability[own].mean())
        others = probability[(stratum == stratum[own[0]]) & (coarse.row_level != group)]
        assert not ((others > probability[own].min()) & (others < probability[own].max())).any()
    first, last = coarse.stratum_first[coarse.row_level], coarse.stratum_last[coarse.row_level]
    for own_stratum in set(stratum):
        groups = coarse.row_level[stratum == own_stratum]
        assert set(first[stratum == own_stratum]) == {groups.min()} and set(
            last[stratum == own_stratum]
        ) == {groups.max()}


def test_intervals_widen_when_rows_of_an_entity_agree():
    label, probability, _ = sample(150)
    once = evaluate_rows(label, probability, np.arange(150), replicates=60)["log_loss"]
    copied = evaluate_rows(
        *(np.repeat(column, 10) for column in (label, probability, np.arange(150))), replicates=60
    )["log_loss"]
    blind = evaluate_rows(
        np.repeat(label, 10), np.repeat(probability, 10), np.arange(1500), replicates=60
    )["log_loss"]
    assert copied.high - copied.low == pytest.approx(once.high - once.low)
    assert blind.high - blind.low < 0.5 * (copied.high - copied.low)


def test_intervals_cover_truth_at_nominal_rate():
    def drawn(entities: int, seed: int, replicates: int) -> Estimate:
        label, probability, _ = sample(entities, seed=seed)
        rows = np.repeat(np.arange(entities), 1 + np.arange(entities) % 3)
        return paired_log_loss_gain(
            label[rows], probability[rows], 0.25, rows, seed=seed, replicates=replicates
        )

    truth = drawn(300_000, 99, 1).value
    covered = sum(
        figure.low <= truth <= figure.high for figure in (drawn(100, n, 100) for n in range(200))
    )
    assert 165 <= covered <= 195


def test_calibration_error_lies_in_its_interval():
    for seed in range(3):
        figure = evaluate_rows(*sample(200, seed=seed), seed=seed, replicates=100)[
            "calibration_error"
        ]
        assert 0 <= figure.low <= figure.value <= figure.high


@pytest.mark.parametrize("label", [np.zeros(8), np.ones(8), np.zeros(0)])
def test_single_class_gives_nan_where_undefined(label):
    estimates = evaluate_rows(label, np.linspace(0.1, 0.9, len(label)), np.arange(len(label)))
    assert np.isnan(estimates["roc_auc"].value)
    assert np.isnan(estimates["calibration_slope"].value)
    assert np.isfinite(estimates["log_loss"].value) == bool(len(label))
    assert estimates["roc_auc"].n == len(label)
    assert "NaN" not in json.dumps({name: figure.to_json() for name, figure in estimates.items()})


def test_single_probability_ranks_as_chance_without_slope():
    estimates = values(np.array([0, 1, 0, 0]), np.full(4, 0.25), np.arange(4))
    assert estimates["roc_auc"] == 0.5
    assert np.isnan(estimates["calibration_slope"])
    assert np.isnan(estimates["calibration_intercept"])


def test_wrong_certainty_costs_finite_loss():
    assert metrics.log_loss_per_row([1], [0.0])[0] == pytest.approx(-np.log(EPSILON))
    assert metrics.log_loss_per_row([0], [1.0])[0] == pytest.approx(-np.log(EPSILON), rel=1e-6)


def test_metrics_reject_values_out_of_range():
    with pytest.raises(ValueError, match="probabilities"):
        evaluate_rows([0, 1], [0.2, np.nan], ["a", "b"])
    with pytest.raises(ValueError, match="labels"):
        evaluate_rows([0, 2], [0.2, 0.3], ["a", "b"])


def test_paired_gain_equals_loss_difference_and_is_tighter():
    label, probability, entity = sample(600)
    worse = np.clip(probability * 1.1, 0.001, 0.999)
    gain = paired_log_loss_gain(label, probability, worse, entity, seed=1)
    expected = sklearn_log_loss(label, worse) - sklearn_log_loss(label, probability)
    alone = evaluate_rows(label, probability, entity, seed=1)["log_loss"]
    assert gain.value == pytest.approx(expected)
    assert gain.low <= gain.value <= gain.high
    assert gain.high - gain.low < alone.high - alone.low
    assert paired_log_loss_gain(label, probability, probability, entity) == Estimate(0, 0, 0, 600)


def test_skill_is_zero_for_base_rate_and_one_for_oracle():
    label, probability, _ = sample(500)
    base = label.mean()
    half = (probability + base) / 2
    assert compute_skill(label, np.full(500, base), base, probability) == 0
    assert compute_skill(label, probability, base, probability) == 1
    assert 0 < compute_skill(label, half, base, probability) < 1
    assert np.isnan(compute_skill(label, half, base, np.full(500, base)))


def test_reliability_bins_hold_equally_many_rows_and_match_by_hand():
    label, probability, entity = sample(500)
    bins = compute_reliability(label, probability, entity)
    for rows, (predicted, observed) in zip(
        np.split(np.argsort(probability), 10), bins, strict=True
    ):
        assert observed.n == 50
        assert predicted == pytest.approx(probability[rows].mean())
        assert observed.value == pytest.approx(label[rows].mean())
        assert observed.low <= observed.value <= observed.high


def test_reliability_of_tied_probabilities_keeps_ties_together():
    bins = compute_reliability([0, 1, 0, 1, 1], [0.2, 0.2, 0.2, 0.7, 0.7], list("abcde"))
    assert [(predicted, observed.n) for predicted, observed in bins] == [
        (pytest.approx(0.2), 3),
        (0.7, 2),
    ]


def test_gain_curve_is_share_of_outcomes_in_top_of_each_cutoff():
    label, probability, _ = sample(200)
    cutoff = np.arange(200) % 2
    curve, point = compute_gain_curve(label, probability, cutoff=cutoff, capacity=25)
    for share, captured in curve:
        top = [
            np.flatnonzero(cutoff == c)[np.argsort(-probability[cutoff == c])][: round(share * 100)]
            for c in (0, 1)
        ]
        assert captured == pytest.approx(label[np.concatenate(top)].sum() / label.sum())
    assert point == pytest.approx(curve[25])
    assert (curve[0], curve[-1]) == ((0, 0), (1, 1))
