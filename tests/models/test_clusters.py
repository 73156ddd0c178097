"""Accounts: folds of unordered data keep them whole, and intervals draw them whole."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.learning import EvaluationConfig, Learning, Search
from features.contracts import EVENTS, INSTANT, LABELS, Dataset
from features.tools.instants import US_PER_DAY
from models.calibration import ProbabilityBand, compute_clustered_error
from models.clusters import CLUSTER, has_clusters, number_clusters, number_keys
from models.evaluation.gate import GateSettings, judge_challenger
from models.evaluation.metrics import PredictedRows, evaluate_rows
from models.evaluation.sliced_metrics import compute_sliced_metrics
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.training.calibrate import _split_calibration_rows
from models.training.folds import plan_folds, split_by_cluster
from models.training.search import SearchSample, _split_search_folds
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from models.training.training_rows import TrainingTable

NOW = datetime(2024, 1, 1, tzinfo=UTC)
UNORDERED = TrainingSettings(
    "win", timedelta(0), EvaluationConfig(), ordered=False, learners=(LightGbm,)
)


def make_dataset(accounts: list[str | None]) -> Dataset:
    """Return leads of these accounts; their ids look like the keys of accounts."""
    ids = pa.array([f"account {i:03d}" for i in range(len(accounts))])
    times = pa.array([NOW] * len(accounts), INSTANT)
    columns = {
        "entity_id": ids,
        "account_id": pa.array(accounts, pa.string()),
        "created_at": times,
        "available_at": times,
    }
    return Dataset(pa.table(columns), EVENTS.empty_table(), (), "", timed=False, ordered=False)


def make_table(cluster: np.ndarray, seed: int) -> TrainingTable:
    random = np.random.default_rng(seed)
    rows = len(cluster)
    entity = np.array([f"e{i}" for i in range(rows)], dtype=object)
    matrix = pa.table({"x": random.normal(size=rows)})
    label = random.permutation(np.arange(rows) % 2)
    at = np.full(rows, np.iinfo(np.int64).max)
    return TrainingTable(matrix, np.arange(rows), entity, cluster, np.arange(rows), label, at)


def draw_cluster_numbers(draw) -> np.ndarray:
    numbers = draw(st.lists(st.integers(0, 12), min_size=8, max_size=60))
    return np.array([f"account {n}" for n in numbers], dtype=object)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.composite(draw_cluster_numbers)(), st.integers(2, 5), st.integers(0, 3))
def test_account_is_on_one_side_of_every_fold_of_unordered_data(cluster, folds, seed):
    """Outer folds, the rows of inner calibration, and the folds of the search."""
    table = make_table(cluster, seed)
    config = EvaluationConfig(folds=folds)
    options = TrainingSettings("win", timedelta(0), config, ordered=False, seed=seed)
    try:
        outer = plan_folds(table, options)
    except DataError:
        outer = []
    every = [*outer]
    everything = np.arange(len(cluster))
    inner = _split_calibration_rows(table, everything, options)
    every += [inner] if inner else []
    x = np.zeros((len(cluster), 1))
    sample = SearchSample(x, table.label, [], table.entity_id, cluster, table.cutoff, False)
    every += _split_search_folds(sample, options)
    for fold in every:
        assert not set(cluster[fold.train]) & set(cluster[fold.test])
        assert not set(fold.train) & set(fold.test)
    if len(outer) == folds:
        assert sorted(np.concatenate([fold.test for fold in outer])) == everything.tolist()


@given(st.lists(st.sampled_from([None, "a", "b", "000", "entity a"]), min_size=1, max_size=12))
def test_cluster_is_the_account_or_the_entity_alone(accounts):
    dataset = make_dataset(accounts)
    keys = dataset.find_clusters(dataset.leads["entity_id"]).to_pylist()
    for i, one in enumerate(accounts):
        for j, other in enumerate(accounts):
            assert (keys[i] == keys[j]) == (i == j or (one is not None and one == other))
    if set(accounts) == {None}:
        assert keys == dataset.leads["entity_id"].to_pylist()


def test_clusters_are_numbered_in_the_order_of_their_keys():
    table = pa.table({"entity_id": ["b", "a", "c"], CLUSTER: ["y", "x", "y"]})
    assert number_clusters(table).tolist() == [2, 1, 2]
    assert number_clusters(table.select(["entity_id"])).tolist() == [2, 1, 3]
    assert number_clusters(table.slice(0, 0)).tolist() == []
    assert has_clusters(table) and not has_clusters(table.select(["entity_id"]))
    assert not has_clusters(table.set_column(1, CLUSTER, table["entity_id"]))


def customer_with_half_of_all_outcomes(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return label, probability and account of rows; account 0 has half of the outcomes."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(81), [800, *[10] * 80])
    label = np.where(account == 0, random.random(1600) < 0.25, random.random(1600) < 0.25)
    # The large customer is easy to rank, and the others are hard in different degrees.
    skill = np.where(account == 0, 4.0, random.normal(1.5, 1.0, 81)[account])
    margin = -1.2 + skill * (label - 0.3) + random.normal(size=1600)
    return label.astype(int), 1 / (1 + np.exp(-margin)), account


def auc(label: np.ndarray, probability: np.ndarray) -> float:
    from scipy.stats import mannwhitneyu

    positive, negative = probability[label == 1], probability[label == 0]
    return mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))


def test_interval_by_account_is_as_wide_as_drawing_accounts_by_hand():
    label, probability, account = customer_with_half_of_all_outcomes()
    random = np.random.default_rng(7)
    rows_of = [np.flatnonzero(account == number) for number in range(81)]
    drawn = []
    for _ in range(400):
        rows = np.concatenate([rows_of[k] for k in random.integers(81, size=81)])
        drawn.append(auc(label[rows], probability[rows]))
    low, high = np.quantile(drawn, [0.05, 0.95])
    by_account = evaluate_rows(label, probability, account, replicates=400)["roc_auc"]
    by_row = evaluate_rows(label, probability, np.arange(1600), replicates=400)["roc_auc"]
    assert by_account.value == by_row.value == pytest.approx(auc(label, probability))
    width = by_account.high - by_account.low
    assert width == pytest.approx(high - low, rel=0.2)
    assert width > 3 * (by_row.high - by_row.low)


def test_slices_count_entities_and_draw_accounts():
    label, probability, account = customer_with_half_of_all_outcomes()
    mask = {"all": np.ones(1600, bool)}
    entity = np.arange(1600)
    alone = compute_sliced_metrics(PredictedRows(label, probability, entity), mask)["all"]
    rows = PredictedRows(label, probability, entity, cluster=account)
    together = compute_sliced_metrics(rows, mask)["all"]
    assert together.entities == alone.entities == 1600
    assert together.estimates == evaluate_rows(label, probability, account)
    assert together.estimates["log_loss"].value == alone.estimates["log_loss"].value


def test_band_counts_accounts():
    random = np.random.default_rng(0)
    probability, none = random.uniform(0.1, 0.9, 2000), np.zeros(2000)
    label = (random.random(2000) < probability).astype(int)
    asked = np.array([0.5])
    wide, narrow = (
        np.subtract(*ProbabilityBand.fit(probability, label, cluster, none).interval(asked)[::-1])
        for cluster in (np.arange(2000) % 40, np.arange(2000))
    )
    assert wide[0] > narrow[0]


def test_gate_draws_and_counts_accounts():
    label, probability, account = customer_with_half_of_all_outcomes()
    rows = {
        "entity_id": [f"e{i}" for i in range(1600)],
        "label": label,
        "probability": probability,
        "base_rate": np.full(1600, label.mean()),
    }
    options = GateSettings(replicates=100)
    alone = judge_challenger(pa.table(rows), settings=options)
    accounts = pa.array([f"account {number}" for number in account])
    together = judge_challenger(pa.table({**rows, CLUSTER: accounts}), settings=options)
    assert "accounts or single leads with the outcome" in together.tests[0].sentence
    with_outcome = len(set(account[label == 1]))
    assert together.tests[0].estimate.value == min(with_outcome, len(set(account[label == 0])))
    widths = [v.tests[2].estimate.high - v.tests[2].estimate.low for v in (together, alone)]
    assert widths[0] > 2 * widths[1]


def test_clustered_error_of_copies_in_an_account_is_that_of_one_row():
    gain = np.random.default_rng(0).normal(size=60)
    account = np.array([f"a{i}" for i in range(60)])
    assert compute_clustered_error(np.repeat(gain, 5), np.repeat(account, 5)) == pytest.approx(
        compute_clustered_error(gain, account)
    )


def test_training_passes_the_cluster_to_its_out_of_time_rows():
    random = np.random.default_rng(0)
    rows = 400
    x = random.normal(size=rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-x))).astype(np.int8)
    cutoff = pa.array(np.arange(rows) * US_PER_DAY, INSTANT)
    spine = {"entity_id": [f"e{i}" for i in range(rows)], "cutoff": cutoff}
    labels = {"mature": np.ones(rows, bool), "label": label, "outcome_at": pa.nulls(rows, INSTANT)}
    accounts = pa.array([f"account {i % 90}" for i in range(rows)])
    table = pa.table({**spine, **labels}).cast(LABELS).append_column(CLUSTER, accounts)
    trained = train_scorer(pa.table({**spine, "x": x}), table, UNORDERED)
    tested = trained.out_of_time
    keys = dict(zip(spine["entity_id"], accounts.to_pylist(), strict=True))
    expected = number_keys(pa.array([keys[entity] for entity in tested["entity_id"].to_pylist()]))
    assert tested[CLUSTER].to_pylist() == expected.tolist()
    folds = tested.group_by(CLUSTER).aggregate([("fold", "count_distinct")])
    assert set(folds["fold_count_distinct"].to_pylist()) == {1}


def test_parts_depend_on_the_key_of_the_account_alone():
    cluster = np.array([f"account {i % 7}" for i in range(60)], dtype=object)
    whole = split_by_cluster(cluster, 3, seed=1)
    some = split_by_cluster(cluster[20:], 3, seed=1)
    part = {key: k for k, fold in enumerate(whole) for key in cluster[fold.test]}
    assert all(len({part[key] for key in cluster[20:][fold.test]}) == 1 for fold in some)


def test_search_of_unordered_data_draws_accounts():
    cluster = np.array([f"account {i % 30}" for i in range(300)], dtype=object)
    table = make_table(cluster, 0)
    options = TrainingSettings(
        "win", timedelta(0), EvaluationConfig(), ordered=False, learning=Learning(search=Search())
    )
    sample = SearchSample(
        np.zeros((300, 1)), table.label, [], table.entity_id, cluster, table.cutoff, False
    )
    folds = _split_search_folds(sample, options)
    assert len(folds) == 4
    assert all(not set(cluster[fold.train]) & set(cluster[fold.test]) for fold in folds)


def test_trees_of_accounts_with_several_leads_are_those_of_repeated_rows():
    random = np.random.default_rng(0)
    x, entity = random.normal(size=(600, 3)), np.array([f"e{i}" for i in range(600)])
    label = (random.random(600) < 0.4).astype(int)

    def fit(entity: np.ndarray, cluster: np.ndarray) -> str:
        learning = Learning()
        rows = FitInput.from_rows(x, [], entity, cluster, np.arange(600), learning, {}, seed=0)
        return LightGbm.fit(rows, label).text

    account = np.array([f"a{i // 3}" for i in range(600)])
    assert fit(entity, account) == fit(account, account) != fit(entity, entity)
