"""Fixtures of all tests, and which tests are slow."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgresql import postgresql

ROOT = Path(__file__).parent

# Tests of these folders start processes or servers, or train on a company.
SLOW_FOLDERS = (
    "examples",
    "faults",
    "leadscore",
    "pipelines",
)
# Tests of these folders share one Prefect server, so one worker runs them all.
SERVER_FOLDER = "pipelines/orchestration"

# The first example pays for imports and compilation, so no example has a deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Mark slow tests by folder, and keep the tests of a file, which share fixtures, together."""
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        if path.startswith(SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
        group = SERVER_FOLDER if path.startswith(SERVER_FOLDER) else path
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def postgresql_url():
    """Return the URL of a PostgreSQL server of this worker alone, on loopback, with a superuser.

    Mark the tests that ask for it with ``server``. Skips where PostgreSQL is not installed.
    """
    with postgresql() as server:
        yield server.url
