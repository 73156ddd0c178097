"""Scores against plain Python: rank, percentile, expected value, evidence, trend."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.learning import EvaluationConfig
from configs.night import Review
from configs.targets import ColumnOutcome, Cutoffs, OutcomeAmount, Target
from features.build import build_features
from features.definitions.catalog import Catalog
from features.labels import compute_labels
from features.score_tables import SCORES
from features.spine import build_training_spine
from models.grades import GradeHysteresis
from models.learners.amount_model import AmountModel, AmountRows
from models.qualification.states import STATES
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.funnel.night import NightFunnel, add_funnel_columns
from serve.scoring import scoring
from serve.scoring.review_dates import add_review_dates
from serve.scoring.scoring import (
    ScoringRequest,
    build_scoring_matrix,
    explain_rows,
    score_matrix,
    stamp_run_columns,
)
from serve.scoring.trends import ScoreHistory, add_score_history, append_columns
from serve.scoring.weekly_lists import add_weekly_list
from serve.store.reader import PREVIOUS_SCORES
from tests.features.logs import START, of

NAMES = {"project": "p", "target": "t", "model_version": "3"}
TARGET = Target(outcome="won", horizon="5d", cutoffs=Cutoffs(every="4d"), amount="size")
CATALOG = Catalog(
    types=("visit", "won"), attributes=(("size", "number"),), windows=(timedelta(days=7),)
)
END = START + timedelta(days=120)


@pytest.fixture(scope="module")
def company():
    rng = np.random.default_rng(3)
    leads, events = [], []
    for number in range(400):
        at = START + timedelta(days=float(rng.uniform(0, 118)))
        name = f"L{number:03}"
        size = None if number % 50 == 0 else float(rng.integers(1, 9))
        leads.append(
            {
                "entity_id": name,
                "account_id": None,
                "created_at": at,
                "available_at": at,
                "size": size,
            }
        )
        keen = number % 3 == 0
        for day in np.cumsum(rng.exponential(2 if keen else 20, 12)):
            when = at + timedelta(days=float(day))
            kind = "won" if keen and rng.random() < 0.25 else "visit"
            events.append(
                {
                    "entity_id": name,
                    "event_time": when,
                    "available_at": when,
                    "event_type": kind,
                    "channel": None,
                    "value": None,
                }
            )
            if kind == "won":
                break
    return of(leads, [event for event in events if event["event_time"] < END])


@pytest.fixture(scope="module")
def scorer(company):
    spine = build_training_spine(company, TARGET, END)
    found = compute_labels(company, spine, TARGET, END)
    settings = TrainingSettings(
        "t",
        TARGET.horizon,
        EvaluationConfig(folds=1, share=0.4),
        metadata=ScorerMetadata(catalog=CATALOG.to_json()),
    )
    return train_scorer(build_features(company, spine, CATALOG), found, settings).scorer


def scored(dataset, target, scorer, told=1.0):
    request = ScoringRequest(target, END, NAMES, told)
    matrix = build_scoring_matrix(dataset, scorer, request)
    frame = score_matrix(dataset, scorer, request, matrix)
    return append_columns(frame, explain_rows(dataset, scorer, request, matrix, frame))


def test_score_columns_follow_from_the_prediction(company, scorer):
    frame = scored(company, TARGET, scorer)
    rows = frame.to_pylist()
    by_hand = sorted(rows, key=lambda row: (-row["probability"], row["entity_id"]))
    assert [row["entity_id"] for row in rows] == [row["entity_id"] for row in by_hand]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    sizes = dict(
        zip(company.leads["entity_id"].to_pylist(), company.leads["size"].to_pylist(), strict=True)
    )
    seen = set(company.events["entity_id"].to_pylist())
    for row in rows:
        no_more = sum(other["probability"] <= row["probability"] for other in rows)
        assert row["percentile"] == pytest.approx(100 * no_more / len(rows))
        size = sizes[row["entity_id"]]
        assert row["amount"] == size
        assert row["expected_value"] == (
            None if size is None else pytest.approx(size * row["probability"])
        )
        known = row["entity_id"] in seen or size is not None
        ends = scorer.scale.score(np.array([row["probability_low"], row["probability_high"]]))
        known = known and not (ends[0] <= 40 and ends[1] > 90)
        assert row["evidence"] == ("enough" if known else "too little")


def test_grid_target_has_cutoff_at_as_of(company, scorer):
    frame = scored(company, TARGET, scorer)
    assert set(frame["as_of"].to_pylist()) == set(frame["cutoff"].to_pylist()) == {END}


def test_delay_target_has_cutoff_of_each_entity(company, scorer):
    once = TARGET.model_copy(update={"cutoffs": Cutoffs(delay="1h")})
    frame = scored(company, once, scorer)
    entry = dict(
        zip(*(company.leads[name].to_pylist() for name in ("entity_id", "created_at")), strict=True)
    )
    assert set(frame["as_of"].to_pylist()) == {END}
    assert len(set(frame["cutoff"].to_pylist())) == frame.num_rows > 1
    assert all(
        row["cutoff"] == entry[row["entity_id"]] + timedelta(hours=1) for row in frame.to_pylist()
    )
    created = [
        one
        for text in frame["reasons"].to_pylist()
        for one in json.loads(text)
        if "created_" in one["feature"]
    ]
    assert {one["sentence"] for one in created} <= {"created 1 hour ago"}


def test_scores_without_times_have_cutoff_at_as_of(company, scorer):
    outcome = ColumnOutcome(column="gained", equals="yes")
    leads = company.leads.append_column("gained", pa.nulls(company.leads.num_rows, pa.string()))
    untimed = Target(outcome=outcome, amount="size")
    frame = scored(replace(company, leads=leads, timed=False), untimed, scorer)
    assert frame.num_rows == leads.num_rows
    assert set(frame["cutoff"].to_pylist()) == {END}


def test_lead_alone_scores_as_among_others(company, scorer):
    frame = scored(company, TARGET, scorer)
    chosen = frame["entity_id"][5].as_py()
    keep = [name == chosen for name in company.leads["entity_id"].to_pylist()]
    alone = type(company)(company.leads.filter(pa.array(keep)), company.events, (), "x")
    fixed = [
        "entity_id",
        "probability",
        "probability_low",
        "probability_high",
        "score",
        "grade",
        "reasons",
    ]
    assert (
        scored(alone, TARGET, scorer).select(fixed).to_pylist()
        == frame.select(fixed).slice(5, 1).to_pylist()
    )


def test_stamped_scores_with_history_have_contract_schema(company, scorer):
    frame = scored(company, TARGET, scorer)
    known = frame["entity_id"][0].as_py()
    previous = pa.table([[known], [7], ["D"], [None], [None]], schema=PREVIOUS_SCORES)
    frame = add_review_dates(
        add_score_history(frame, ScoreHistory(previous), END, GradeHysteresis()),
        previous,
        END,
        Review(),
        ZoneInfo("UTC"),
    )
    frame = add_weekly_list(frame, SCORES.empty_table(), None, "")
    missing = pa.Table.from_pylist([{}] * frame.num_rows, STATES)
    frame = append_columns(frame, {name: missing[name] for name in STATES.names})
    full = stamp_run_columns(add_funnel_columns(frame, company, NightFunnel()), SCORES, "run", END)
    assert full.schema.equals(SCORES)
    first, *others = full.to_pylist()
    assert first["previous_score"] == 7 and first["trend"] == first["score"] - 7
    assert all(row["previous_score"] is None and row["trend"] is None for row in others)


@pytest.mark.parametrize(
    ("amount", "expected"), [(250.0, 250.0), (None, None), (OutcomeAmount(outcome="value"), None)]
)
def test_constant_amount_is_used_for_all_leads(company, scorer, amount, expected):
    """A model without an amount model gives no learned amount."""
    for row in scored(company, TARGET.model_copy(update={"amount": amount}), scorer).to_pylist():
        assert row["amount"] == expected
        assert row["expected_value"] == (expected and expected * row["probability"])


def test_learned_amount_is_predicted_by_the_amount_model(company, scorer):
    """Amounts are ten times the lead's size, so the size predicts them."""
    target = TARGET.model_copy(update={"amount": OutcomeAmount(outcome="value")})
    request = ScoringRequest(target, END, NAMES)
    matrix = build_scoring_matrix(company, scorer, request)
    size = scorer.encoding.names.index("size")
    x = np.zeros((400, len(scorer.encoding.names)))
    x[:, size] = 1 + np.arange(400) % 8
    amount_model = AmountModel.fit(
        AmountRows(x, 10 * x[:, size], np.arange(400).astype(str), np.arange(400)), []
    )
    assert amount_model.trees is not None
    frame = score_matrix(
        company, replace(scorer, amount_model=amount_model), request, matrix
    ).to_pylist()
    sizes = dict(zip(matrix["entity_id"].to_pylist(), matrix["size"].to_pylist(), strict=True))
    for row in frame:
        assert row["expected_value"] == row["amount"] * row["probability"]
        if sizes[row["entity_id"]] is not None and not np.isnan(sizes[row["entity_id"]]):
            assert row["amount"] == pytest.approx(10 * sizes[row["entity_id"]], rel=0.25)
    plain = scored(company, TARGET, replace(scorer, amount_model=amount_model)).to_pylist()
    assert [row["amount"] for row in plain] == [
        row["amount"] for row in scored(company, TARGET, scorer).to_pylist()
    ]


