"""Typed columns against the same values as text: the same rules and results."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.errors import DataError
from features.intake.formats.texts import to_text
from features.intake.values import clean_column, infer_attribute, parse_instants, parse_numbers
from features.sources import read_sources
from tests.features.company import EVENT, FULL_EVENT, LEAD, at, csv_text, project, write

BERLIN = ZoneInfo("Europe/Berlin")
# Naive: times on the clock of Berlin.
AUTUMN, SPRING = datetime(2018, 10, 28, 2, 30), datetime(2018, 3, 25, 2, 30)  # noqa: DTZ001
NEW_YEAR, LONG_AGO = datetime(2018, 1, 1), datetime(1800, 1, 1)  # noqa: DTZ001


def column(values, kind):
    return pa.chunked_array([pa.array(values, kind)])


def text_of(value):
    """Write a value as a person writes it into a CSV file."""
    if value is None:
        return None
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def written(values):
    return pa.chunked_array([pa.array([text_of(value) for value in values], pa.string())])


def both(function, values, kind, *rest):
    """Apply a function to a typed column and to the same values as text."""
    found = (function(each, *rest) for each in (column(values, kind), written(values)))
    return [
        tuple(part.to_pylist() for part in (each if isinstance(each, tuple) else (each,)))
        for each in found
    ]


# ---- times ---------------------------------------------------------------------------------------

# A wide range would take long: the clock of a zone is looked up day by day.
walls = st.integers(1, 9990).flatmap(
    lambda year: st.lists(
        st.none() | st.datetimes(datetime(year, 1, 2), datetime(year + 8, 12, 30)),  # noqa: DTZ001
        min_size=1,
        max_size=30,
    )
)


@settings(max_examples=25)
@given(
    walls,
    st.sampled_from(["s", "ms", "us"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
)
def test_naive_timestamps_are_read_as_their_text(values, unit, zone):
    cut = {"s": 10**6, "ms": 10**3, "us": 1}[unit]
    values = [each and each.replace(microsecond=each.microsecond // cut * cut) for each in values]
    typed, text = both(parse_instants, values, pa.timestamp(unit), ZoneInfo(zone))
    assert typed == text


@settings(max_examples=25)
@given(walls, st.sampled_from(["UTC", "Europe/Berlin", "-03:00"]))
def test_zoned_timestamps_ignore_the_config_zone(values, zone):
    values = [each and each.replace(tzinfo=UTC) for each in values]
    found, problem = parse_instants(column(values, pa.timestamp("us", zone)), BERLIN)
    possible = [each if each and 1900 <= each.year < 2200 else None for each in values]
    assert found.to_pylist() == possible
    assert [each == "impossible time" for each in problem.to_pylist()] == [
        mine is not None and right is None for mine, right in zip(values, possible, strict=True)
    ]


@settings(max_examples=25)
@given(
    st.lists(st.none() | st.dates(), min_size=1, max_size=20),
    st.sampled_from([pa.date32(), pa.date64()]),
)
def test_dates_are_read_as_their_text(values, kind):
    near = [each for each in values if each is None or 1890 < each.year < 2210]
    for some in (near, [each for each in values if each not in near]):
        typed, text = both(parse_instants, some, kind, ZoneInfo("America/Sao_Paulo"))
        assert typed == text


def test_repeated_and_skipped_hours_are_read_as_in_text():
    typed, text = both(parse_instants, [AUTUMN, SPRING, None], pa.timestamp("us"), BERLIN)
    assert typed == text == ([at(2018, 10, 28, 0, 30), at(2018, 3, 25, 1, 30), None], [None] * 3)


def test_digits_beyond_microseconds_are_cut_off_before_1970_too():
    ends = [1_999, -1, -1_000, -1_001]
    found, _ = parse_instants(
        pa.chunked_array([pa.array(ends, pa.int64()).cast(pa.timestamp("ns"))]), ZoneInfo("UTC")
    )
    assert found.cast(pa.int64()).to_pylist() == [1, -1, -1, -2]
    text = ["1969-12-31 23:59:59.999999999", "1969-12-31 23:59:59.999998999"]
    assert parse_instants(written(text), ZoneInfo("UTC"))[0].cast(pa.int64()).to_pylist() == [
        -1,
        -2,
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_timestamps_out_of_range_are_impossible(unit, zone):
    ends = np.iinfo(np.int64)
    counts = pa.array([ends.min + 1, ends.max, None, 0], pa.int64())
    found, problem = parse_instants(
        pa.chunked_array([counts.cast(pa.timestamp(unit, zone))]), ZoneInfo("UTC")
    )
    assert found.to_pylist() == [None, None, None, at(1970, 1, 1)]
    assert problem.to_pylist() == ["impossible time", "impossible time", None, None]


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        (17, pa.int64(), "wrong type"),
        (1.5e9, pa.float64(), "wrong type"),
        (Decimal("1.50"), pa.decimal128(9, 2), "wrong type"),
        (float("inf"), pa.float64(), "unreadable time"),
        (True, pa.bool_(), "unreadable time"),
        (b"2018-01-01", pa.binary(), None),
        ("2018-01-01", pa.large_string(), None),
        ("2018-01-01", pa.dictionary(pa.int8(), pa.string()), None),
        (None, pa.null(), None),
    ],
)
def test_other_types_are_times_if_their_text_is(value, kind, problem):
    found, reason = parse_instants(clean_column(column([value], kind), ()), ZoneInfo("UTC"))
    assert reason.to_pylist() == [problem]
    assert found.to_pylist() == [at(2018, 1, 1) if problem is None and value else None]


# ---- numbers and texts ---------------------------------------------------------------------------

odd = st.sampled_from(
    [0.0, -0.0, 0.1, 1e22, 5e-324, float("inf"), float("-inf"), float("nan"), None]
)


@given(st.lists(odd | st.floats(), max_size=20))
def test_floats_are_the_numbers_of_their_text(values):
    number, problem = parse_numbers(clean_column(column(values, pa.float64()), ()))
    text = [None if value is None or value != value else value for value in values]
    expected, reasons = parse_numbers(written(text))
    assert number.equals(expected) and problem.equals(reasons)
    assert str(number.to_pylist()) == str(expected.to_pylist())  # one zero, not two


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_whole_numbers_keep_all_digits_as_ids_and_are_numbers_else(values):
    typed, text = both(parse_numbers, values, pa.int64())
    assert typed == text
    assert to_text(column(values, pa.int64())).to_pylist() == [text_of(value) for value in values]


def test_float32_means_its_shortest_decimal():
    assert parse_numbers(column([0.1, 3.0], pa.float32()))[0].to_pylist() == [0.1, 3.0]
    assert to_text(column([0.1, 12.0, None], pa.float32())).to_pylist() == ["0.1", "12", None]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 2**53 + 1], pa.int64(), [1.0, None, float(2**53)]),
        ([1.5, float("nan"), float("inf"), -0.0], pa.float64(), [1.5, None, None, 0.0]),
        ([True, None, False], pa.bool_(), [1.0, None, 0.0]),
        ([date(1970, 1, 3), None], pa.date32(), [2.0, None]),
        ([at(1970, 1, 1, 12), None], pa.timestamp("us", "Europe/Berlin"), [0.5, None]),
        (
            [datetime(1, 1, 1), datetime(9999, 12, 31)],  # noqa: DTZ001
            pa.timestamp("us"),
            [-719162.0, 2932896.0],
        ),
        ([Decimal("0.10"), None], pa.decimal128(9, 2), [0.1, None]),
        ([None, None], pa.timestamp("s"), [None, None]),
        ([None], pa.null(), [None]),
        (["007", None], pa.large_string(), ["007", None]),
        (["1", "2", None], pa.dictionary(pa.int32(), pa.string()), [1.0, 2.0, None]),
    ],
)
def test_attribute_of_any_type_equals_its_text(values, kind, expected):
    found = infer_attribute(clean_column(column(values, kind), ()))
    assert found.to_pylist() == expected
    if not pa.types.is_dictionary(kind):
        odd_text = [
            None if isinstance(value, float) and value != value else value for value in values
        ]
        assert infer_attribute(written(odd_text)).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "kind", "missing", "expected"),
    [
        ([0, -1, 1, None], pa.int64(), ("-1", "0.0", "x"), [0, None, 1, None]),
        ([0.0, -1.0, 0.5, float("nan")], pa.float64(), ("-1", "0.50"), [0.0, None, 0.5, None]),
        ([True, False], pa.bool_(), ("false",), [True, None]),
        (
            [date(1900, 1, 1), date(2018, 1, 1)],
            pa.date32(),
            ("1900-01-01",),
            [None, date(2018, 1, 1)],
        ),
        (
            ["", " ", "n/a", " n/a ", "x", None],
            pa.large_string(),
            ("n/a",),
            [None] * 4 + ["x", None],
        ),
        (
            ["", "n/a", "x", "x"],
            pa.dictionary(pa.int8(), pa.string()),
            ("n/a",),
            [None, None, "x", "x"],
        ),
    ],
)
def test_missing_markers_match_typed_values(values, kind, missing, expected):
    found = clean_column(column(values, kind), missing)
    assert found.to_pylist() == expected
    assert found.null_count == expected.count(None)


# ---- whole sources -------------------------------------------------------------------------------

KINDS = {
    "lead": pa.int64(),
    "at": pa.timestamp("us"),
    "what": pa.dictionary(pa.int32(), pa.string()),
    "known": pa.timestamp("ms", "America/New_York"),
    "via": pa.large_string(),
    "amount": pa.float64(),
    "unused": pa.list_(pa.int64()),
}
event_rows = st.lists(
    st.fixed_dictionaries(
        {
            "lead": st.sampled_from([7, 8, -1, None]),
            "at": st.sampled_from([AUTUMN, NEW_YEAR, LONG_AGO, None]),
            "what": st.sampled_from(["won", "call", "", None]),
            "known": st.sampled_from([at(2018, 11, 1), at(2017, 1, 1), at(2300, 1, 1), None]),
            "via": st.sampled_from(["phone", "", None]),
            "amount": st.sampled_from([0.0, -0.0, 12.0, float("inf"), float("nan"), None]),
        }
    ),
    min_size=1,
    max_size=10,
)


def plainly(row):
    """Return a row as in CSV and JSON: a missing value and NaN are the empty text."""
    values = {key: None if value != value else value for key, value in row.items()}
    return {key: "" if value is None else text_of(value) for key, value in values.items()}


@settings(max_examples=15)
@given(event_rows)
def test_events_are_equal_in_all_formats(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("x")
    schema = pa.schema(KINDS.items())
    parquet.write_table(pa.Table.from_pylist(rows, schema), folder / "e.parquet", row_group_size=3)
    write(folder / "e.csv", csv_text([plainly(row) for row in rows]))
    write(folder / "e.jsonl", "\n".join(json.dumps(plainly(row)) for row in rows))
    found = [
        read_sources(
            project(
                events=[{"path": str(folder / name), **FULL_EVENT}],
                zone="Europe/Berlin",
                max_quarantine=1,
            )
        )
        for name in ("e.parquet", "e.csv", "e.jsonl")
    ]
    for other in found[1:]:
        assert other.counts == found[0].counts
        assert other.events.equals(found[0].events) and other.leads.equals(found[0].leads)
        assert other.fingerprint == found[0].fingerprint


def test_parquet_row_is_quarantined_as_it_was(tmp_path):
    rows = [
        {"lead": 7, "at": NEW_YEAR, "what": "won", "amount": 12.0, "unused": [1, 2]},
        {
            "lead": 7,
            "at": LONG_AGO,
            "what": "won",
            "amount": float("nan"),
            "unused": None,
        },
        {"lead": 7, "at": NEW_YEAR, "what": "won", "amount": 12.0, "unused": [3]},
    ]
    parquet.write_table(
        pa.Table.from_pylist(rows, pa.schema(KINDS.items())),
        tmp_path / "e.parquet",
        row_group_size=1,
    )
    read_sources(
        project(events=[{"path": str(tmp_path / "e.parquet"), **EVENT}], max_quarantine=1),
        tmp_path / "q",
    )
    lines = (tmp_path / "q" / "events_1.csv").read_text(encoding="utf-8").splitlines()
    first, second = (
        json.loads(line.split(",", 4)[4][1:-1].replace('""', '"')) for line in lines[1:]
    )
    assert (first["at"], first["amount"], first["unused"]) == ("1800-01-01 00:00:00", None, None)
    assert (second["lead"], second["amount"], second["unused"]) == ("7", "12", "[3]")
    assert [line.split(",")[2:4] for line in lines[1:]] == [
        ["2", '"impossible time"'],
        ["3", '"duplicate"'],
    ]


def test_folder_may_mix_column_types(tmp_path):
    for name, ids in (
        ("a", pa.array([7, 8])),
        ("b", pa.array(["007", "9"])),
        ("c", pa.array([10.0, 0.5])),
    ):
        born = pa.array([at(2018, 1, 1)] * 2)
        parquet.write_table(
            pa.table({"id": ids, "born": born, "size": ids}), tmp_path / f"{name}.parquet"
        )
    found = read_sources(project({"path": str(tmp_path), **LEAD, "attributes": ["size"]}))
    assert found.leads["entity_id"].to_pylist() == ["0.5", "007", "10", "7", "8", "9"]
    assert found.leads["size"].to_pylist() == found.leads["entity_id"].to_pylist()


def test_invalid_utf8_in_parquet_raises(tmp_path):
    odd_text = _unchecked(b"\xff")
    table = pa.table({"id": odd_text, "born": pa.array([at(2018, 1, 1)])})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot read the file"):
        read_sources(project({"path": str(tmp_path / "x.parquet"), **LEAD}))


def _unchecked(data):
    ends = pa.py_buffer(np.array([0, len(data)], np.int32))
    return pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)])


def test_duplicate_lead_choice_is_independent_of_format(tmp_path):
    rows = [{"id": 1, "born": "2018-01-01", "size": 12}, {"id": 1, "born": "2018-01-01", "size": 3}]
    write(tmp_path / "l.csv", csv_text(rows))
    table = pa.table({"id": [1, 1], "born": [date(2018, 1, 1)] * 2, "size": [3, 12]})
    parquet.write_table(table, tmp_path / "l.parquet")
    found = [
        read_sources(
            project(
                {"path": str(tmp_path / name), **LEAD, "attributes": ["size"]}, max_quarantine=1
            )
        )
        for name in ("l.csv", "l.parquet")
    ]
    assert [each.leads["size"].to_pylist() for each in found] == [[12.0], [12.0]]
    assert found[0].fingerprint == found[1].fingerprint


def test_dotted_and_repeated_column_names_are_read(tmp_path):
    table = pa.table(
        [pa.array([1]), pa.array([at(2018, 1, 1)]), pa.array(["x"]), pa.array(["y"])],
        ["a.b", "born", "c", "c"],
    )
    parquet.write_table(table, tmp_path / "x.parquet")
    lead = {
        "path": str(tmp_path / "x.parquet"),
        "entity_id": "a.b",
        "created_at": "born",
        "attributes": ["c (2)"],
    }
    assert read_sources(project(lead)).leads.to_pylist()[0]["c (2)"] == "y"
    event = {
        "path": str(tmp_path / "x.parquet"),
        "entity_id": "a.b",
        "event_time": "born",
        "event_type": "c (2)",
    }
    assert read_sources(project(events=[event])).events["event_type"].to_pylist() == ["y"]
