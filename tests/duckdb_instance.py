"""One instance of DuckDB for the queries of a test process."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import duckdb
import pytest

from features.tools import duckdb_sql


@contextmanager
def share_duckdb() -> Iterator[None]:
    """Give each query a connection of its own to one instance, not an instance of its own.

    To start an instance takes 20 ms of processor time, far more than a query of a test.
    """
    with duckdb.connect() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_sql, "duckdb", SimpleNamespace(connect=instance.cursor))
        yield
