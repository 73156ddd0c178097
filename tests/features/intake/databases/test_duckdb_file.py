"""DuckDB files: typed columns, no access to anything else, and the errors of unreadable files."""

import json
import struct
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from configs.addresses.sources import parse_source_address
from configs.errors import DataError
from features.intake.databases.query import read_query
from features.sources import read_sources
from pipelines.orchestration.guard import is_transient
from tests.features.company import LEAD, project

NAIVE = datetime(2024, 1, 1, 2)  # noqa: DTZ001
# Multiplier of DuckDB's checksum of a block, which is the exclusive or over its words.
CHECKSUM_FACTOR = 0xBF58476D1CE4E5B9


def make_file(folder, *statements):
    with duckdb.connect(folder / "t.duckdb") as connection:
        for statement in statements:
            connection.execute(statement)
    return folder / "t.duckdb"


def query(path, text="SELECT * FROM t", scratch=None):
    names, table = read_query(parse_source_address(f"duckdb:///{path}"), text, "leads", scratch)
    return dict(zip(names, table.columns, strict=True))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("1::TINYINT", pa.int8(), 1),
        ("18446744073709551615::UBIGINT", pa.uint64(), 2**64 - 1),
        ("170141183460469231731687303715884105727::HUGEINT", pa.string(), str(2**127 - 1)),
        ("0.1::FLOAT", pa.float32(), pytest.approx(0.1)),
        ("1.234::DECIMAL(9,3)", pa.decimal128(9, 3), Decimal("1.234")),
        ("TIMESTAMPTZ '2024-01-01 02:00+02'", None, datetime(2024, 1, 1, tzinfo=UTC)),
        ("TIMESTAMP '2024-01-01 02:00'", pa.timestamp("us"), NAIVE),
        ("'x'::ENUM('x', 'y')", pa.string(), "x"),
        ("'\\x00a'::BLOB", pa.string(), "0061"),
        ("'101'::BIT", pa.string(), "101"),
        ("TIME '10:00'", pa.string(), "10:00:00"),
        ("INTERVAL 3 DAY", pa.string(), "3 days"),
        ("[1, 2]", pa.string(), "[1, 2]"),
        ("'{\"a\":1}'::JSON", pa.string(), '{"a":1}'),
        ("NULL", None, None),
    ],
)
def test_value_of_any_type_is_read(tmp_path, value, kind, expected):
    path = make_file(tmp_path, f"CREATE TABLE t AS SELECT {value} AS x")
    column = query(path)["x"]
    assert kind is None or column.type == kind
    assert column.to_pylist() == [expected]


def test_repeated_names_are_numbered_as_in_csv(tmp_path):
    path = make_file(tmp_path, 'CREATE TABLE t AS SELECT 1 AS id, 2 AS "a b"')
    found = query(path, 'SELECT a.id, b.*, a."a b" FROM t a, t b -- all;\n;')
    assert list(found) == ["id", "id (2)", "a b", "a b (2)"]


def test_relative_address_is_read_as_a_source(tmp_path, monkeypatch):
    make_file(tmp_path, "CREATE TABLE t AS SELECT 7 AS id, TIMESTAMP '2024-01-01' AS born")
    monkeypatch.chdir(tmp_path)
    source = {"database": "duckdb:///t.duckdb", "query": "FROM t", **LEAD}
    assert read_sources(project(source)).leads["entity_id"].to_pylist() == ["7"]
    assert [each.name for each in tmp_path.iterdir()] == ["t.duckdb"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
        "SELECT * FROM sqlite_scan('{folder}/x.db', 't')",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM hidden",
        "SELECT 1) AS x; COPY t TO '{folder}/copy.csv'; SELECT * FROM (SELECT 1",
    ],
)
def test_query_reads_nothing_but_the_file(tmp_path, text):
    path = make_file(tmp_path, "CREATE TABLE t AS SELECT 1 AS id")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    hidden = pa.table({"a": [1]})  # DuckDB would find it by its name
    with pytest.raises(DataError, match="DuckDB query failed"):
        query(path, text.format(folder=tmp_path))
    assert hidden.num_rows == 1
    assert {each.name for each in tmp_path.iterdir()} == {"secret.csv", "t.duckdb"}


def test_result_larger_than_memory_is_sorted_and_kept_on_disk(tmp_path, monkeypatch):
    path = make_file(tmp_path, "CREATE TABLE t AS SELECT range AS a FROM range(300_000)")
    monkeypatch.setattr("features.tools.spill.get_max_bytes_in_memory", lambda: 1 << 20)
    found = query(path, "SELECT a FROM t ORDER BY -a", tmp_path / "scratch")["a"]
    assert found.to_pylist() == list(range(299_999, -1, -1))
    assert list((tmp_path / "scratch").iterdir()) == []


def break_file(path, how):
    data = bytearray(path.read_bytes())
    if how == "newer":
        (checksum, word) = struct.unpack_from("<QQ", data)
        struct.pack_into("<I", data, 12, 1000)
        (changed,) = struct.unpack_from("<Q", data, 8)
        for each in (word, changed):
            checksum ^= each * CHECKSUM_FACTOR % 2**64
        struct.pack_into("<Q", data, 0, checksum)
    elif how == "changed":
        data[12_300:12_400] = bytes(value ^ 255 for value in data[12_300:12_400])
    elif how == "cut":
        del data[len(data) // 2 :]
    else:
        data = bytearray(b"id,born\n1,2024-01-01\n" * 400 if how == "text" else b"")
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "fix"),
    [
        ("newer", "upgrade duckdb"),
        ("changed", "damaged"),
        ("cut", "copy it again"),
        ("text", "no DuckDB database"),
        ("empty", "no DuckDB database"),
    ],
)
def test_unreadable_file_is_refused_with_a_fix(tmp_path, how, fix):
    path = make_file(tmp_path, "CREATE TABLE t AS SELECT range AS a FROM range(100_000)")
    break_file(path, how)
    with pytest.raises(DataError) as caught:
        query(path)
    assert fix in caught.value.fix
    assert not is_transient(caught.value)


def test_file_that_another_process_writes_is_refused_and_retried(tmp_path):
    path = make_file(tmp_path, "CREATE TABLE t AS SELECT 1 AS a")
    code = (
        f"import duckdb\nc = duckdb.connect({json.dumps(str(path))})\nprint(1, flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        with pytest.raises(DataError) as caught:
            query(path)
        writer.communicate(b"\n")
    assert "close the program that writes to it" in caught.value.fix
    assert is_transient(caught.value)
    assert query(path)["a"].to_pylist() == [1]
