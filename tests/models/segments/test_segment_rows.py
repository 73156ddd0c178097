"""Rows of the table of segments: every mature row is counted once."""

from typing import get_args

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import Estimate
from models.evaluation.segment_kinds import SegmentModel, SegmentReason
from models.segments.choice import SegmentDecision
from models.segments.members import SegmentMembers
from models.segments.segment_rows import (
    MAX_LISTED,
    MODEL_WORDS,
    WHY,
    SegmentLabels,
    list_segment_rows,
)

GAIN = Estimate(0.02, 0.01, 0.03, 50)


def read_labels(values, validation):
    label = np.array([(-1, 0, 1)[i % 3] for i in range(len(values))])
    column = pa.chunked_array([pa.array(values, pa.string())])
    members = SegmentMembers.from_column(column, np.flatnonzero(label >= 0))
    return SegmentLabels(members, label, validation)


def test_rows_partition_the_mature_rows():
    values = [f"v{i % 61:02}" if i % 7 else None for i in range(3_000)]
    mature = np.flatnonzero(np.arange(3_000) % 3 > 0)
    labels = read_labels(values, mature[-500:])
    decisions = {"v01": SegmentDecision("own", "better", "own", GAIN)}
    rows = list_segment_rows(labels, decisions, {"v01": GAIN})
    assert sum(row.size.n for row in rows) == len(mature)
    assert sum(row.size.n_pos for row in rows) == 1_000
    assert sum(row.size.n_validation for row in rows) == 500
    assert len(rows) == MAX_LISTED + 3
    assert [row.reason for row in rows[-3:]] == ["rare", "no_value", "unseen"]
    own = next(row for row in rows if row.segment == "v01")
    assert (own.model, own.gain, own.test_gain) == ("own", GAIN, GAIN)
    assert {row.reason for row in rows[:-3] if row.segment != "v01"} == {"too_few"}


def test_row_as_json_has_no_number_where_none_was_compared():
    labels = read_labels(["a", "b"] * 30, np.empty(0, np.int64))
    rows = list_segment_rows(labels, {"a": SegmentDecision("global", "too_few")}, {})
    assert [row.reason for row in rows] == ["no_window", "too_few", "unseen"]
    values = rows[0].to_json()
    assert values["gain"] is values["gain_low"] is values["test_gain"] is values["alternative"]
    assert values["alternative"] is None
    assert (values["segment"], values["model"], values["n"]) == ("a", "global", 20)


def test_models_and_reasons_have_words():
    assert set(MODEL_WORDS) == set(get_args(SegmentModel))
    assert set(WHY) == set(get_args(SegmentReason))
