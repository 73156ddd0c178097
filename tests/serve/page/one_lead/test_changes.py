"""What changed since the last night follows from the reasons of both nights."""

import json
from zoneinfo import ZoneInfo

import pytest

from serve.page.content.words import PageWords
from serve.page.one_lead.changes import list_changes
from tests.serve.samples import MONDAY, TUESDAY

WORDS = PageWords.load("en", ZoneInfo("UTC"))


def make_row(as_of, reasons, score=50, version="7", probability=0.25):
    reasons = [
        {"feature": feature, "contribution": contribution, "sentence": sentence}
        for feature, contribution, sentence in reasons
    ]
    return {
        "as_of": as_of,
        "score": score,
        "probability": probability,
        "model_version": version,
        "reasons": json.dumps(reasons),
    }


def compare(before, now, **keys):
    rows = make_row(MONDAY, before), make_row(TUESDAY, now, **keys)
    return list_changes(WORDS, *rows)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (("f", 0.5, "3 visits"), ("f", 0.5, "3 visits"), "The reasons are the same as then."),
        # A day more is another sentence, and no cause.
        (("f", 0.5, "2 days ago"), ("f", 0.52, "3 days ago"), "The reasons are the same as then."),
        (("f", 0.5, "3 visits"), ("f", 0.9, "5 visits"), "▲ Before: 3 visits. Now: 5 visits."),
        (("f", 0.5, "A"), ("f", 0.9, "A"), "Weighs more than before: ▲ A"),
        (("f", -0.9, "A"), ("f", -0.5, "A"), "Weighs less than before: ▼ A"),
    ],
)
def test_reasons_are_compared_by_feature(before, now, expected):
    assert compare([before], [now])[2:] == [expected]


def test_new_reasons_precede_those_that_are_gone():
    lines = compare([("f", 0.5, "old"), ("g", -0.5, "bad")], [("h", 0.4, "new")])
    assert lines[2:] == [
        "New reason: ▲ new",
        "No longer among the reasons: ▲ old",
        "No longer among the reasons: ▼ bad",
    ]


def test_score_and_model_are_told():
    same, moved = compare([], []), compare([], [], score=72, version="8", probability=0.5)
    assert same[0] == "The score is 50, as on 2025-07-07 (probability 25.0% to 25.0%)."
    assert "version 7" in same[1]
    assert moved[0] == (
        "The score went from 50 to 72 since 2025-07-07 (probability 25.0% to 50.0%)."
    )
    assert "version 8 instead of 7" in moved[1]


def test_braces_in_a_sentence_stay_as_they_are():
    assert compare([], [("f", 0.5, "{name} {0}")])[2] == "New reason: ▲ {name} {0}"
