"""Ids: the same text for the same id in every format and type, without blanks around it."""

import json
import sqlite3
from decimal import Decimal

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.names import BLANKS
from configs.source_rows import LeadRows
from features.intake.formats.texts import to_text
from features.intake.ids import read_ids
from features.intake.reading import RawRows
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, csv_text, project, write

# Exact as a float, so that every type can hold them.
WHOLE = [0, 7, 1_000_000, 123_456_789_012, 2**53, 10**15, 10**17]
BORN = "2024-01-01"


def raw_ids(values, kind):
    table = {"c0": pa.chunked_array([pa.array(values, kind)])}
    return RawRows(("id",), pa.table(table), "l.csv")


def ids_of(source, **more):
    found = read_sources(project({**source, **LEAD, **more}))
    return set(found.leads["entity_id"].to_pylist())


def write_parquet(folder, ids):
    table = pa.table({"id": ids, "born": pa.repeat(BORN, len(ids))})
    parquet.write_table(table, folder / "x.parquet")
    return {"path": str(folder / "x.parquet")}


def write_sqlite(folder, kind, values):
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute(f"CREATE TABLE t (id {kind}, born text)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(each, BORN) for each in values])
    connection.close()
    return {"database": f"sqlite:///{folder / 'x.db'}", "query": "SELECT * FROM t"}


def write_jsonl(folder, numbers):
    lines = "\n".join(f'{{"id": {number}, "born": "{BORN}"}}' for number in numbers)
    return {"path": write(folder / "x.jsonl", lines)}


@pytest.mark.parametrize(
    "kind",
    [
        pa.int64(),
        pa.float64(),
        pa.decimal128(20),
        pa.decimal128(22, 2),
        pa.decimal256(40, 3),
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.int64()),
    ],
    ids=str,
)
def test_parquet_of_any_type_gives_plain_digits(tmp_path, kind):
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = inner in (pa.string(), pa.large_string())
    change = str if is_text else {pa.int64(): int, pa.float64(): float}.get(inner, Decimal)
    ids = pa.array([change(number) for number in WHOLE], inner)
    ids = ids.dictionary_encode() if pa.types.is_dictionary(kind) else ids
    assert ids_of(write_parquet(tmp_path, ids)) == set(map(str, WHOLE))


def test_text_formats_give_plain_digits(tmp_path):
    wanted = set(map(str, WHOLE))
    lead = [{"id": number, "born": BORN} for number in WHOLE]
    assert ids_of({"path": write(tmp_path / "x.csv", csv_text(lead))}) == wanted
    for form in ("{}", "{}.0", "{:.18E}"):
        numbers = [form.format(number) for number in WHOLE]
        assert ids_of(write_jsonl(tmp_path, numbers)) == wanted
    assert ids_of(write_jsonl(tmp_path, ["1e17", "1E+3", "1e22"])) == {
        "1" + "0" * 17,
        "1000",
        "1" + "0" * 22,
    }


@pytest.mark.parametrize("kind", ["INTEGER", "REAL", "TEXT"])
def test_sqlite_gives_plain_digits(tmp_path, kind):
    change = {"INTEGER": int, "REAL": float, "TEXT": str}[kind]
    source = write_sqlite(tmp_path, kind, map(change, WHOLE))
    assert ids_of(source) == set(map(str, WHOLE))


def test_sqlite_writes_large_and_fractional_numbers_as_the_others_do(tmp_path):
    source = write_sqlite(tmp_path, "REAL", [1e22, 0.1, 2.5, 0.1 + 0.2])
    assert ids_of(source) == {"1" + "0" * 22, "0.1", "2.5", "0.30000000000000004"}


@pytest.mark.server
def test_postgresql_gives_plain_digits(postgresql_url):
    kinds = ("bigint", "float8", "numeric", "numeric(22, 2)", "text")
    queries = [
        f"SELECT CAST(x AS {kind}) AS id, '{BORN}' AS born FROM (VALUES "
        + ", ".join(f"('{number}')" for number in WHOLE)
        + ") AS v(x)"
        for kind in kinds
    ]
    with adbc_driver_postgresql.dbapi.connect(postgresql_url):
        for query in queries:
            assert ids_of({"database": postgresql_url, "query": query}) == set(map(str, WHOLE))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.integers(-(10**300), 10**300) | st.integers(-(2**64), 2**64), min_size=1).map(
        lambda numbers: [float(number) for number in numbers]
    )
)
def test_whole_floats_are_written_in_plain_digits(values):
    found = to_text(pa.chunked_array([pa.array(values, pa.float64())])).to_pylist()
    assert found == [str(int(value)) for value in values]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.lists(
        st.none() | st.text(st.sampled_from([*"aЖ0. -", "\u00a0", "\u3000", "\ufeff", "\t"])),
        max_size=6,
    )
)
def test_blanks_around_ids_are_trimmed(values):
    wanted = [None if value is None else value.strip(BLANKS) or None for value in values]
    assert (
        read_ids(raw_ids(values, pa.string()), "id", LeadRows(path="l.csv")).to_pylist() == wanted
    )


