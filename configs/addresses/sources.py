"""Addresses of the databases that a source may be read from."""

from __future__ import annotations

from dataclasses import replace

from configs.addresses.database import (
    POSTGRESQL,
    POSTGRESQL_PARAMETERS,
    SCHEMES,
    SQLITE,
    make_scheme_error,
    parse_checked_address,
    parse_file_address,
    strip_slashes,
)
from configs.addresses.parser import FIX_ENCODING, Address, AddressError, split_scheme

DUCKDB, MYSQL, MSSQL, ORACLE = "duckdb", "mysql", "mssql", "oracle"
SNOWFLAKE, BIGQUERY, FLIGHT, FLIGHT_TLS = "snowflake", "bigquery", "grpc", "grpc+tls"
FILE_SCHEMES = (SQLITE, DUCKDB)

SOURCE_SCHEMES = {
    **SCHEMES,
    "duckdb": DUCKDB,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "snowflake": SNOWFLAKE,
    "bigquery": BIGQUERY,
    "grpc": FLIGHT,
    "mssql": MSSQL,
    "sqlserver": MSSQL,
    "oracle": ORACLE,
}
TITLES = {
    SQLITE: "SQLite",
    POSTGRESQL: "PostgreSQL",
    DUCKDB: "DuckDB",
    MYSQL: "MySQL or MariaDB",
    SNOWFLAKE: "Snowflake",
    BIGQUERY: "BigQuery",
    FLIGHT: "Flight SQL",
    FLIGHT_TLS: "Flight SQL",
    MSSQL: "SQL Server",
    ORACLE: "Oracle",
}
FIX_SOURCE = (
    "write sqlite:///file, duckdb:///file, postgresql://…, mysql://…, snowflake://…, bigquery://…, "
    "grpc+tls://…, mssql://… or oracle://…"
)

# Parameters of each server's address. A driver refuses others, or takes them for something else:
# one of PyMySQL's reads a file.
_PARAMETERS = {
    MYSQL: "charset connect_timeout read_timeout unix_socket ssl_ca ssl_cert ssl_key "
    "ssl_verify_cert ssl_verify_identity",
    SNOWFLAKE: "warehouse role region authenticator token private_key_file "
    "private_key_passphrase login_timeout request_timeout protocol",
    BIGQUERY: "location credentials",
    FLIGHT: "token database query_timeout fetch_timeout",
    FLIGHT_TLS: "token database query_timeout fetch_timeout authority tls_skip_verify",
    MSSQL: "driver Encrypt TrustServerCertificate ApplicationIntent tds_version timeout "
    "login_timeout",
    ORACLE: "service_name",
}
PARAMETERS = {
    POSTGRESQL: POSTGRESQL_PARAMETERS,
    **{scheme: frozenset(names.split()) for scheme, names in _PARAMETERS.items()},
}
# The drivers of SQL Server, the default first; the other schemes have one driver each.
MSSQL_DRIVERS = ("pymssql", "pyodbc")
# A schema follows the database of Snowflake.
_MAX_SLASHES = {SNOWFLAKE: 1}


def parse_source_address(text: str) -> Address:
    """Return the parts of the address of a source's database; of a file, ``path`` is its name.

    Raises AddressError for an address of no database that can be read, or an ambiguous one.
    """
    scheme, slashes, rest = split_scheme(text)
    name, _, driver = scheme.partition("+")
    kind = SOURCE_SCHEMES.get(name)
    if kind is None:
        raise make_scheme_error(text, SOURCE_SCHEMES, FIX_SOURCE)
    if kind == FLIGHT and driver:
        if driver not in ("tls", "tcp"):
            raise AddressError(
                "the address is of no database that is supported", "write grpc+tls:// or grpc://"
            )
        kind = FLIGHT_TLS if driver == "tls" else FLIGHT
    rest = strip_slashes(kind, slashes, rest)
    if kind in FILE_SCHEMES:
        return parse_file_address(kind, TITLES[kind], rest, FIX_SOURCE)
    address = parse_checked_address(
        kind, TITLES[kind], rest, PARAMETERS[kind], _MAX_SLASHES.get(kind, 0)
    )
    if kind != POSTGRESQL:
        _check_server(address)
    return _choose_driver(address, driver) if kind == MSSQL else address


def _check_server(address: Address) -> None:
    """Raise AddressError where a driver would not find the one server, or misread its parts."""
    title, by_socket = TITLES[address.scheme], "unix_socket" in address.parameters
    if len(address.hosts) > 1:
        raise AddressError(f"the address of {title} has several hosts", "write one host")
    if not by_socket and not (address.hosts and address.hosts[0][0]):
        raise AddressError(f"the address of {title} names no host", FIX_ENCODING)
    if address.hosts and address.hosts[0][0].startswith("/"):
        raise AddressError(f"the host of {title} is a path", "write the name of a host")
    if address.scheme in (FLIGHT, FLIGHT_TLS) and (address.path or not address.hosts[0][1]):
        raise AddressError(
            "the address of Flight SQL is a host and a port",
            "write grpc+tls://host:port; a database is the parameter ?database=name",
        )
    if address.scheme == BIGQUERY and (address.user or address.password):
        raise AddressError(
            "the address of BigQuery has no user",
            "write bigquery://project/dataset?credentials=/path/of/key.json",
        )
    if address.parameters.get("charset", "utf8mb4").lower() != "utf8mb4":
        raise AddressError("MySQL is read as utf8mb4", "remove the parameter charset")


def _choose_driver(address: Address, driver: str) -> Address:
    chosen = driver or MSSQL_DRIVERS[0]
    if chosen not in MSSQL_DRIVERS:
        raise AddressError(
            "SQL Server is read with another driver", "write mssql+pymssql:// or mssql+pyodbc://"
        )
    return replace(address, driver=chosen)
