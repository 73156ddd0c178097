"""Spelling suggestions of error messages."""

import pytest

from configs.suggestions import did_you_mean, nearest_name


@pytest.mark.parametrize(
    ("value", "known", "expected"),
    [
        ("clsoe", ["close", "renew"], "did you mean close?"),
        ("clsoe", ("renew", "close"), "did you mean close?"),
        ("xyz", ["close"], ""),
        ("close", [], ""),
    ],
)
def test_suggestion_names_nearest_or_nothing(value, known, expected):
    assert did_you_mean(value, known) == expected
    assert did_you_mean(value, iter(known)) == expected


def test_suggestion_respects_minimum_similarity():
    assert nearest_name("ab", ["abcd"], min_similarity=0.6) == "abcd"
    assert nearest_name("ab", ["abcd"], min_similarity=0.7) is None
