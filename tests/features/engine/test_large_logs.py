"""A log read in many pieces into a file against the same log in memory; a log in any order."""

import csv
import json
from dataclasses import replace
from datetime import timedelta
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.errors import DataError
from configs.targets import Target
from features.build import build_features
from features.contracts import EVENTS
from features.intake import reading
from features.intake.formats import files
from features.intake.identity import entities
from features.labels import compute_labels
from features.sources import read_sources
from features.spine import build_scoring_spine, build_training_spine
from features.tools import duplicates, spill
from tests.features.agreement import same_bits
from tests.features.company import FULL_EVENT, LEAD, at, csv_text, project, write
from tests.features.logs import CATALOG, crowds, dataset, examples, spine_of, spines

SMALL = [
    (reading, "ROWS_PER_PIECE"),
    (files, "PARQUET_BLOCK_ROWS"),
    (duplicates, "MAX_SORTED_ROWS"),
    (entities, "MAX_BUFFERED_ROWS"),
]


@pytest.fixture
def small(monkeypatch):
    """Lower all limits so that a few rows are a large log."""
    for module, name in SMALL:
        monkeypatch.setattr(module, name, 7)
    monkeypatch.setattr(spill, "get_max_bytes_in_memory", lambda: 7)


def some_rows(seed, count=120):
    """Return rows of a log with all kinds of errors, many of them twice."""
    chance = Random(seed)
    rows = [
        {
            "lead": chance.choice(["a", "b", "c", "zz", "", "Ж"]),
            "at": chance.choice(["2024-01-01", "2024-01-02T03:04:05Z", "2024-01-01", "soon", ""]),
            "what": chance.choice(["won", "call", "call", ""]),
            "known": chance.choice(["", "2024-01-05", "2023-01-01"]),
            "via": chance.choice(["", "phone", "web"]),
            "amount": chance.choice(["", "1", "2.5", "x"]),
            "acc": chance.choice(["", "p", "q"]),
        }
        for _ in range(count)
    ]
    return rows + rows[:40]


