"""Available rows, against a reference loop, and independent of everything after the cutoff."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import DataError
from configs.learning import EvaluationConfig
from features.contracts import ACTIVITY
from features.tools.instants import NEVER_US, US_PER_DAY, to_microseconds
from models.learners import lightgbm
from models.learners.hazard import FollowUp
from models.training.blending import list_models_to_fit
from models.training.calibrate import fit_fold_calibration
from models.training.fit import fit_models
from models.training.settings import BASELINES, CANDIDATES, TrainingSettings
from models.training.training_rows import IMMATURE, AvailableRows, TrainingTable
from tests.models.samples import OBSERVED, TWO_WEEKS, change_later_outcomes, followed_company

SETTINGS = TrainingSettings(
    "close", timedelta(microseconds=TWO_WEEKS), EvaluationConfig(), observed_through=OBSERVED
)
END = 60 * US_PER_DAY
TIMED = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 9) | st.just(NEVER_US)), min_size=1, max_size=15
)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Fit few trees, so that the tests are fast."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)


def make_table(timed: list[tuple[int, int]], end: int, horizon: int) -> TrainingTable:
    """Return rows by cutoff and time to the outcome, with the labels known at ``end``."""
    cutoff = np.array([start for start, _ in timed])
    outcome = np.array([NEVER_US if wait == NEVER_US else start + wait for start, wait in timed])
    label = np.where(cutoff + horizon <= end, outcome < cutoff + horizon, IMMATURE).astype(np.int64)
    entity = np.array([f"e{i}" for i in range(len(timed))], dtype=object)
    return TrainingTable(
        pa.table({"x": cutoff}), np.arange(len(timed)), entity, entity, cutoff, label, outcome
    )


@given(TIMED, st.integers(1, 14), st.integers(1, 8))
def test_censored_rows_began_and_are_not_over(timed, end, horizon):
    table = make_table(timed, end, horizon)
    available = AvailableRows.from_cutoff(table, table.mature_rows, end, horizon)
    mature, censored = [], []
    for number, (start, _) in enumerate(timed):
        if start + horizon <= end:
            mature.append(number)
        elif start < end:
            censored.append(number)
    assert available.mature.row_number.tolist() == mature
    assert available.censored.row_number.tolist() == censored
    assert available.censored.outcome_at.tolist() == table.outcome_at[censored].tolist()
    assert len(available.follow_up.days) == len(mature) + len(censored)
    # A mature row is positive if and only if it was seen to be.
    assert (
        available.follow_up.observed[: len(mature)].tolist()
        == (available.mature.label == 1).tolist()
    )


@given(TIMED, st.integers(1, 14), st.integers(1, 8), st.randoms(use_true_random=False))
def test_follow_up_is_independent_of_later_outcomes(timed, end, horizon, random):
    others = [
        (
            start,
            wait
            if start + wait < end
            else random.choice([max(end - start, 0) + random.randrange(9), NEVER_US]),
        )
        for start, wait in timed
    ]
    available, other = (
        AvailableRows.from_cutoff(table, table.mature_rows, end, horizon)
        for table in (make_table(times, end, horizon) for times in (timed, others))
    )
    assert available.follow_up.days.tolist() == other.follow_up.days.tolist()
    assert available.follow_up.observed.tolist() == other.follow_up.observed.tolist()


def test_rows_without_outcome_times_are_not_followed_up():
    table = make_table([(0, 1), (0, NEVER_US), (9, 1)], 10, 5)
    available = AvailableRows.from_cutoff(table, table.mature_rows, None, 5)
    assert available.mature.row_number.tolist() == [0, 1]
    assert not len(available.censored.row_number) and available.follow_up is None


def test_table_holds_the_rows_of_both_tables():
    matrix, labels = followed_company(leads=20)
    table = TrainingTable.from_tables(matrix, labels)
    for number, row in enumerate(labels.to_pylist()):
        at = NEVER_US if row["outcome_at"] is None else round(row["outcome_at"].timestamp() * 1e6)
        label = IMMATURE if row["label"] is None else row["label"]
        found = (
            table.entity_id[number],
            table.cutoff[number],
            table.label[number],
            table.outcome_at[number],
        )
        assert found == (row["entity_id"], round(row["cutoff"].timestamp() * 1e6), label, at)
    assert table.mature_rows.tolist() == [
        i for i, mature in enumerate(labels["mature"].to_pylist()) if mature
    ]
    assert table.feature_names == ["one", "two", "source"]
    selected = table.take(np.array([5, 3])).take(np.array([1]))
    assert (selected.row_number.tolist(), selected.cutoff.tolist()) == ([3], [table.cutoff[3]])
    with pytest.raises(DataError, match="have different rows"):
        TrainingTable.from_tables(matrix, labels.take(np.arange(labels.num_rows)[::-1]))


def fit_at_end(labels: pa.Table, matrix: pa.Table):
    """Return all models fitted at END, and the calibration from the rows before it."""
    table = TrainingTable.from_tables(matrix, labels)
    train = np.flatnonzero(table.cutoff + TWO_WEEKS <= END)
    fitted = fit_models(
        AvailableRows.from_cutoff(table, train, END, TWO_WEEKS),
        list_models_to_fit((*CANDIDATES, *BASELINES)),
        SETTINGS,
    )
    return fitted, fit_fold_calibration(table, train, SETTINGS)


def test_fit_at_an_instant_is_independent_of_later_outcomes():
    matrix, labels = followed_company()
    reference, other = (
        fit_at_end(seen, matrix) for seen in (labels, change_later_outcomes(labels, END))
    )
    assert set(reference[0].models) == {
        "lightgbm",
        "hazard",
        "logistic",
        "recent",
        "target_encoding",
        "naive_bayes",
        "base_rate",
    }
    candidates = {"lightgbm", "hazard", "logistic", "blend", "target_encoding"}
    assert set(reference[1].calibrators) == {*candidates, "recent"}
    assert other == reference
    # The change reaches up to the instant itself: with an earlier one the models differ.
    assert (
        fit_at_end(change_later_outcomes(labels, END - 3 * US_PER_DAY), matrix)[0].models["hazard"]
        != reference[0].models["hazard"]
    )


def test_fit_at_an_instant_is_independent_of_later_activity():
    """Only the events of weeks that are over at the instant are learnt from."""
    matrix, labels = followed_company(leads=300)
    random = np.random.default_rng(4)
    count = random.poisson(2 * np.exp(matrix["one"].to_numpy())).astype(float)
    cutoff = labels["cutoff"].cast(pa.int64()).to_numpy()

    def fit_hazard(known_end: int):
        """Fit at END after the counts were replaced of weeks that end after an instant."""
        replaced = np.where(cutoff + 7 * US_PER_DAY > known_end, count[::-1] + 9, count)
        counted = labels.append_column(ACTIVITY, pa.array(replaced))
        return fit_at_end(counted, matrix)[0].models["hazard"]

    reference = fit_hazard(NEVER_US)
    assert reference.activity is not None
    assert fit_hazard(END) == reference
    assert fit_hazard(END - 7 * US_PER_DAY) != reference


def test_censored_rows_change_the_hazard_model_alone():
    matrix, labels = followed_company()
    table = TrainingTable.from_tables(matrix, labels)
    train = np.flatnonzero(table.cutoff + TWO_WEEKS <= END)
    available = AvailableRows.from_cutoff(table, train, END, TWO_WEEKS)
    assert len(available.censored.row_number) > 0
    mature, end = available.mature, int(table.cutoff[train].max() + TWO_WEEKS)
    follow_up = FollowUp.from_times(mature.cutoff, mature.outcome_at, end, TWO_WEEKS)
    alone = AvailableRows(mature, mature, follow_up)
    fitted, other = (
        fit_models(rows, list_models_to_fit((*CANDIDATES, *BASELINES)), SETTINGS).models
        for rows in (available, alone)
    )
    assert {name for name in fitted if fitted[name] != other[name]} == {"hazard"}


def test_hazard_model_needs_outcome_times():
    matrix, labels = followed_company(leads=40)
    untimed = labels.set_column(
        4, labels.schema.field("outcome_at"), pa.nulls(labels.num_rows, labels.schema[4].type)
    )
    for known, settings in [
        (untimed, SETTINGS),
        (labels, TrainingSettings("close", SETTINGS.horizon, EvaluationConfig())),
    ]:
        table = TrainingTable.from_tables(matrix, known)
        available = AvailableRows.from_cutoff(
            table, table.mature_rows, settings.known_until(None), settings.horizon_us
        )
        fitted = fit_models(available, list_models_to_fit(CANDIDATES), settings)
        assert "hazard" not in fitted.models


def test_known_until_lies_an_embargo_before_the_test():
    day = timedelta(days=1)
    settings = replace(SETTINGS, evaluation=EvaluationConfig(embargo=2 * day))
    assert settings.known_until(END) == END - 2 * US_PER_DAY
    assert settings.known_until(None) == to_microseconds(OBSERVED)
    assert replace(settings, ordered=False).known_until(END) is None
    assert replace(settings, observed_through=None).known_until(END) is None
