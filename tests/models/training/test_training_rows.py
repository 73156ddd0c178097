"""What is known at an instant: against a plain loop, and untouched by whatever comes after it."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import DataError
from configs.learning import Evaluation
from features.contracts import US_PER_DAY
from models.learners import lightgbm
from models.training.fold_pipeline import (
    BASELINES,
    CANDIDATES,
    Settings,
    calibrators,
    learn,
    wanted,
)
from models.training.training_rows import IMMATURE, NEVER, Known, Rows
from tests.models.samples import OBSERVED, TWO_WEEKS, followed_company, garbled

SETTINGS = Settings("close", timedelta(microseconds=TWO_WEEKS), Evaluation(), observed=OBSERVED)
END = 60 * US_PER_DAY
TIMED = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 9) | st.just(NEVER)), min_size=1, max_size=15
)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Trees enough to learn something, few enough to be quick."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)


def rows_of(timed: list[tuple[int, int]], end: int, horizon: int) -> Rows:
    """Rows by cutoff and days until the outcome, with the labels that are known at ``end``."""
    cutoff = np.array([start for start, _ in timed])
    outcome = np.array([NEVER if wait == NEVER else start + wait for start, wait in timed])
    label = np.where(cutoff + horizon <= end, outcome < cutoff + horizon, IMMATURE).astype(np.int64)
    entity = np.array([f"e{i}" for i in range(len(timed))], dtype=object)
    return Rows(pa.table({"x": cutoff}), np.arange(len(timed)), entity, cutoff, label, outcome)


@given(TIMED, st.integers(1, 14), st.integers(1, 8))
def test_young_rows_are_those_that_began_and_are_not_over(timed, end, horizon):
    whole = rows_of(timed, end, horizon)
    known = Known.at(whole, whole.mature, end, horizon)
    mature, young = [], []
    for number, (start, _) in enumerate(timed):
        if start + horizon <= end:
            mature.append(number)
        elif start < end:
            young.append(number)
    assert known.mature.number.tolist() == mature
    assert known.young.number.tolist() == young
    assert known.young.outcome.tolist() == whole.outcome[young].tolist()
    assert len(known.followed().days) == len(mature) + len(young)
    # A mature row is positive if and only if it was seen to be.
    assert known.followed().happened[: len(mature)].tolist() == (known.mature.label == 1).tolist()


@given(TIMED, st.integers(1, 14), st.integers(1, 8), st.randoms(use_true_random=False))
def test_how_rows_were_followed_says_nothing_of_later(timed, end, horizon, random):
    others = [
        (
            start,
            wait
            if start + wait < end
            else random.choice([max(end - start, 0) + random.randrange(9), NEVER]),
        )
        for start, wait in timed
    ]
    known, other = (
        Known.at(whole, whole.mature, end, horizon)
        for whole in (rows_of(each, end, horizon) for each in (timed, others))
    )
    assert known.followed().days.tolist() == other.followed().days.tolist()
    assert known.followed().happened.tolist() == other.followed().happened.tolist()
    assert known.follows == other.follows


def test_rows_without_times_are_not_followed():
    whole = rows_of([(0, 1), (0, NEVER), (9, 1)], 10, 5)
    known = Known.at(whole, whole.mature, None, 5)
    assert known.mature.number.tolist() == [0, 1]
    assert not len(known.young.number) and not known.follows


def test_rows_are_those_of_both_tables():
    matrix, labels = followed_company(leads=20)
    whole = Rows.of(matrix, labels)
    for number, row in enumerate(labels.to_pylist()):
        at = NEVER if row["outcome_at"] is None else round(row["outcome_at"].timestamp() * 1e6)
        label = IMMATURE if row["label"] is None else row["label"]
        found = (
            whole.entity_id[number],
            whole.cutoff[number],
            whole.label[number],
            whole.outcome[number],
        )
        assert found == (row["entity_id"], round(row["cutoff"].timestamp() * 1e6), label, at)
    assert whole.mature.tolist() == [
        i for i, mature in enumerate(labels["mature"].to_pylist()) if mature
    ]
    assert whole.features == ["one", "two", "source"]
    some = whole.take(np.array([5, 3])).take(np.array([1]))
    assert (some.number.tolist(), some.cutoff.tolist()) == ([3], [whole.cutoff[3]])
    with pytest.raises(DataError, match="not of the same rows"):
        Rows.of(matrix, labels.take(np.arange(labels.num_rows)[::-1]))


def learnt_at(labels: pa.Table, matrix: pa.Table):
    """Return all models learnt at END, and the calibrators and shares that the rows before it give."""
    whole = Rows.of(matrix, labels)
    train = np.flatnonzero(whole.cutoff + TWO_WEEKS <= END)
    learnt = learn(
        Known.at(whole, train, END, TWO_WEEKS), wanted((*CANDIDATES, *BASELINES)), SETTINGS
    )
    return learnt, calibrators(whole, train, SETTINGS)


def test_nothing_that_is_learnt_at_an_instant_hangs_on_what_came_later():
    matrix, labels = followed_company()
    plain, other = (learnt_at(each, matrix) for each in (labels, garbled(labels, END)))
    assert set(plain[0].models) == {
        "lightgbm",
        "hazard",
        "logistic",
        "recent",
        "naive_bayes",
        "base_rate",
    }
    assert set(plain[1][0]) == {"lightgbm", "hazard", "logistic", "recent", "blend"}
    assert other == plain
    # What it was proven on: the garbling reaches up to the instant itself, and no further.
    assert (
        learnt_at(garbled(labels, END - 3 * US_PER_DAY), matrix)[0].models["hazard"]
        != plain[0].models["hazard"]
    )


def test_only_the_model_of_when_it_comes_has_heard_of_young_rows():
    matrix, labels = followed_company()
    whole = Rows.of(matrix, labels)
    train = np.flatnonzero(whole.cutoff + TWO_WEEKS <= END)
    known, mature = (
        Known.at(whole, train, end, TWO_WEEKS)
        for end in (END, int(whole.cutoff[train].max() + TWO_WEEKS))
    )
    assert len(known.young.number) > 0
    alone = Known(mature.mature, whole.take(np.empty(0, np.int64)), mature.end, TWO_WEEKS)
    learnt, other = (
        learn(each, wanted((*CANDIDATES, *BASELINES)), SETTINGS).models for each in (known, alone)
    )
    assert {name for name in learnt if learnt[name] != other[name]} == {"hazard"}


def test_without_times_there_is_no_model_of_when_it_comes():
    matrix, labels = followed_company(leads=40)
    untimed = labels.set_column(
        4, labels.schema.field("outcome_at"), pa.nulls(labels.num_rows, labels.schema[4].type)
    )
    for each, settings in [
        (untimed, SETTINGS),
        (labels, Settings("close", SETTINGS.horizon, Evaluation())),
    ]:
        whole = Rows.of(matrix, each)
        known = settings.known(whole, whole.mature, None)
        assert "hazard" not in learn(known, wanted(CANDIDATES), settings).models
