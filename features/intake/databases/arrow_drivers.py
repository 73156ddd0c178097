"""Queries through ADBC: SQLite, PostgreSQL, Snowflake, BigQuery and Flight SQL servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from configs.addresses.database import POSTGRESQL, SQLITE
from configs.addresses.parser import Address
from configs.addresses.sources import BIGQUERY, FLIGHT, FLIGHT_TLS, SNOWFLAKE
from features.intake.databases.result import QueryResult, import_driver
from features.intake.databases.text_sql import select_expression

# Module and package of each scheme's driver.
ARROW_DRIVERS = {
    SQLITE: ("adbc_driver_sqlite", "leadscore"),
    POSTGRESQL: ("adbc_driver_postgresql", "leadscore[postgresql]"),
    SNOWFLAKE: ("adbc_driver_snowflake", "leadscore[snowflake]"),
    BIGQUERY: ("adbc_driver_bigquery", "leadscore[bigquery]"),
    FLIGHT: ("adbc_driver_flightsql", "leadscore[flightsql]"),
    FLIGHT_TLS: ("adbc_driver_flightsql", "leadscore[flightsql]"),
}
# The drivers' options by the parameters of our addresses.
OPTIONS = {
    SNOWFLAKE: {
        "warehouse": "adbc.snowflake.sql.warehouse",
        "role": "adbc.snowflake.sql.role",
        "region": "adbc.snowflake.sql.region",
        "protocol": "adbc.snowflake.sql.uri.protocol",
        "token": "adbc.snowflake.sql.client_option.auth_token",
        "private_key_file": "adbc.snowflake.sql.client_option.jwt_private_key",
        "private_key_passphrase": "adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_password",
        "login_timeout": "adbc.snowflake.sql.client_option.login_timeout",
        "request_timeout": "adbc.snowflake.sql.client_option.request_timeout",
        "authenticator": "adbc.snowflake.sql.auth_type",
    },
    BIGQUERY: {
        "location": "adbc.bigquery.sql.location",
        "credentials": "adbc.bigquery.sql.auth_credentials",
    },
    FLIGHT: {
        "database": "adbc.flight.sql.rpc.call_header.database",
        "query_timeout": "adbc.flight.sql.rpc.timeout_seconds.query",
        "fetch_timeout": "adbc.flight.sql.rpc.timeout_seconds.fetch",
        "authority": "adbc.flight.sql.client_option.authority",
        "tls_skip_verify": "adbc.flight.sql.client_option.tls_skip_verify",
    },
}
OPTIONS[FLIGHT_TLS] = OPTIONS[FLIGHT]


@contextmanager
def open_arrow_result(address: Address, query: str) -> Iterator[QueryResult]:
    """Run a query through the driver of an address's scheme."""
    module, package = ARROW_DRIVERS[address.scheme]
    driver = import_driver(f"{module}.dbapi", package)
    with connect_to(driver, address) as connection, connection.cursor() as cursor:
        if address.scheme in (SQLITE, POSTGRESQL):
            names, statement = _write_select(cursor, address.scheme, query)
            cursor.execute(statement)
        else:
            cursor.execute(query.strip().rstrip(";"))
            names = [column[0] for column in cursor.description]
        with cursor.fetch_record_batch() as reader:
            yield QueryResult.from_reader(names, reader)


def connect_to(driver: Any, address: Address) -> Any:
    """Connect by the driver; where it takes options, no address could be quoted in a message."""
    if address.scheme == SQLITE:
        return driver.connect(f"file:{quote(address.path)}?mode=ro")
    if address.scheme == POSTGRESQL:
        return driver.connect(address.render())
    options = list_options(address)
    if address.scheme in (FLIGHT, FLIGHT_TLS):
        host, port = address.hosts[0]
        host = f"[{host}]" if ":" in host else host
        return driver.connect(f"{address.scheme}://{host}:{port}", options, autocommit=True)
    return driver.connect(db_kwargs=options, autocommit=True)


def list_options(address: Address) -> Mapping[str, str]:
    """Return the options of the driver for an address of Snowflake, BigQuery or Flight SQL."""
    parameters = dict(address.parameters)
    options = dict[str, str]()
    if address.scheme == SNOWFLAKE:
        database, _, schema = address.path.partition("/")
        host, port = address.hosts[0]
        options |= {
            "adbc.snowflake.sql.account": host,
            "adbc.snowflake.sql.db": database,
            "adbc.snowflake.sql.schema": schema,
            "adbc.snowflake.sql.uri.port": port,
        }
        if authenticator := parameters.get("authenticator"):
            parameters["authenticator"] = f"auth_{authenticator.lower().removeprefix('auth_')}"
    elif address.scheme == BIGQUERY:
        options |= {
            "adbc.bigquery.sql.project_id": address.hosts[0][0],
            "adbc.bigquery.sql.dataset_id": address.path,
        }
        if "credentials" in parameters:
            kind = "adbc.bigquery.sql.auth_type.json_credential_file"
            options["adbc.bigquery.sql.auth_type"] = kind
    elif token := parameters.pop("token", ""):
        options["adbc.flight.sql.authorization_header"] = f"Bearer {token}"
    options |= {"username": address.user, "password": address.password}
    options |= {OPTIONS[address.scheme][name]: value for name, value in parameters.items()}
    return {name: value for name, value in options.items() if value}


def _write_select(cursor: Any, scheme: str, query: str) -> tuple[Sequence[str], str]:
    """Return the names of a query's columns, and the statement that reads them."""
    inner = f"({query.strip().rstrip(';')}\n)"
    if scheme == POSTGRESQL:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SET TIME ZONE 'UTC'")
    # Asked for no row first, since the expression of a column depends on its type. The query is the
    # user's own; columns are named by their place, since names may be equal.
    cursor.execute(f"SELECT * FROM {inner} AS source_rows LIMIT 0")  # noqa: S608
    fields = list(cursor.fetch_arrow_table().schema)
    places = ", ".join(f"c{i}" for i in range(len(fields)))
    columns = ", ".join(
        f"{select_expression(field, f'c{i}', scheme)} AS c{i}" for i, field in enumerate(fields)
    )
    names = [field.name for field in fields]
    if scheme == SQLITE:
        statement = f"WITH source_rows({places}) AS {inner} "
        statement += f"SELECT {columns} FROM source_rows"  # noqa: S608
        return _name_as_written(names), statement
    return names, f"SELECT {columns} FROM {inner} AS source_rows({places})"  # noqa: S608


def _name_as_written(names: Sequence[str]) -> list[str]:
    """Return the names of SQLite's columns without the numbers that it gives to repeated ones."""
    repeated = (re.fullmatch(r"(.*):\d+", name, re.DOTALL) for name in names)
    return [
        match[1] if match and match[1] in names else name
        for name, match in zip(names, repeated, strict=True)
    ]
