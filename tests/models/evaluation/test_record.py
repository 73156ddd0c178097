"""The stored evaluation: it reads back as it was written, and nothing else is read."""

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.definitions.feature_groups import FeatureGroup
from models.evaluation.metrics import Estimate
from models.evaluation.record import (
    EVALUATION_FILE,
    EvaluationRecord,
    RecordedCause,
    RecordedEstimate,
    RecordedFold,
    RecordedGate,
    RecordedImportance,
    RecordedSuspect,
    RecordedTest,
    ReliabilityBin,
    read_evaluation,
    write_evaluation,
)
from tests.models.stored_evaluation import make_evaluation

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(-1e300, 1e300)
COUNTS = st.integers(0, 2**53)
SHARES = st.floats(0, 1)


def optional(strategy):
    return st.none() | strategy


@st.composite
def estimates(draw):
    low, high = sorted(draw(st.tuples(NUMBERS, NUMBERS)))
    value, n = draw(optional(NUMBERS)), draw(COUNTS)
    return RecordedEstimate(value, *draw(st.sampled_from([(low, high), (None, None)])), n)


METRICS = st.dictionaries(NAMES, estimates(), max_size=3)
TESTS = st.builds(
    RecordedTest, NAMES, st.booleans(), estimates(), optional(NUMBERS), optional(NUMBERS), NAMES
)


def tuples_of(strategy, key=None):
    return st.lists(strategy, max_size=4).map(lambda parts: tuple(sorted(parts, key=key)))


@st.composite
def gates(draw):
    tests = tuple(draw(st.lists(TESTS, max_size=3)))
    causes = draw(st.lists(st.builds(RecordedCause, NAMES, NAMES, NAMES), max_size=2))
    return RecordedGate(all(test.passed for test in tests), tests, tuple(causes))


@st.composite
def records(draw):
    mature, immature = draw(st.integers(1, 2**52)), draw(st.integers(0, 2**52))
    used, more = draw(st.integers(0, 99)), draw(st.integers(0, 99))
    groups = st.sampled_from(FeatureGroup.__args__)
    weights = st.floats(0, 1e6, exclude_min=True)
    bins = st.builds(ReliabilityBin, SHARES, *[optional(SHARES)] * 3, COUNTS)
    across, up = (sorted(draw(st.lists(SHARES, min_size=4, max_size=4))) for _ in "xy")
    return EvaluationRecord(
        target=draw(NAMES),
        learner=draw(NAMES),
        trained_as_of=draw(st.sampled_from(["2024-05-01T00:00:00+02:00", ""])),
        observation_date="2024-04-30T00:00:00+00:00",
        horizon=draw(st.sampled_from([None, "30d", "12h"])),
        language=draw(st.sampled_from(["en", "ru"])),
        rows=mature + immature,
        mature=mature,
        immature=immature,
        positive=draw(st.integers(0, mature)),
        used_features=used,
        offered_features=used + more,
        capacity=draw(optional(COUNTS)),
        metrics=draw(METRICS),
        baselines=draw(st.dictionaries(NAMES, METRICS, max_size=2)),
        folds=tuple(draw(st.lists(st.builds(RecordedFold, NAMES, *[COUNTS] * 3, METRICS)))),
        reliability=draw(tuples_of(bins, key=lambda part: part.predicted)),
        gain=tuple(zip(across, up, strict=True)),
        gain_at_capacity=draw(st.tuples(optional(SHARES), optional(SHARES))),
        importance=draw(
            tuples_of(
                st.builds(RecordedImportance, NAMES, NAMES, groups, weights),
                key=lambda part: -part.mean_absolute_log_odds,
            )
        ),
        gate=draw(gates()),
        suspects=tuple(draw(st.lists(st.builds(RecordedSuspect, NAMES, st.booleans(), NAMES)))),
        base_value=draw(optional(st.floats(-1e6, 1e6))),
    )


