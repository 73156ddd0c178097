"""Addresses of the databases of sources: what is read out of them, and what is refused."""

import pytest

from configs.addresses.database import parse_database_address
from configs.addresses.parser import AddressError
from configs.addresses.sources import parse_source_address
from configs.addresses.variables import expand_address, redact_written_address
from configs.loading.yaml_file import redact_config_text
from tests.configs.addresses.test_variables import CONFIG


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("duckdb:///a%20b/c.duckdb", "duckdb:///a b/c.duckdb"),
        ("DuckDB:////a/c.duckdb", "duckdb:////a/c.duckdb"),
        ("mysql://u:secret@h:3306/z?ssl_ca=%2Fca.pem", "mysql://u:***@h:3306/z"),
        ("mysql+mysqldb://u:secret@h/z?charset=utf8mb4", "mysql://u:***@h/z"),
        (" mariadb+pymysql://u:secret@h/z", "mysql://u:***@h/z"),
        ("mysql://u:secret@/z?unix_socket=%2Ftmp%2Fs", "mysql://u:***@/z"),
        (
            "snowflake://u:secret@org-acct/db/sales?warehouse=w",
            "snowflake://u:***@org-acct/db/sales",
        ),
        ("snowflake://u@acct/db?token=secret", "snowflake://u@acct/db"),
        ("bigquery://my-project/sales?credentials=secret", "bigquery://my-project/sales"),
        ("grpc://h:31337?token=secret", "grpc://h:31337/"),
        ("grpc+tls://u:secret@h:1/", "grpc+tls://u:***@h:1/"),
        ("grpc+tcp://u:secret@[::1]:1", "grpc://u:***@[::1]:1/"),
        ("sqlserver://u:secret@h/z", "mssql://u:***@h/z"),
        ("mssql+pyodbc://u:secret@h/z?Encrypt=yes", "mssql://u:***@h/z"),
        ("oracle+oracledb://u:secret@h:1521/?service_name=s", "oracle://u:***@h:1521/"),
        ("postgresql://u:secret@a:1,b:2/z", "postgresql://u:***@a:1,b:2/z"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_source_address_is_read_and_shown_without_secrets(text, shown):
    address = parse_source_address(text)
    assert str(address) == shown
    assert "secret" not in repr(address)
    assert all(secret == "secret" for secret in address.secrets if secret[:1] != "/")
    assert not address.secrets or "secret" not in address.mask(f"cannot open {text}, secret")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("duckdb:/secret.duckdb", "did you mean duckdb://?"),
        ("duckdb://secret.duckdb", "duckdb:///relative/path"),
        ("duckdb:///", "duckdb:///relative/path"),
        ("duckdb:///:memory:", "duckdb:///relative/path"),
        ("duckdb:///u:secret@h/z", "mysql://…"),
        ("duckdb:///z.duckdb?key=secret", "remove them"),
        ("duckdb3:///secret.duckdb", "did you mean duckdb://?"),
        ("mysqll://u:secret@h/z", "did you mean mysql://?"),
        ("my-sql://u:secret@h/z", "grpc+tls://…"),
        ("jdbc:mysql://h/z?password=secret", "did you mean mysql://?"),
        ("jdbc:oracle:thin:u/secret@h:1521/z", "did you mean oracle://?"),
        ("mysql:/u:secret@h/z", "did you mean mysql://?"),
        ("mysql:u:secret@h", "did you mean mysql://?"),
        ("mysql://u:secret@/z", "percent-encode"),
        ("mysql://u:sec/ret@h/z", "@ as %40"),
        ("mysql://u:sec?ret@h/z", "@ as %40"),
        ("mysql://u:sec#ret@h/z", "# as %23"),
        ("mysql://u:secret@h/z?read_default_file=secret", "remove it"),
        ("mysql://u:secret@h/z?local_infile=1", "remove it"),
        ("mysql://u:secret@h/z?charset=latin1", "remove the parameter"),
        ("mysql://u:secret@h/z?ssl_cert_secret=1", "ssl_cert|remove it"),
        ("mysql://u:secret@a,b/z", "one host"),
        ("mysql://u:secret@%2Ftmp/z", "name of a host"),
        ("mysql://u:secret@h/a/b", "percent-encode it as %2F"),
        ("snowflake://u:secret@", "percent-encode"),
        ("snowflake://u:secret@a/d/s/t", "%2F"),
        ("snowflake://u:secret@a/d?password=secret", "remove it|did you mean"),
        ("snowflak://u:secret@a/d", "did you mean snowflake://?"),
        ("bigquery://u:secret@p/d", "bigquery://project/dataset"),
        ("bigquery:///d", "percent-encode"),
        ("big-query://p/secret", "grpc+tls://…"),
        ("grpc://u:secret@h", "grpc+tls://host:port"),
        ("grpc://u:secret@h:1/z", "?database=name"),
        ("grpc+ssl://u:secret@h:1", "grpc+tls://"),
        ("grpcs://u:secret@h:1", "did you mean grpc://?"),
        ("mssql+secret://u:secret@h/z", "mssql+pymssql://"),
        ("mssql://u:secret@h/z?odbc_connect=secret", "remove it"),
        ("Server=h;User Id=u;Password=secret;", "did you mean mssql://?"),
        ("md:secret", "duckdb:///file"),
        ("s3://secret/x.duckdb", "duckdb:///file"),
    ],
)
def test_source_address_is_refused_with_a_fix_and_unquoted(text, fix):
    with pytest.raises(AddressError) as caught:
        parse_source_address(text)
    assert any(words in caught.value.fix for words in fix.split("|"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["duckdb", "mysql", "snowflake", "bigquery", "grpc", "mssql"])
def test_scores_go_into_sqlite_or_postgresql_alone(scheme):
    with pytest.raises(AddressError) as caught:
        parse_database_address(f"{scheme}://u:secret@h:1/z")
    assert "postgresql" in caught.value.fix
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a@b", "a/b", "100%", "a b", "ж", "a:b", "a?b#c", "a%41@"])
def test_raw_value_of_the_environment_arrives_as_it_is(value):
    for scheme in ("mysql", "snowflake", "grpc+tls", "mssql+pyodbc"):
        address = parse_source_address(expand_address(f"{scheme}://u:${{PW}}@h:1", {"PW": value}))
        assert address.password == value
    token = parse_source_address(expand_address("grpc://h:1?token=${PW}", {"PW": value}))
    assert token.parameters["token"] == value
    file = parse_source_address(expand_address("duckdb:///${PW}/x.duckdb", {"PW": value}))
    assert file.path == f"{value}/x.duckdb"


@pytest.mark.parametrize(
    "written",
    [
        "mysql://u:${PW}@h/z",
        "snowflake://u:${PW}@a/d/s?warehouse=w",
        "grpc+tls://h:1?token=${TOKEN}",
        "duckdb:///${DIR}/x.duckdb",
    ],
)
def test_address_without_written_secret_is_stored_as_written(written):
    assert redact_written_address(written) == written


@pytest.mark.parametrize(
    "address",
    [
        *(
            "mysql://u:hidden@h/z",
            "snowflake://u:hidden@a/d/s?warehouse=w",
            "grpc://h:1?token=hidden",
        ),
        *("grpc+tls://u:hid%64en@h:1", "mssql+pyodbc://u:hidden@h/z", "mysql:/u:hidden@h"),
        *("oracle://u:hidden@h/z", "bigquery://p/d?credentials=hidden", "mariadb://u:hid den@h/z"),
        *("snowflake://u@a/d?private_key_passphrase=hidden", "mysql://u@h/z?ssl_key=hidden"),
    ],
)
def test_config_is_stored_without_written_secrets(address):
    text = redact_config_text(CONFIG.replace("DATABASE", address))
    assert "hid" not in text
    assert "event_time: t" in text
