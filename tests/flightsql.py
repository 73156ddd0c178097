"""A Flight SQL server for tests: Arrow's own server, with DuckDB behind it.

It has what a client needs to run a query: the login with user and password, the command
``CommandStatementQuery``, and the rows in batches.
"""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pytest

flight = pytest.importorskip("pyarrow.flight")

USER, PASSWORD, TOKEN = "tester", "s3cret/word", "tok3n-of/flight"
STATEMENT_QUERY = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
ROWS_PER_BATCH = 1000


class Login(flight.ServerMiddlewareFactory):
    """Accepts user and password, or a token, and answers with the token."""

    def start_call(self, info, headers):
        header = next((v[0] for k, v in headers.items() if k.lower() == "authorization"), "")
        kind, _, value = header.partition(" ")
        # The driver leaves the padding out.
        basic = base64.b64decode(value + "==").decode() if kind == "Basic" else ""
        if basic != f"{USER}:{PASSWORD}" and (kind, value) != ("Bearer", TOKEN):
            # As a careless server does, it repeats what it was given.
            raise flight.FlightUnauthenticatedError(f"no entry for {basic or value}")
        return Answer()


class Answer(flight.ServerMiddleware):
    """Sends the token."""

    def sending_headers(self):
        return {"authorization": f"Bearer {TOKEN}"}


class Handshake(flight.ServerAuthHandler):
    """Leaves the login to the headers."""

    def authenticate(self, outgoing, incoming):
        pass

    def is_valid(self, token):
        return ""


class Server(flight.FlightServerBase):
    """Runs queries on a DuckDB in memory."""

    def __init__(self) -> None:
        super().__init__(
            "grpc://127.0.0.1:0", auth_handler=Handshake(), middleware={"login": Login()}
        )
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.lock = threading.Lock()
        # Batches after which each stream is cut off; None for never.
        self.cut_after: int | None = None
        self.pause = 0.0

    @property
    def url(self) -> str:
        """Return the address, with user and password."""
        return f"grpc://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"

    def keep(self, table: pa.Table) -> str:
        """Keep a table, and return a query that reads it."""
        with self.lock:
            self.connection.register("kept", table)
            self.connection.execute("CREATE OR REPLACE TABLE t AS SELECT * FROM kept")
        return "SELECT * FROM t"

    def get_flight_info(self, context, descriptor):
        kind, command = _read_any(descriptor.command)
        if kind != STATEMENT_QUERY:
            raise flight.FlightServerError(f"the command {kind.decode()} is not known here")
        query = dict(_iter_fields(command))[1]
        with self.lock:
            schema = self._run(query.decode()).schema
        endpoint = flight.FlightEndpoint(flight.Ticket(query), [])
        return flight.FlightInfo(schema, descriptor, [endpoint], -1, -1)

    def do_get(self, context, ticket):
        with self.lock:
            table = self._run(ticket.ticket.decode())
        return flight.GeneratorStream(table.schema, self._iter_batches(table))

    def _run(self, query: str) -> pa.Table:
        try:
            return self.connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise flight.FlightServerError(str(error)) from error

    def _iter_batches(self, table: pa.Table):
        for i, batch in enumerate(table.to_batches(ROWS_PER_BATCH)):
            time.sleep(self.pause)
            if self.cut_after is not None and i >= self.cut_after:
                raise flight.FlightInternalError(f"lost the storage of {PASSWORD}")
            yield batch


def _iter_fields(data: bytes):
    """Yield number and value of each field of a protobuf message with texts alone."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        yield tag >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _read_any(data: bytes) -> tuple[bytes, bytes]:
    fields = dict(_iter_fields(data))
    return fields[1], fields.get(2, b"")


@contextmanager
def flightsql() -> Iterator[Server]:
    """Run a server while the block runs; skip the test if the driver is not installed."""
    pytest.importorskip("adbc_driver_flightsql")
    with Server() as server:
        try:
            yield server
        finally:
            server.connection.close()
            del server.connection
