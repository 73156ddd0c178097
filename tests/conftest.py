"""What all tests share."""

import pytest
from hypothesis import settings

from tests.postgresql import postgresql

# The first example pays for imports and compilation, and several people share the machine: no timed assertions.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgresql_url():
    """A PostgreSQL server of this test run alone, on loopback: its URL, with a user that may do everything.

    Mark the tests that ask for it with ``server``. Skips where the server's programs are not installed.
    """
    with postgresql() as server:
        yield server.url
