"""Fit and engagement against sums by hand and percentiles of the training rows."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from features.contracts import INSTANT
from features.definitions.catalog import Catalog
from models.calibration import AffineCalibrator, ProbabilityBand, to_probability
from models.encoding import Encoding
from models.learners.logistic import Logistic
from models.reference.fit_engagement import fit_side_scales, score_sides
from models.scorer import Scorer, ScoreScale
from models.scorer_metadata import ScorerMetadata
from tests.models import samples

CATALOG = Catalog(
    types=("visit",),
    attributes=(("size", "number"), ("trade", "category")),
    windows=(timedelta(7),),
)
FIT, ENGAGEMENT, NEITHER = ["size", "trade"], ["visit_count_7d", "any_age"], ["created_age"]


def matrix(rows, seed=0):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "entity_id": [f"e{i}" for i in range(rows)],
            "cutoff": pa.array(np.arange(rows) * 10**9, INSTANT),
            "size": random.normal(size=rows),
            "visit_count_7d": random.poisson(2, rows).astype(float),
            "created_age": random.random(rows),
            "trade": random.choice(["steel", "wood"], rows),
            "any_age": random.exponential(size=rows),
        }
    )


def a_scorer(names):
    table = matrix(800)
    encoding = Encoding.fit(table, names)
    x = encoding.encode(table)
    y = (np.random.default_rng(7).random(800) < to_probability(x[:, 0] - 1)).astype(np.int64)
    model = samples.fitted(Logistic, x, y, encoding.categorical)
    chance = to_probability(model.margin(x))
    band = ProbabilityBand.fit(chance, y, np.arange(800), np.full(800, 0.2))
    return Scorer(
        "t",
        model,
        encoding,
        AffineCalibrator(0.9, 0.1),
        band,
        ScoreScale.fit(chance),
        ScorerMetadata(catalog=CATALOG.to_json()),
    )


@pytest.fixture(scope="module")
def scorer():
    bare = a_scorer(["size", "visit_count_7d", "created_age", "trade", "any_age"])
    scales = fit_side_scales(bare, matrix(800), np.arange(800))
    return replace(bare, metadata=replace(bare.metadata, fit_engagement=scales))


def sums(scorer, table, names):
    parts = scorer.explain(table)
    return [
        sum(parts[row, scorer.encoding.names.index(name)] for name in names)
        for row in range(len(table))
    ]


def test_side_score_is_percentile_among_training_rows(scorer):
    found = score_sides(scorer, scorer.explain(matrix(300, seed=1)))
    for side, names in (("fit", FIT), ("engagement", ENGAGEMENT)):
        learnt, new = sums(scorer, matrix(800), names), sums(scorer, matrix(300, seed=1), names)
        below = [100 * np.mean([one < value for one in learnt]) for value in new]
        assert np.abs(found[side] - 1 - np.floor(below)).max() <= 1  # a knot each per cent
        assert found[side].min() >= 1 and found[side].max() <= 100 and len(set(found[side])) > 50


def test_events_change_engagement_only(scorer):
    table = matrix(50, seed=2)
    busy = table.set_column(3, "visit_count_7d", pa.array(table["visit_count_7d"].to_numpy() + 3))
    older = table.set_column(4, "created_age", pa.array(table["created_age"].to_numpy() + 3))
    before, after, aged = (
        score_sides(scorer, scorer.explain(each)) for each in (table, busy, older)
    )
    assert (before["fit"] == after["fit"]).all() and (
        before["engagement"] != after["engagement"]
    ).any()
    assert all((before[side] == aged[side]).all() for side in before)


def test_side_without_features_and_older_model_have_no_score(scorer):
    table = matrix(60)
    alone = a_scorer(["visit_count_7d", "created_age"])
    kept = fit_side_scales(alone, table, np.arange(60))
    assert list(kept) == ["engagement"]
    alone = replace(alone, metadata=replace(alone.metadata, fit_engagement=kept))
    assert list(score_sides(alone, alone.explain(table))) == ["engagement"]
    older = replace(scorer, metadata=ScorerMetadata(catalog=CATALOG.to_json()))
    assert score_sides(older, older.explain(table)) == {}


def test_saved_scorer_gives_same_side_scores(scorer, tmp_path):
    scorer.save(tmp_path)
    table = matrix(40, seed=3)
    found, read = (
        score_sides(scorer, scorer.explain(table)),
        score_sides(Scorer.load(tmp_path), scorer.explain(table)),
    )
    assert all((found[side] == read[side]).all() for side in found)