def test_trimmed_id_may_be_a_missing_one():
    raw = raw_ids(["\u200b", " - ", "\ufeffx"], pa.string())
    assert read_ids(raw, "id", LeadRows(path="l.csv", missing=["-", "x"])).to_pylist() == [
        None,
        None,
        None,
    ]


def test_ids_meet_in_leads_events_histories_and_lists(tmp_path):
    leads = {"path": write(tmp_path / "l.csv", f"id,born\nA1\u00a0,{BORN}\n B2,{BORN}\n"), **LEAD}
    events = {"path": write(tmp_path / "e.csv", f"lead,at,what\n\tA1,{BORN},x\nB2 ,{BORN},x\n")}
    values = {"path": write(tmp_path / "v.csv", f"lead,at,size\n\u3000A1,{BORN},3\n")}
    history = {"entity_id": "lead", "valid_from": "at", "columns": ["size"]}
    found = read_sources(project(leads, [{**events, **EVENT}], attributes=[{**values, **history}]))
    assert found.leads["entity_id"].to_pylist() == ["A1", "B2"]
    assert sorted(found.events["entity_id"].to_pylist()) == ["A1", "B2"]
    assert found.values["entity_id"].to_pylist() == ["A1"]


def test_case_and_zeros_stay_significant(tmp_path):
    text = json.dumps({"id": "007", "born": BORN}) + "\n" + json.dumps({"id": 7, "born": BORN})
    text += "\n" + json.dumps({"id": "aB", "born": BORN}) + json.dumps({"id": "x", "born": BORN})
    text = text.replace("}{", "}\n{") + "\n" + json.dumps({"id": "ab", "born": BORN})
    assert ids_of({"path": write(tmp_path / "x.jsonl", text)}) == {"007", "7", "aB", "ab", "x"}


NUMBER_TYPES = (
    pa.int64(),
    pa.float64(),
    pa.decimal128(38, 2),
    pa.dictionary(pa.int32(), pa.int64()),
)
TEXT_TYPES = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.dictionary(pa.int32(), pa.string()),
)


@settings(max_examples=2, deadline=None)
@given(st.sets(st.integers(-(2**53), 2**53), min_size=1, max_size=6))
def test_whole_numbers_are_one_text_in_every_format(tmp_path_factory, numbers):
    folder, wanted = tmp_path_factory.mktemp("ids"), {str(number) for number in numbers}
    for kind in NUMBER_TYPES:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        change = Decimal if pa.types.is_decimal(inner) else int
        ids = pa.array([change(number) for number in numbers], inner)
        ids = ids.dictionary_encode() if inner != kind else ids
        assert ids_of(write_parquet(folder, ids)) == wanted
    lead = [{"id": number, "born": BORN} for number in numbers]
    assert ids_of({"path": write(folder / "x.csv", csv_text(lead))}) == wanted
    assert ids_of(write_jsonl(folder, numbers)) == wanted
    for kind, change in (("INTEGER", int), ("REAL", float), ("TEXT", str)):
        (folder / "x.db").unlink(missing_ok=True)
        assert ids_of(write_sqlite(folder, kind, map(change, numbers))) == wanted


@settings(max_examples=2, deadline=None)
@given(
    st.sets(st.text("aB07-_ é\u0416{}+.", min_size=1, max_size=20), min_size=1, max_size=6),
)
def test_texts_are_one_text_in_every_format(tmp_path_factory, texts):
    folder, wanted = tmp_path_factory.mktemp("ids"), {t.strip(BLANKS) for t in texts} - {""}
    if not wanted:
        return
    ids = sorted(wanted)
    for kind in TEXT_TYPES:
        values = pa.array(ids, pa.string())
        column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
        assert ids_of(write_parquet(folder, column)) == wanted
    lead = [{"id": text, "born": BORN} for text in ids]
    assert ids_of({"path": write(folder / "x.csv", csv_text(lead))}) == wanted
    assert ids_of(write_jsonl(folder, map(json.dumps, ids))) == wanted
    assert ids_of(write_sqlite(folder, "TEXT", ids)) == wanted


def test_bytes_that_are_no_text_are_escaped_alone(tmp_path):
    ids = pa.array(["é".encode(), b"\xff1"], pa.binary())
    assert ids_of(write_parquet(tmp_path, ids)) == {"é", "\\xFF1"}