def log_of(folder, rows, form, parts):
    folder.mkdir()
    for i in range(parts):
        own = rows[i * len(rows) // parts : (i + 1) * len(rows) // parts]
        path = folder / f"{i}.{form}"
        if form == "csv":
            write(path, csv_text(own))
        elif form == "jsonl":
            write(path, "\n".join(map(json.dumps, own)))
        else:
            parquet.write_table(pa.Table.from_pylist(own), path, row_group_size=11)
    return [{"path": str(folder), **FULL_EVENT, "account_id": "acc"}]


def bad_rows(folder):
    with (folder / "events_1.csv").open(encoding="utf-8", newline="") as file:
        return [(row["reason"], row["original"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("with_leads", [True, False])
def test_reading_in_pieces_to_file_changes_nothing(tmp_path, form, with_leads, request):
    leads = {
        "path": write(
            tmp_path / "l.csv", "id,born\na,2023-01-01\nb,2023-01-01\nc,2023-01-01\nЖ,2023-01-01\n"
        ),
        **LEAD,
    }
    events = log_of(tmp_path / "log", some_rows(3), form, 3)
    whole = project(leads if with_leads else None, events, max_quarantine=1)
    at_once = read_sources(whole, tmp_path / "q1")
    request.getfixturevalue("small")
    found = read_sources(whole, tmp_path / "q2", tmp_path / "s")
    assert found.events.equals(at_once.events) and found.events.schema.equals(
        EVENTS, check_metadata=True
    )
    assert found.leads.equals(at_once.leads)
    assert (found.counts, found.fingerprint) == (at_once.counts, at_once.fingerprint)
    assert found.events.num_rows and found.counts[-1].quarantined["duplicate"] >= 10
    assert bad_rows(tmp_path / "q2") == bad_rows(tmp_path / "q1")
    assert list((tmp_path / "s").iterdir()) == []
    assert found.cut_at(at(2024, 1, 3)).events.equals(at_once.cut_at(at(2024, 1, 3)).events)
    for each in (found, at_once, found.cut_at(at(2999, 1, 1))):
        rows = each.lead_row_of_events
        assert (rows is not None) == with_leads
        assert (
            rows is None or rows.to_pylist() == each.find_leads(each.events["entity_id"]).tolist()
        )
    # Row numbers hold only for the tables that they were computed from.
    assert found.cut_at(at(2024, 1, 3)).lead_row_of_events is None
    assert replace(found, leads=found.leads.slice(1)).lead_row_of_events is None


@pytest.mark.parametrize("place", ["memory", "files"])
def test_features_are_identical_with_looked_up_leads(tmp_path, place, request):
    leads = {
        "path": write(tmp_path / "l.csv", "id,born\nc,2023-01-01\na,2023-01-01\nb,2023-01-01\n"),
        **LEAD,
    }
    events = log_of(tmp_path / "log", some_rows(5), "csv", 2)
    if place == "files":
        request.getfixturevalue("small")
    found = read_sources(
        project(leads, events, max_quarantine=1), None, tmp_path / "s" if place == "files" else None
    )
    assert found.lead_row_of_events is not None
    spine = spine_of([(lead, at(2024, 1, day)) for lead in "abc" for day in (2, 3, 9)])
    catalog = replace(CATALOG, attributes=(), role="", roles=())
    looked_up = build_features(replace(found, event_lead_rows=None), spine, catalog)
    assert same_bits(build_features(found, spine, catalog), looked_up)


@settings(max_examples=6)
@given(st.integers(0, 9), st.randoms(), st.integers(1, 5))
def test_duplicates_keep_first_row_across_sources(tmp_path_factory, seed, chance, parts):
    folder = tmp_path_factory.mktemp("x")
    rows = some_rows(seed)
    chance.shuffle(rows)
    sources = [log_of(folder / name, rows, "csv", parts)[0] for name in ("one", "two")]
    found = read_sources(project(events=sources, max_quarantine=1))
    good = [
        row
        for row in rows
        if row["lead"] and row["at"] not in ("", "soon") and row["what"] and row["amount"] != "x"
    ]
    kept = {tuple(row[name] for name in row if name != "acc") for row in good}
    # Without known_at, or with one before the event, a row is known when the event happens.
    kept = {(*row[:3], "" if row[3] == "2023-01-01" else row[3], *row[4:]) for row in kept}
    assert [count.used for count in found.counts] == [len(kept), 0]
    assert found.counts[1].quarantined["duplicate"] == len(good)


def test_query_in_random_order_is_read_once(tmp_path, small):
    import sqlite3

    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t (lead, at, what)")
        connection.executemany(
            "INSERT INTO t VALUES (?, '2024-01-01', 'won')", [(n % 30,) for n in range(60)]
        )
    connection.close()
    query = "SELECT * FROM t ORDER BY random()"
    event = {
        "database": f"sqlite:///{tmp_path / 'x.db'}",
        "query": query,
        "entity_id": "lead",
        "event_time": "at",
    }
    found = read_sources(
        project(events=[event | {"event_type": "what"}]), tmp_path / "q", tmp_path / "s"
    )
    assert (found.events.num_rows, found.counts[0].quarantined) == (30, {"duplicate": 30})
    assert len(bad_rows(tmp_path / "q")) == 30


def test_source_that_shrinks_during_read_is_reported(tmp_path, monkeypatch):
    rows = some_rows(1)
    events = log_of(tmp_path / "log", rows, "csv", 1)
    settle = reading.SourceReader.reread

    def shrunk(self, places):
        write(tmp_path / "log" / "0.csv", csv_text(rows[:5]))
        return settle(self, places)

    monkeypatch.setattr(reading.SourceReader, "reread", shrunk)
    with pytest.raises(DataError, match="changed while it was read"):
        read_sources(project(events=events, max_quarantine=1), tmp_path / "q")


# ---- order of the log ----

TARGET = Target.model_validate(
    {
        "population": {"after": "visit", "until": ["lost"], "max_age": "9d"},
        "outcome": ["won", "gone"],
        "horizon": "3d",
        "cutoffs": {"every": "1d"},
    }
)


def mixed(data, chance):
    places = list(range(data.events.num_rows))
    chance.shuffle(places)
    return replace(data, events=data.events.take(pa.array(places, pa.int64())))


@examples(15)
@given(dataset(), spines, st.randoms())
def test_features_do_not_depend_on_log_order(data, spine, chance):
    assert same_bits(
        build_features(mixed(data, chance), spine, CATALOG), build_features(data, spine, CATALOG)
    )


@examples(5)
@given(crowds, st.randoms())
def test_features_of_crowd_do_not_depend_on_log_order(data, chance):
    other, as_of = (
        mixed(data, chance),
        max(data.events["event_time"].to_pylist()) + timedelta(days=1),
    )
    spine = build_training_spine(data, TARGET, as_of)
    assert build_training_spine(other, TARGET, as_of).equals(spine)
    assert build_scoring_spine(other, TARGET, as_of).equals(
        build_scoring_spine(data, TARGET, as_of)
    )
    assert compute_labels(other, spine, TARGET, as_of).equals(
        compute_labels(data, spine, TARGET, as_of)
    )
    some = spine_of([tuple(row.values()) for row in spine.to_pylist()[::3]])
    assert same_bits(build_features(other, some, CATALOG), build_features(data, some, CATALOG))
