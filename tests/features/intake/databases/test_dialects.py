"""MySQL and MariaDB on a real server; what other dialects give, as their drivers do."""

import datetime as dt
import importlib
from decimal import Decimal

import pyarrow as pa
import pytest

from configs.addresses.sources import parse_source_address
from configs.errors import ConfigError, DataError
from features.intake.databases import result as results
from features.intake.databases.dialects import make_url, write_value
from features.intake.databases.query import read_query
from features.sources import read_sources
from pipelines.orchestration.guard import is_transient
from tests.features.company import EVENT, LEAD, project


def query(url, text, scratch=None):
    names, table = read_query(parse_source_address(url), text, "leads", scratch)
    return dict(zip(names, table.columns, strict=True))


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "value", "arrow", "expected"),
    [
        ("TINYINT(1)", "1", pa.int64(), 1),
        ("BIGINT UNSIGNED", "18446744073709551615", pa.uint64(), 2**64 - 1),
        ("BIGINT", "-9223372036854775808", pa.int64(), -(2**63)),
        ("INT(5) ZEROFILL", "42", pa.uint64(), 42),
        ("YEAR", "2024", pa.uint64(), 2024),
        ("DECIMAL(20,3)", "12345678901234567.123", None, Decimal("12345678901234567.123")),
        ("DECIMAL(65,30)", f"{'9' * 35}.{'9' * 30}", None, Decimal(f"{'9' * 35}.{'9' * 30}")),
        ("DOUBLE", "0.30000000000000004", pa.float64(), 0.1 + 0.2),
        ("DOUBLE", "1e17", pa.float64(), 1e17),
        ("FLOAT", "0.1", pa.float32(), pytest.approx(0.1)),
        ("BIT(9)", "b'100000001'", pa.uint64(), 257),
        ("DATETIME(6)", "'2024-01-02 03:04:05.678'", pa.string(), "2024-01-02 03:04:05.678000"),
        ("DATE", "'2024-01-02'", pa.string(), "2024-01-02"),
        ("DATE", "'0000-00-00'", pa.string(), "0000-00-00"),
        ("DATETIME", "'0000-00-00'", pa.string(), "0000-00-00 00:00:00"),
        ("TIMESTAMP", "'0000-00-00'", pa.string(), "0000-00-00 00:00:00+00:00"),
        # The session that writes is five hours ahead.
        ("TIMESTAMP", "'2024-01-02 03:00'", pa.string(), "2024-01-01 22:00:00+00:00"),
        ("TIME", "'10:00'", pa.string(), "10:00:00"),
        ("VARCHAR(9)", "'🙂é'", pa.string(), "🙂é"),
        ("VARCHAR(9) CHARACTER SET latin1", "'é'", pa.string(), "é"),
        ("VARCHAR(9) COLLATE utf8mb4_bin", "'é'", pa.string(), "é"),
        ("JSON", '\'{"a": "🙂"}\'', pa.string(), '{"a": "🙂"}'),
        ("ENUM('x', 'y')", "'y'", pa.string(), "y"),
        ("VARBINARY(9)", "x'00ff'", pa.string(), "00FF"),
        ("BLOB", "'ab'", pa.string(), "6162"),
    ],
)
def test_value_of_any_type_is_read(mariadb_server, kind, value, arrow, expected):
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(f"CREATE OR REPLACE TABLE typed (x {kind} NULL)")
        cursor.execute(f"INSERT INTO typed VALUES ({value}), (NULL)")
    column = query(mariadb_server.url, "SELECT x FROM typed ORDER BY x IS NULL")["x"]
    assert arrow is None or column.type == arrow
    assert column.to_pylist() == [expected, None]


@pytest.mark.server
def test_zero_date_is_counted_and_not_missing(mariadb_server):
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute("CREATE OR REPLACE TABLE zeros (id INT, born DATE, seen TIMESTAMP NULL)")
        cursor.execute("INSERT INTO zeros VALUES (1, '0000-00-00', NULL), (2, '2024-01-01', 0)")
    lead = {"database": mariadb_server.url, "query": "SELECT * FROM zeros", **LEAD}
    found = read_sources(project({**lead, "missing_time": "skip"}, max_quarantine=1))
    assert found.counts[0].skipped == 0
    assert sum(found.counts[0].quarantined.values()) == 1
    assert found.leads["entity_id"].to_pylist() == ["2"]


@pytest.mark.server
def test_repeated_names_and_percent_signs_are_read(mariadb_server):
    url, text = mariadb_server.url, "SELECT a.id, b.*, '100%s :x' AS note FROM {0} a JOIN {0} b;"
    mariadb_server.execute("CREATE OR REPLACE TABLE twice AS SELECT 1 AS id, 'x' AS name")
    found = query(url, text.format("twice"))
    assert list(found) == ["id", "id (2)", "name", "note"]
    assert found["note"].to_pylist() == ["100%s :x"]


@pytest.mark.server
def test_rows_of_all_batches_are_read(mariadb_server, monkeypatch):
    monkeypatch.setattr("features.intake.databases.dialects.ROWS_PER_BATCH", 7)
    for size in (0, 1, 6, 7, 8, 50):
        text = f"SELECT seq FROM seq_1_to_50 WHERE seq <= {size} ORDER BY seq"
        found = query(mariadb_server.url, text)["seq"]
        assert found.to_pylist() == list(range(1, size + 1))
        assert found.type == pa.uint64()


