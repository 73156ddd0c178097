"""Queries through ADBC: a Flight SQL server, and the options that other drivers are given."""

import sqlite3

import adbc_driver_postgresql.dbapi
import pytest

from configs.addresses.sources import parse_source_address
from configs.errors import DataError
from features.intake.databases.arrow_drivers import list_options
from features.intake.databases.query import read_query
from tests.flightsql import TOKEN


def query(url, text):
    names, table = read_query(parse_source_address(url), text, "leads")
    return dict(zip(names, table.columns, strict=True))


@pytest.mark.server
def test_flight_server_accepts_password_or_token(flight_server):
    place = f"grpc://127.0.0.1:{flight_server.port}"
    for url in (flight_server.url, f"{place}?token={TOKEN.replace('/', '%2F')}"):
        found = query(url, "SELECT range AS a, 'x' AS b, 2 AS a FROM range(2500)")
        assert list(found) == ["a", "b", "a (2)"]
        assert found["a"].to_pylist() == list(range(2500))


@pytest.mark.server
def test_flight_errors_hide_what_the_server_repeats(flight_server, monkeypatch):
    place = f"127.0.0.1:{flight_server.port}"
    monkeypatch.setattr(flight_server, "cut_after", 2)
    for url, text, words in (
        (f"grpc://tester:wr0ng%2Fword@{place}", "SELECT 1", "no entry for tester"),
        (f"grpc://{place}?token=tok3n-of%2Fanother", "SELECT 1", "no entry"),
        (f"grpc+tls://tester:s3cret%2Fword@{place}", "SELECT 1", "TLS"),
        ("grpc://tester:s3cret%2Fword@127.0.0.1:1", "SELECT 1", "refused"),
        (flight_server.url, "SELECT 's3cret/word', nope", "nope"),
        # The connection breaks after two batches: nothing is returned.
        (flight_server.url, "SELECT * FROM range(5000)", "lost the storage"),
    ):
        with pytest.raises(DataError, match="Flight SQL query failed") as caught:
            query(url, text)
        assert words in str(caught.value)
        assert "/word" not in str(caught.value) and "/another" not in str(caught.value)


@pytest.mark.server
def test_slow_flight_server_is_given_up(flight_server, monkeypatch):
    monkeypatch.setattr(flight_server, "pause", 2.0)
    with pytest.raises(DataError, match=r"(?i)deadline|timeout"):
        query(f"{flight_server.url}?fetch_timeout=0.3", "SELECT * FROM range(5000)")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "snowflake://u:p%40x@org-acct/db/sales?warehouse=w&role=r&login_timeout=9s",
            {
                "username": "u",
                "password": "p@x",
                "adbc.snowflake.sql.account": "org-acct",
                "adbc.snowflake.sql.db": "db",
                "adbc.snowflake.sql.schema": "sales",
                "adbc.snowflake.sql.warehouse": "w",
                "adbc.snowflake.sql.role": "r",
                "adbc.snowflake.sql.client_option.login_timeout": "9s",
            },
        ),
        (
            "snowflake://u@a?authenticator=JWT&private_key_file=%2Fk.p8",
            {
                "username": "u",
                "adbc.snowflake.sql.account": "a",
                "adbc.snowflake.sql.auth_type": "auth_jwt",
                "adbc.snowflake.sql.client_option.jwt_private_key": "/k.p8",
            },
        ),
        (
            "bigquery://my-project/sales?location=EU&credentials=%2Fkey.json",
            {
                "adbc.bigquery.sql.project_id": "my-project",
                "adbc.bigquery.sql.dataset_id": "sales",
                "adbc.bigquery.sql.location": "EU",
                "adbc.bigquery.sql.auth_type": "adbc.bigquery.sql.auth_type.json_credential_file",
                "adbc.bigquery.sql.auth_credentials": "/key.json",
            },
        ),
        (
            "grpc+tls://h:1?token=t&database=d&tls_skip_verify=true",
            {
                "adbc.flight.sql.authorization_header": "Bearer t",
                "adbc.flight.sql.rpc.call_header.database": "d",
                "adbc.flight.sql.client_option.tls_skip_verify": "true",
            },
        ),
    ],
)
def test_address_becomes_the_options_of_its_driver(url, expected):
    assert list_options(parse_source_address(url)) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("snowflake://u:s3cret@a/d?authenticator=nonsense", "nonsense"),
        ("snowflake://u:s3cret@a/d?authenticator=jwt&private_key_file=%2Fnope%2Fs3cret", "key"),
        ("snowflake://u:s3cret@a/d?login_timeout=s3cond", "duration"),
        ("bigquery://p/d?credentials=%2Fnope%2Fs3cret.json", "no such file"),
    ],
)
def test_driver_without_its_server_refuses_and_tells_no_secret(url, words):
    """The drivers themselves, without their cloud: they know the options and check them."""
    pytest.importorskip(f"adbc_driver_{url.partition(':')[0]}")
    with pytest.raises(DataError, match="query failed") as caught:
        query(url, "SELECT 1")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_repeated_names_of_sqlite_are_numbered_as_in_csv(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS \"b:1\"")
    connection.close()
    found = query(f"sqlite:///{tmp_path / 'x.db'}", "SELECT a.id, b.* FROM t a, t b;")
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "id": ["1"],
        "id (2)": ["1"],
        "b:1": ["x"],
    }


@pytest.mark.server
def test_postgresql_is_only_read_and_repeated_names_are_numbered(postgresql_url):
    with (
        adbc_driver_postgresql.dbapi.connect(postgresql_url) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE SEQUENCE source_counter")
        cursor.execute(
            "CREATE FUNCTION count_up() RETURNS bigint LANGUAGE sql AS "
            "$$ SELECT nextval('source_counter') $$"
        )
        connection.commit()
    assert list(query(postgresql_url, "SELECT 1 AS id, 2 AS id, 3 AS b")) == ["id", "id (2)", "b"]
    with pytest.raises(DataError, match="read-only transaction"):
        query(postgresql_url, "SELECT count_up()")
