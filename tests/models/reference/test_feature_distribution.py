"""Distributions of training features: counts against plain Python, drift against its formula."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from models.encoding import EncodedFeature as Input
from models.encoding import Encoding
from models.reference.feature_distribution import (
    MAX_LEVELS,
    ColumnDistribution,
    TrainingDistribution,
)
from models.reference.psi import bound_psi_by_chance, compute_excess_psi, compute_psi

ENCODING = Encoding((Input("size", "number"), Input("land", "category", ("de", "fr", "it"))))


def make_matrix(rng, rows, shift=0.0, lands=("de", "fr", None)):
    size = np.round(rng.exponential(3.0, rows) + shift, 1)
    size[rng.random(rows) < 0.1] = np.nan
    land = rng.choice(np.array(lands, object), rows)
    return pa.table(
        {
            "entity_id": [f"e{i}" for i in range(rows)],
            "size": size,
            "land": pa.array(land, pa.string()),
        }
    )


def make_predictions(rng, rows):
    return pa.table(
        {"entity_id": [f"e{i}" for i in range(rows)], "probability": rng.beta(1, 9, rows)}
    )


def make_distribution(seed=0, rows=4000, slices=4):
    rng = np.random.default_rng(seed)
    tested = [make_predictions(rng, 400) for _ in range(slices)]
    parts = np.array_split(np.arange(rows), slices)
    return TrainingDistribution.from_matrix(
        make_matrix(rng, rows), parts, {"size": 0.6, "land": 0.4}, ENCODING, tested, tested[0]
    )


def test_psi_equals_formula():
    expected, psi = np.array([10, 0, 30]), np.array([5, 5, 5])
    p, q = [10.5 / 41.5, 0.5 / 41.5, 30.5 / 41.5], [5.5 / 16.5] * 3
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert compute_psi(expected, psi) == pytest.approx(by_hand)
    assert compute_psi(psi, psi) == 0.0


@pytest.mark.parametrize(("before", "current"), [(20_000, 300), (1_000, 60), (300, 25_000)])
def test_psi_without_drift_is_within_chance(before, current):
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(12))
    pairs = [
        (rng.multinomial(before, shares), rng.multinomial(current, shares)) for _ in range(2000)
    ]
    beyond = [compute_excess_psi(one, other, (before, current)) for one, other in pairs]
    assert sum(each > 0 for each in beyond) <= 2
    assert np.mean([compute_psi(*pair) for pair in pairs]) == pytest.approx(
        11 * (1 / before + 1 / current), rel=0.25
    )


def test_psi_with_drift_exceeds_chance():
    rng = np.random.default_rng(8)
    one, other = rng.multinomial(5000, [0.1] * 10), rng.multinomial(300, [0.01] * 9 + [0.91])
    assert compute_excess_psi(one, other, (5000, 300)) > 2
    assert bound_psi_by_chance(10, 0, 300) == math.inf


def test_rows_are_counted_by_bin():
    column = make_distribution().columns["size"]
    rng = np.random.default_rng(1)
    size = make_matrix(rng, 500)["size"]
    counts = [0] * (len(column.edges) + 2)
    for value in size.to_pylist():
        above = (
            sum(value > edge for edge in column.edges)
            if not math.isnan(value)
            else len(column.edges) + 1
        )
        counts[above] += 1
    assert column.count(size).tolist() == counts


def test_categories_are_counted_by_level_other_and_missing():
    column = make_distribution().columns["land"]
    assert column.levels == ("de", "fr", "it")
    texts = pa.chunked_array([pa.array(["de", "it", None, "es", "de", None], pa.string())])
    assert column.count(texts).tolist() == [2, 0, 1, 1, 2]


def test_rare_categories_share_bin():
    levels = tuple(f"c{i:03}" for i in range(100))
    encoding = Encoding((Input("land", "category", levels),))
    matrix = pa.table(
        {
            "entity_id": [f"e{i}" for i in range(1000)],
            "land": [levels[i % 100] for i in range(1000)],
        }
    )
    tested = [make_predictions(np.random.default_rng(0), 10)]
    column = TrainingDistribution.from_matrix(
        matrix, [np.arange(1000)], {"land": 1.0}, encoding, tested, tested[0]
    ).columns["land"]
    assert len(column.total_counts) == MAX_LEVELS + 2
    assert column.total_counts.tolist() == [10] * MAX_LEVELS + [1000 - 10 * MAX_LEVELS, 0]


def test_drift_within_training_is_stored():
    rng = np.random.default_rng(2)
    parts = [make_matrix(rng, 1000, shift=float(k)) for k in range(4)]
    matrix = pa.concat_tables(parts)
    slices = np.array_split(np.arange(4000), 4)
    tested = [make_predictions(rng, 100)] * 4
    moving = TrainingDistribution.from_matrix(
        matrix, slices, {"size": 1.0, "land": 0.0}, ENCODING, tested, tested[0]
    )
    assert (
        moving.columns["size"].max_training_drift > 0.5
        and moving.columns["land"].max_training_drift == 0.0
    )
    assert make_distribution().columns["size"].max_training_drift == 0.0


def test_steadily_arriving_categories_are_stored_as_share():
    rng = np.random.default_rng(3)
    parts = [make_matrix(rng, 500, lands=("de", f"only{k}")) for k in range(4)]
    tested = [make_predictions(rng, 100)]
    weights = {"land": 1.0}
    slices = np.array_split(np.arange(2000), 4)
    encoding = Encoding((Input("land", "category", ("de", "only0", "only1", "only2", "only3")),))
    land = TrainingDistribution.from_matrix(
        pa.concat_tables(parts), slices, weights, encoding, tested, tested[0]
    ).columns["land"]
    share = sum(each == "only3" for each in parts[3]["land"].to_pylist()) / 500
    assert land.new_category_share == pytest.approx(share)
    assert make_distribution().columns["land"].new_category_share == 0.0


def test_distribution_survives_json_and_is_small():
    whole = make_distribution()
    text = json.dumps(whole.to_json())
    again = TrainingDistribution.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text and len(text) < 2_000
    assert (
        again.entities == whole.entities == (4000, 1000)
        and again.tested_entities == whole.tested_entities
    )
    for name, column in whole.columns.items():
        assert again.columns[name].edges.tolist() == column.edges.tolist()
        assert again.columns[name].total_counts.tolist() == column.total_counts.tolist()
    assert isinstance(again.probability, ColumnDistribution) and len(again.mean_probabilities) == 5


def test_distribution_accepts_empty_slices_and_columns():
    rng = np.random.default_rng(4)
    matrix = make_matrix(rng, 100).set_column(1, "size", pa.array(np.full(100, np.nan)))
    tested = [make_predictions(rng, 50), make_predictions(rng, 50).slice(50)]
    kept = TrainingDistribution.from_matrix(
        matrix, [np.empty(0, int), np.arange(100)], {"size": 1.0}, ENCODING, tested, tested[0]
    )
    assert kept.columns["size"].total_counts.tolist() == [0, 100]
    assert kept.entities == (100, 100) and kept.tested_entities == (50, 50)
