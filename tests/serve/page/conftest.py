"""A browser for the tests of the page."""

import pytest

from tests.browser import chromium


@pytest.fixture(scope="session")
def browser():
    """Return a headless Chromium of this worker; skips where none is installed."""
    with chromium() as program:
        yield program
