"""The ends of an interval are written as per cent, and never as impossible or certain."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve.page.content.words import PageWords
from serve.page.one_lead.figures import write_end

WORDS = PageWords.load("en", ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.047, "4.7%"),
        (0.0001, "0.01%"),
        (0.0006, "0.06%"),
        (0.001, "0.1%"),
        (0.999, "99.9%"),
        (0.9996, "99.96%"),
        (0.0, "0%"),
        (1.0, "100%"),
        (1e-12, "0.0001%"),
    ],
)
def test_end_has_the_decimals_that_it_needs(share, expected):
    assert write_end(WORDS, share) == expected


@given(st.floats(0, 1))
@example(0.9999995)
@example(1 - 1e-6)
def test_end_is_the_share_and_never_certain_unless_it_is(share):
    percent = float(write_end(WORDS, share).removesuffix("%"))
    assert abs(percent - 100 * share) <= 0.05 + 1e-9
    assert (percent == 0) == (share == 0)
    assert (percent == 100) == (share == 1)
