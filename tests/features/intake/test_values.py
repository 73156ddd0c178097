"""Values of text, against datetime, zoneinfo and float."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.intake.values import clean_column, infer_attribute, parse_instants, parse_numbers

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"]
BASE = datetime(1970, 1, 1, tzinfo=UTC)


def texts(*values):
    return pa.chunked_array([pa.array(values, pa.string())])


def read_times(values, zone="UTC"):
    found, problem = parse_instants(texts(*values), ZoneInfo(zone))
    return list(zip(found.to_pylist(), problem.to_pylist(), strict=True))


# All moments of one example lie within some years: the clock of a zone is looked up day by day.
moments = st.integers(1900, 2194).flatmap(
    lambda year: st.lists(
        st.datetimes(datetime(year, 1, 2), datetime(year + 5, 12, 30)),  # noqa: DTZ001
        min_size=1,
        max_size=60,
    )
)


@settings(max_examples=20)
@given(moments, st.sampled_from(ZONES), st.sampled_from(["T", " "]))
def test_naive_times_equal_zoneinfo(walls, zone, sign):
    found = read_times([wall.isoformat(sign) for wall in walls], zone)
    # A text does not say which of two equal hours it means: the earlier one.
    first = [wall.replace(tzinfo=ZoneInfo(zone), fold=0) for wall in walls]
    assert found == [(wall.astimezone(UTC), None) for wall in first]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_hours_around_clock_transitions(zone):
    """Check every half hour of 2018 and 2050, including skipped and repeated hours."""
    starts = (datetime(2018, 1, 1), datetime(2050, 1, 1))  # noqa: DTZ001
    walls = [
        start + timedelta(minutes=30 * step) for start in starts for step in range(2 * 24 * 365)
    ]
    found = read_times([wall.isoformat() for wall in walls], zone)
    assert found == [(wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), None) for wall in walls]


@settings(max_examples=20)
@given(moments, st.data())
def test_offsets_take_precedence_over_the_zone(walls, data):
    rows = [(wall, data.draw(st.integers(-15 * 60 - 59, 15 * 60 + 59))) for wall in walls]
    written = []
    for wall, minutes in rows:
        sign, size = "-" if minutes < 0 else "+", abs(minutes)
        written.append(f"{wall.isoformat()}{sign}{size // 60:02}:{size % 60:02}")
    found = read_times(written, "Asia/Kathmandu")
    expected = [wall.replace(tzinfo=UTC) - timedelta(minutes=minutes) for wall, minutes in rows]
    assert found == [(each, None) for each in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-03-25T02:30", (datetime(2018, 3, 25, 1, 30, tzinfo=UTC), None)),  # jumped over
        (
            "2018-10-28 02:30",
            (datetime(2018, 10, 28, 0, 30, tzinfo=UTC), None),
        ),  # comes twice: the earlier
        ("2018-07-01", (datetime(2018, 6, 30, 22, tzinfo=UTC), None)),
        (
            " 2018-07-01T00:00:00.1234569Z ",
            (datetime(2018, 7, 1, 0, 0, 0, 123456, tzinfo=UTC), None),
        ),
        ("2018-07-01 00:00:00 UTC", (datetime(2018, 7, 1, tzinfo=UTC), None)),
        ("2018-07-01 00:00:00+0530", (datetime(2018, 6, 30, 18, 30, tzinfo=UTC), None)),
        ("2018-07-01 00:00:00-03", (datetime(2018, 7, 1, 3, tzinfo=UTC), None)),
        (None, (None, None)),
        ("1530403200", (None, "wrong type")),
        ("1530403200.5", (None, "wrong type")),
        ("01/07/2018", (None, "unreadable time")),
        ("2018-02-30", (None, "unreadable time")),
        ("2018-07-01T24:00", (None, "unreadable time")),
        ("2018-07-01T10:00:60", (None, "unreadable time")),
        ("2018-07-01 10:00 Europe/Berlin", (None, "unreadable time")),
        ("1899-12-31", (None, "impossible time")),
        ("2200-01-01", (None, "impossible time")),
        ("0000-01-01", (None, "impossible time")),
        ("9999-12-31T23:59:59", (None, "impossible time")),
    ],
)
def test_times_in_single_cases(text, expected):
    assert read_times([text, "2018-01-01"], "Europe/Berlin")[0] == expected


def test_column_may_mix_offsets():
    found = read_times(
        ["2018-07-01 12:00", "2018-07-01T12:00Z", "2018-07-01T12:00+09:00"], "Europe/Berlin"
    )
    assert [(each - BASE).total_seconds() % 86400 / 3600 for each, _ in found] == [10, 12, 3]


@settings(max_examples=20)
@given(st.lists(st.floats() | st.integers(-(10**20), 10**20), max_size=60))
def test_numbers_equal_python_floats(values):
    found, problem = parse_numbers(texts(*map(str, values)))
    finite = [abs(float(value)) < float("inf") for value in values]
    assert [each is None for each in problem.to_pylist()] == finite
    expected = [float(value) if ok else None for value, ok in zip(values, finite, strict=True)]
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    "text", ["x", "1_000", "1,5", "0x10", "NaN", "inf", "-Infinity", "1e999", "1 2", "--1"]
)
def test_nonfinite_numbers_have_the_wrong_type(text):
    found, problem = parse_numbers(texts(text, None, " 2 "))
    assert (found.to_pylist(), problem.to_pylist()) == (
        [None, None, 2.0],
        ["wrong type", None, None],
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["1", "2.5", None, "-1e3"], [1.0, 2.5, None, -1000.0]),
        (["1", "NaN", "inf"], [1.0, None, None]),
        (["007", "12"], ["007", "12"]),
        (["0", "0.5"], [0.0, 0.5]),
        (["true", "FALSE", None], [1.0, 0.0, None]),
        (["true", "1"], ["true", "1"]),
        (["1970-01-02", "1970-01-01T12:00", "1970-01-01T00:00-06:00"], [1.0, 0.5, 0.25]),
        (["1970-01-02", "soon"], ["1970-01-02", "soon"]),
        ([None, None], [None, None]),
        (["Ж", "🙂"], ["Ж", "🙂"]),
        ([], []),
    ],
)
def test_attribute_has_the_kind_common_to_its_texts(column, expected):
    for order in (column, column[::-1]):
        found = infer_attribute(texts(*order))
        assert found.to_pylist() == (expected if order is column else expected[::-1])
        assert str(found.type) == (
            "string" if any(isinstance(each, str) for each in expected) else "double"
        )


def test_missing_markers_become_null():
    found = clean_column(texts("", "  ", " n/a ", "Select", " x ", None), ("n/a", "Select"))
    assert found.to_pylist() == [None, None, None, None, "x", None]
