"""Databases that the tests of published scores run against."""

import pytest

from serve.store.store import Store
from tests.serve.samples import clean


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/scores.db"
    return clean(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def store(url):
    return Store(url)
