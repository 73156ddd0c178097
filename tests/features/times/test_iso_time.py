"""Times in text against the grammar, written as a pattern, and Python's calendar."""

import re
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.times.iso_time import NAIVE, UNREADABLE, ZONED, parse_times
from features.tools.id_index import get_text_buffers

GRAMMAR = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]+))?)?)?"
    r" ?(Z|z|UTC|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(*texts):
    data, ends = get_text_buffers(pa.array(texts, pa.string()))
    kind, wall, offset = (
        np.empty(len(texts), np.int8),
        np.empty(len(texts), np.int64),
        np.empty(len(texts), np.int64),
    )
    parse_times(data, ends, kind, wall, offset)
    return list(zip(kind.tolist(), wall.tolist(), offset.tolist(), strict=True))


def expected(text):
    found = GRAMMAR.fullmatch(text)
    if not found:
        return UNREADABLE, 0, 0
    *parts, fraction, zone = found.groups()
    year, *rest = (int(part or 0) for part in parts)
    try:
        # All periods of 400 years have the same number of days; Python's calendar has no year 0.
        moment = datetime(year or 400, *rest, tzinfo=UTC)
    except ValueError:
        return UNREADABLE, 0, 0
    wall = (moment - EPOCH).days * 86_400_000_000 + (moment - EPOCH).seconds * 1_000_000
    wall += int(((fraction or "") + "000000")[:6]) - (0 if year else 146_097 * 86_400_000_000)
    if zone is None:
        return NAIVE, wall, 0
    digits = re.sub(r"\D", "", zone).ljust(4, "0")
    size = 60 * (60 * int(digits[:2]) + int(digits[2:])) * 1_000_000
    return ZONED, wall, -size if zone[0] == "-" else size


near = st.from_regex(GRAMMAR, fullmatch=True)


@st.composite
def spoilt(draw):
    """Draw a text that is almost a time: one character replaced, repeated or removed."""
    text = draw(near)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(["", *"09:-+ TZ.Uж"])) + text[at + 1 :]


@settings(max_examples=400)
@given(near | spoilt() | st.text("0123456789-:. TZ+", max_size=30))
@example("0000-02-29")
@example("1900-02-29T00:00")
@example("2000-02-29 23:59:59.9999999+15:59")
@example("2018-07-01 +05:30")
@example("2018-07-01-03")
@example("2018-07-01T10:00:60")
@example("2018-07-01T10:00.5")
@example("2018-07-01T10:00:00.")
@example("2018-07-01T10:00 UT")
@example("2018-07-01T10:00+16")
@example("2018-07-01T10:00+0")
@example("2018-07-01T1")
def test_text_is_a_time_by_grammar_and_calendar(text):
    text = text.strip()
    # Beside others, so that nothing is read beyond a text's end.
    assert parsed("2018-07-01T10:00", text, ":00+01:00")[1] == expected(text)


@pytest.mark.parametrize("year", [0, 1, 1899, 1900, 1972, 2000, 2100, 9999])
def test_dates_of_a_whole_year_are_parsed(year):
    texts = [f"{year:04}-{month:02}-{day:02}" for month in range(14) for day in range(33)]
    assert parsed(*texts) == [expected(text) for text in texts]
