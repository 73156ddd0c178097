"""The table that all benchmarks write to; it is printed at the end."""

import pytest

from tests.benchmarks.report import Report

REPORT = pytest.StashKey[Report]()


def pytest_configure(config):
    config.stash[REPORT] = Report()


@pytest.fixture(scope="session")
def report(request):
    return request.config.stash[REPORT]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    done = yield  # whatever else pytest has to say comes before the table
    terminalreporter.write(config.stash[REPORT].text())
    return done


@pytest.fixture(scope="session")
def needs():
    """Return a check that skips a benchmark whose engine's environment is not there."""

    def check(job):
        if not job.python.exists():
            pytest.skip(f"{job.engine} is not installed: run `make peers`")

    return check
