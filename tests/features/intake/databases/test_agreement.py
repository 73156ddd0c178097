"""The same table in every form: the same leads, events, values and fingerprint."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from features.sources import read_sources
from tests.faults.conftest import is_full_attack
from tests.features.company import project
from tests.features.intake.databases import tables

SEEDS = range(8 if is_full_attack() else 1)
ROWS = 40
START = datetime(1990, 1, 1)  # noqa: DTZ001 - naive, in the zone of the config
TEXTS = ["won", "call", "Ж🙂", "a;b", "it's", 'x"y', "100%", "\\n", "0012"]

LEAD = {
    "entity_id": "id",
    "created_at": "born",
    "attributes": ["code", "day", "amount", "size", "ok", "seen"],
}
EVENT = {"entity_id": "id", "event_time": "born", "event_type": "what", "value": "amount"}
HISTORY = {"entity_id": "id", "valid_from": "born", "columns": ["what"]}


def draw_table(seed):
    """Return a table of random values of all types, with missing ones."""
    draw = random.Random(seed)

    def some(value):
        return value if draw.random() < 0.8 else None

    def time():
        return START + timedelta(microseconds=draw.randrange(40 * 365 * 86_400 * 10**6))

    rows = [
        {
            "id": draw.choice([1, 2, 3, 2**53 + 1, -7, 2**63 - 1]),
            "code": some(draw.choice([draw.randrange(2**64), 2**64 - 1, 0])),
            "born": time(),
            "seen": some(time().replace(tzinfo=UTC)),
            "day": some(date(1950, 1, 1) + timedelta(days=draw.randrange(30_000))),
            "what": draw.choice(TEXTS),
            "amount": some(Decimal(draw.randrange(-(10**11), 10**11)) / 100),
            "size": some(draw.choice([draw.uniform(-1e3, 1e3), 0.1 + 0.2, 1e22, 1e-7, 0.0])),
            "ok": some(draw.random() < 0.5),
        }
        for _ in range(ROWS)
    ]
    return pa.Table.from_pylist(rows, tables.SCHEMA)


def read(source):
    """Read a table as leads, events and a history."""
    leads, events, histories = ({**source, **each} for each in (LEAD, EVENT, HISTORY))
    return read_sources(
        project(
            leads,
            [events],
            zone="Europe/Berlin",
            attributes=[histories],
            max_quarantine=1,
            max_duplicates=1,
        )
    )


def check_agreement(sources):
    found = [read(source) for source in sources]
    assert len(found[0].events) == ROWS
    for source, other in zip(sources[1:], found[1:], strict=True):
        assert other.leads.equals(found[0].leads), source
        assert other.events.equals(found[0].events), source
        assert other.fingerprint == found[0].fingerprint, source
        for mine, first in zip(other.counts, found[0].counts, strict=True):
            assert (mine.used, mine.quarantined) == (first.used, first.quarantined), source


@pytest.mark.server
@pytest.mark.parametrize("seed", SEEDS)
def test_equal_tables_agree_in_every_form(
    tmp_path, postgresql_url, mariadb_server, flight_server, seed
):
    table = draw_table(seed)
    writers = (tables.write_parquet, tables.write_csv, tables.write_duckdb, tables.write_sqlite)
    sources = [write(tmp_path, table) for write in writers]
    sources.append(tables.write_postgresql(postgresql_url, table))
    sources.append(tables.write_mariadb(mariadb_server, table))
    sources.append({"database": flight_server.url, "query": flight_server.keep(table)})
    check_agreement(sources)
