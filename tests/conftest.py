"""Fixtures of all tests, and which tests are slow."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import chromium
from tests.duckdb_instance import share_duckdb
from tests.flightsql import flightsql
from tests.mariadb import mariadb
from tests.postgresql import postgresql

ROOT = Path(__file__).parent

# Tests of these folders and files start processes or servers, train on a company, write files by
# the thousand, or draw many generated histories.
SLOW_PATHS = (
    "conventions/test_layout.py",
    "examples/",
    "faults/",
    "features/definitions/test_attributes.py",
    "features/engine/test_event_log.py",
    "features/engine/test_large_logs.py",
    "features/intake/test_typed_columns.py",
    "features/intake/test_value_history.py",
    "features/test_build.py",
    "features/test_invariants.py",
    "features/test_oracle.py",
    "features/test_sources.py",
    "features/test_spine.py",
    "leadscore/",
    "models/evaluation/test_plots.py",
    "models/learners/test_lightgbm.py",
    "models/registry/",
    "models/training/test_search.py",
    "models/training/test_train.py",
    "pipelines/",
    "serve/crm/",
    "serve/export/",
    "serve/monitoring/test_outcomes.py",
    "serve/store/",
)

# These take longest and mostly wait for a server, so they start first: another worker computes
# meanwhile. At the end a single worker would wait alone.
FIRST_FOLDERS = ("pipelines/orchestration", "faults", "pipelines")

# The first example pays for imports and compilation, so no example has a deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Mark the slow tests by their path, and start the longest first."""
    for item in items:
        if folder_of(item).startswith(SLOW_PATHS):
            item.add_marker(pytest.mark.slow)
    items.sort(key=start_rank)


def folder_of(item):
    """Return the path of a test's file below ``tests``."""
    return item.path.relative_to(ROOT).as_posix()


def start_rank(item):
    """Return the place of a test's folder in the order in which files start."""
    ranks = [n for n, name in enumerate(FIRST_FOLDERS) if folder_of(item).startswith(name)]
    return min(ranks, default=len(FIRST_FOLDERS))


@pytest.fixture(scope="session", autouse=True)
def shared_duckdb():
    """Give the queries of this process connections to one instance of DuckDB."""
    with share_duckdb():
        yield


# Of a module and no longer: Playwright keeps an event loop running in the thread, in which neither
# a second Playwright nor a test of something asynchronous could start.
@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium; skips where none is installed.

    Mark the tests that ask for it with ``server``.
    """
    with chromium() as program:
        yield program


@pytest.fixture(scope="session")
def postgresql_url():
    """Return the URL of a PostgreSQL server of this worker alone, on loopback, with a superuser.

    Mark the tests that ask for it with ``server``. Skips where PostgreSQL is not installed.
    """
    with postgresql() as server:
        yield server.url


@pytest.fixture(scope="session")
def mariadb_server():
    """Return a MariaDB server of this worker alone, on loopback; mark its tests with ``server``.

    Skips where MariaDB or its driver is not installed.
    """
    with mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def flight_server():
    """Return a Flight SQL server of this process, on loopback; skips without its driver."""
    with flightsql() as server:
        yield server