@pytest.mark.server
@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM nowhere",
        "SELECT nextval(counter)",
        "SELECT write_row()",
        "SELECT 1 UNION SELECT LOAD_FILE('/nowhere') OVER",
    ],
)
def test_failing_or_writing_query_raises(mariadb_server, text):
    mariadb_server.execute(
        "CREATE OR REPLACE SEQUENCE counter",
        "CREATE OR REPLACE TABLE written (x INT)",
        "CREATE OR REPLACE FUNCTION write_row() RETURNS INT MODIFIES SQL DATA BEGIN "
        "INSERT INTO written VALUES (1); RETURN 1; END",
    )
    with pytest.raises(DataError, match="MySQL or MariaDB query failed"):
        query(mariadb_server.url, text)
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM written")
        assert cursor.fetchone() == (0,)


@pytest.mark.server
@pytest.mark.parametrize("command", ["KILL", "KILL QUERY"])
def test_lost_connection_amid_the_rows_raises(mariadb_server, monkeypatch, command):
    monkeypatch.setattr("features.intake.databases.dialects.ROWS_PER_BATCH", 1000)
    make_result, killed = results.QueryResult, []

    def kill_first(pieces):
        for piece in pieces:
            if not killed:
                killed.append(piece["c0"][0].as_py())
                mariadb_server.execute(f"{command} {killed[0]}")
            yield piece

    monkeypatch.setattr(
        "features.intake.databases.dialects.QueryResult",
        lambda names, schema, pieces: make_result(names, schema, kill_first(pieces)),
    )
    with pytest.raises(DataError) as caught:
        query(mariadb_server.url, "SELECT connection_id(), repeat('x', 900) FROM seq_1_to_200000")
    assert killed
    assert is_transient(caught.value)


@pytest.mark.server
def test_error_messages_hide_the_password(mariadb_server):
    text = "SELECT 's3cret/word' AS id FROM nowhere WHERE"
    for url in (mariadb_server.url, mariadb_server.url.replace("s3cret", "wr0ng")):
        with pytest.raises(DataError, match=r"syntax|denied") as caught:
            query(url, text)
        assert "/word" not in str(caught.value) and "%2Fword" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.server
def test_large_result_is_kept_on_disk(mariadb_server, monkeypatch, tmp_path):
    monkeypatch.setattr("features.tools.spill.get_max_bytes_in_memory", lambda: 1 << 20)
    url, text = mariadb_server.url, "SELECT seq, concat('a', seq) AS what FROM seq_1_to_200000"
    found = query(url, text, tmp_path / "scratch")
    assert found["seq"].to_pylist() == list(range(1, 200_001))
    assert found["what"][-1].as_py() == "a200000"


@pytest.mark.server
def test_events_of_a_server_in_another_zone_are_in_utc(mariadb_server):
    mariadb_server.execute(
        "CREATE OR REPLACE TABLE log (lead INT, at TIMESTAMP, what VARCHAR(9))",
        "INSERT INTO log VALUES (1, '2024-01-01 05:00:00', 'won')",
    )
    event = {"database": mariadb_server.url, "query": "SELECT * FROM log", **EVENT}
    found = read_sources(project(events=[event], zone="Asia/Tokyo"))
    assert found.events["event_time"].to_pylist() == [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]


@pytest.mark.parametrize(
    ("url", "module", "fix"),
    [
        ("mysql://u:secret@h/z", "pymysql", "pip install 'leadscore[mysql]'"),
        ("mssql://u:secret@h/z", "pymssql", "pip install 'pymssql'"),
        ("mssql+pyodbc://u:secret@h/z", "pyodbc", "pip install 'pyodbc'"),
        ("oracle://u:secret@h/z", "oracledb", "pip install 'oracledb'"),
        ("snowflake://u:secret@a/d/s", "adbc_driver_snowflake", "leadscore[snowflake]"),
        ("bigquery://p/d", "adbc_driver_bigquery", "leadscore[bigquery]"),
        ("grpc://h:1", "adbc_driver_flightsql", "leadscore[flightsql]"),
        ("postgresql://u:secret@h/z", "adbc_driver_postgresql", "leadscore[postgresql]"),
    ],
)
def test_missing_driver_is_named_with_its_package(monkeypatch, url, module, fix):
    real = importlib.import_module

    def fail(name, *rest):
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(name, *rest)

    monkeypatch.setattr("features.intake.databases.result.importlib.import_module", fail)
    with pytest.raises(ConfigError, match="driver") as caught:
        query(url, "SELECT 1")
    assert fix in caught.value.fix
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://u:p%40x@h:3307/z", "mysql+pymysql://u:p%40x@h:3307/z?charset=utf8mb4"),
        ("mssql://u@h/z?timeout=9", "mssql+pymssql://u@h/z?timeout=9"),
        ("mssql+pyodbc://u@h/z?driver=D", "mssql+pyodbc://u@h/z?driver=D"),
        ("oracle://u@h/?service_name=s", "oracle+oracledb://u@h?service_name=s"),
    ],
)
def test_address_becomes_that_of_its_dialect(url, expected):
    assert make_url(parse_source_address(url)).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, "true"),
        (12, "12"),
        (Decimal("12.00"), "12"),
        (Decimal("1E+2"), "100"),
        (Decimal("100"), "100"),
        (Decimal("1.50"), "1.50"),
        (1e17, "100000000000000000"),
        (0.1, "0.1"),
        (float("nan"), None),
        (b"\x00a", "0061"),
        (dt.datetime(2024, 1, 1, 2, tzinfo=dt.UTC), "2024-01-01 02:00:00+00:00"),
        (dt.date(2024, 1, 1), "2024-01-01"),
        ("a", "a"),
    ],
)
def test_value_of_any_driver_is_written_as_a_person_would(value, expected):
    assert write_value(value) == expected
