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

# The first example pays for imports and compilation, so no example has a deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Mark the slow tests by their folder."""
    for item in items:
        if item.path.relative_to(ROOT).as_posix().startswith(SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgresql_url():
    """Return the URL of a PostgreSQL server of this worker alone, on loopback, with a superuser.

    Mark the tests that ask for it with ``server``. Skips where PostgreSQL is not installed.
    """
    with postgresql() as server:
        yield server.url