def test_amount_column_must_be_numeric(company, scorer):
    wrong = TARGET.model_copy(update={"amount": "nothing"})
    with pytest.raises(DataError, match="nothing"):
        scored(company, wrong, scorer)


def test_saved_scorer_gives_equal_scores(company, scorer, tmp_path):
    scorer.save(tmp_path)
    assert scored(company, TARGET, Scorer.load(tmp_path)).equals(scored(company, TARGET, scorer))


@pytest.mark.parametrize("told", [0.0, 0.1, 1.0])
def test_reasons_cover_the_explained_share_alone(company, scorer, told):
    whole, part = scored(company, TARGET, scorer), scored(company, TARGET, scorer, told)
    most = math.ceil(told * whole.num_rows)
    assert part.drop_columns(["reasons"]).equals(whole.drop_columns(["reasons"]))
    assert part["reasons"].to_pylist() == whole["reasons"].to_pylist()[:most] + ["[]"] * (
        whole.num_rows - most
    )


def test_batch_sizes_do_not_change_scores(company, scorer, monkeypatch):
    whole = scored(company, TARGET, scorer)
    monkeypatch.setattr(scoring, "PREDICT_BATCH_ROWS", 7)
    monkeypatch.setattr(scoring, "EXPLAIN_BATCH_ROWS", 5)
    assert scored(company, TARGET, scorer).equals(whole)
