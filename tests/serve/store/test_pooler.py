"""Stores behind a connection pooler: pooled sessions are safe, pooled transactions refused."""

import psycopg
import pytest

from configs.errors import ConfigError, LeadscoreError, WorkspaceBusy
from serve.store.store import Store
from tests.pooler import pgbouncer

pytestmark = pytest.mark.server


def test_lock_excludes_others_behind_pooled_sessions(postgresql_url):
    with pgbouncer(postgresql_url, "session") as url:
        with Store(url).hold("pooled"), pytest.raises(WorkspaceBusy), Store(url).hold("pooled"):
            pass
        with Store(url).hold("pooled") as store:
            assert store.runs("pooled").num_rows == 0


def test_pooled_transactions_are_refused_and_leave_no_lock(postgresql_url):
    with pgbouncer(postgresql_url, "transaction") as url:
        for _ in range(2):
            with pytest.raises(ConfigError, match="pooler of transactions"), Store(url).hold("a"):
                pass
        with psycopg.connect(postgresql_url) as connection:
            held = connection.execute("SELECT * FROM pg_locks WHERE locktype = 'advisory'")
            assert held.fetchall() == []
    with Store(postgresql_url).hold("a"):
        pass


def test_pooled_statements_are_refused_at_once(postgresql_url):
    with (
        pgbouncer(postgresql_url, "statement") as url,
        pytest.raises(LeadscoreError, match="statement pooling"),
    ):
        Store(url, retry_seconds=600).runs("a")