@settings(max_examples=60, deadline=None)
@given(record=records())
def test_written_record_reads_back_equal_and_with_the_same_bytes(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("record")
    write_evaluation(folder, record)
    once = (folder / EVALUATION_FILE).read_bytes()
    again = read_evaluation(folder)
    assert again == record
    write_evaluation(folder, again)
    assert (folder / EVALUATION_FILE).read_bytes() == once


def test_outcome_rate_is_that_of_the_mature_rows():
    assert make_evaluation().outcome_rate == 0.25


def test_number_that_is_not_finite_is_stored_as_null():
    estimate = RecordedEstimate.from_estimate(Estimate(math.nan, -math.inf, math.inf, 3))
    assert estimate == RecordedEstimate(None, None, None, 3)


def test_training_of_before_has_no_record(tmp_path):
    assert read_evaluation(tmp_path) is None


def test_later_key_is_ignored(tmp_path):
    stored = json.loads(json.dumps(make_evaluation().to_json() | {"fairness": {"age": [1, None]}}))
    stored["folds"][0]["season"] = "spring"
    assert EvaluationRecord.from_json(stored) == make_evaluation()


def refusal(folder, content):
    (folder / EVALUATION_FILE).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_evaluation(folder)
    assert EVALUATION_FILE in str(caught.value) and "secret" not in str(caught.value)
    return str(caught.value)


DAMAGED = {
    "empty": b"",
    "cut": json.dumps(make_evaluation().to_json()).encode()[:-30],
    "not UTF-8": b'{"format": "\xff"}',
    "deep": b"[" * 500 + b"]" * 500,
    "a number that is not finite": b'{"format": 1, "base_value": NaN}',
    "a number beyond all range": b'{"format": 1, "base_value": 1e999}',
    "a list": b"[1]",
    "null": b"null",
    "another file": b'{"format": 1, "target": "close", "model_sha256": "secret"}',
    "a later format": b'{"format": 2}',
    "a format that is true": json.dumps(make_evaluation().to_json() | {"format": True}).encode(),
    "a format that is no number": b'{"format": [[[["secret of a person, and more"]]]]}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_file_is_refused_with_its_name(tmp_path, content):
    refusal(tmp_path, content)


# Fields that records of earlier versions do not have.
LATER_FIELDS = ("segment_by", "segments")


@pytest.mark.parametrize(
    "name", [f.name for f in fields(EvaluationRecord) if f.name not in LATER_FIELDS]
)
def test_field_is_required_and_has_one_type(tmp_path, name):
    stored = json.loads(json.dumps(make_evaluation().to_json()))
    for wrong in ("secret", "12", True, [["secret"]], {"key": "secret"}, -7.5e301):
        if isinstance(wrong, str) and isinstance(stored[name], str) and "horizon" not in name:
            continue
        if name in ("trained_as_of", "observation_date", "horizon") and wrong == "secret":
            continue
        found = refusal(tmp_path, json.dumps(stored | {name: wrong}).encode())
        assert name in found
    del stored[name]
    assert name in refusal(tmp_path, json.dumps(stored).encode())


@pytest.mark.parametrize("name", LATER_FIELDS)
def test_later_field_may_be_absent_and_has_one_type(tmp_path, name):
    stored = json.loads(json.dumps(make_evaluation().to_json()))
    for wrong in (12, True, [["secret"]], {"key": "secret"}, -7.5e301):
        assert name in refusal(tmp_path, json.dumps(stored | {name: wrong}).encode())
    del stored[name]
    (tmp_path / EVALUATION_FILE).write_text(json.dumps(stored), encoding="utf-8")
    read = read_evaluation(tmp_path)
    assert read is not None and getattr(read, name) == getattr(make_evaluation(), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 99),
        ("positive", 81),
        ("mature", 0),
        ("used_features", 3),
        ("capacity", 1.5),
        ("horizon", "soon"),
        ("trained_as_of", "2024-05-01T00:00:00"),
        ("gain", [[0, 0]] * 201),
        ("gain", [[1, 1], [0, 0]]),
        ("gain", [[0, 0, 0]]),
        ("gain_at_capacity", [0.5, 1.5]),
        ("reliability", [{"predicted": 2, "observed": 0, "low": 0, "high": 0, "n": 1}]),
        ("base_value", 1e7),
        ("metrics", {"roc_auc": {"value": 1, "low": 2, "high": 1, "n": 1}}),
        ("metrics", {"roc_auc": {"value": 1, "low": 0, "high": 1, "n": 1.0}}),
        ("metrics", {str(n): {} for n in range(101)}),
    ],
)
def test_value_that_no_training_writes_is_refused(tmp_path, name, value):
    refusal(tmp_path, json.dumps(make_evaluation().to_json() | {name: value}).encode())


def test_part_that_no_training_writes_is_refused(tmp_path):
    for path, value in (
        (("importance", 0, "group"), "magic"),
        (("importance", 0, "mean_absolute_log_odds"), 0),
        (("importance", 0, "mean_absolute_log_odds"), 0.01),
        (("gate", "passed"), False),
        (("gate", "tests", 0, "passed"), 1),
        (("suspects", 0, "allowed"), None),
        (("folds", 0, "rows"), -1),
    ):
        stored = json.loads(json.dumps(make_evaluation().to_json()))
        part = stored
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value
        refusal(tmp_path, json.dumps(stored).encode())


def test_record_that_contradicts_itself_is_not_built():
    with pytest.raises(ValueError, match="contradict"):
        replace(make_evaluation(), rows=7)
    with pytest.raises(ValueError, match="contradicts"):
        replace(make_evaluation().gate, passed=False)
