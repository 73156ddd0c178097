"""Equal rows from all formats and databases, and the errors of unreadable sources."""

import json
import sqlite3
from datetime import datetime

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pytest
from pyarrow import parquet

from configs.errors import ConfigError, DataError
from features.contracts import INSTANT
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, at, csv_text, project, write

ROWS = [
    {
        "id": 19,
        "born": at(2024, 1, 1, 12),
        "acc": "007",
        "size": 12.0,
        "rate": 0.1 + 0.2,
        "ok": True,
        "name": "Ж",
    },
    {
        "id": 1234567890123456789,
        "born": at(2024, 1, 2),
        "acc": None,
        "size": None,
        "rate": 1e-7,
        "ok": False,
        "name": '🙂"',
    },
    {
        "id": 7,
        "born": at(2024, 1, 3, 1, 2, 3, 456789),
        "acc": "x",
        "size": 3.5,
        "rate": 1e22,
        "ok": None,
        "name": None,
    },
]
TYPES = {
    "id": "bigint",
    "born": "timestamptz",
    "acc": "text",
    "size": "float8",
    "rate": "float8",
    "ok": "boolean",
    "name": "text",
}
EXPECTED = [
    ["1234567890123456789", None, at(2024, 1, 2), at(2024, 1, 2), None, 1e-7, 0.0, '🙂"'],
    ["19", "007", at(2024, 1, 1, 12), at(2024, 1, 1, 12), 12.0, 0.1 + 0.2, 1.0, "Ж"],
    [
        "7",
        "x",
        at(2024, 1, 3, 1, 2, 3, 456789),
        at(2024, 1, 3, 1, 2, 3, 456789),
        3.5,
        1e22,
        None,
        None,
    ],
]


def as_text(row):
    return {key: "" if value is None else value for key, value in row.items()}


def write_csv(folder):
    return {"path": write(folder / "x.csv", csv_text([as_text(row) for row in ROWS]))}


def write_semicolons(folder):
    text = csv_text([as_text(row) for row in ROWS], delimiter=";").replace("\n", "\r\n")
    return {"path": write(folder / "x.csv", "\ufeff" + text)}


def write_parquet(folder):
    parquet.write_table(pa.Table.from_pylist(ROWS), folder / "x.parquet")
    return {"path": str(folder / "x.parquet")}


def write_folder(folder):
    for i, row in enumerate(ROWS):
        (folder / "d").mkdir(exist_ok=True)
        parquet.write_table(
            pa.Table.from_pylist([row], pa.Table.from_pylist(ROWS).schema),
            folder / "d" / f"{i}.parquet",
        )
    return {"path": str(folder / "d")}


def write_jsonl(folder):
    lines = [json.dumps(row, default=datetime.isoformat, ensure_ascii=False) for row in ROWS]
    return {"path": write(folder / "x.jsonl", "\n".join(lines))}


def write_sqlite(folder):
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute(
            "CREATE TABLE t (id integer, born text, acc text, size real, rate real, ok text, "
            "name text)"
        )
        # SQLite has no boolean: true is written as a text here, as its own JSON functions do.
        flags = {True: "true", False: "false", None: None}
        values = [[*row.values()] for row in ROWS]
        values = [[v[0], v[1].isoformat(), *v[2:5], flags[v[5]], v[6]] for v in values]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    return {"database": f"sqlite:///{folder / 'x.db'}", "query": "SELECT * FROM t -- all of it"}


def check_rows(source):
    lead = {**source, **LEAD, "account_id": "acc", "attributes": ["size", "rate", "ok", "name"]}
    found = read_sources(project(lead))
    assert [[*row.values()] for row in found.leads.to_pylist()] == EXPECTED
    return found.fingerprint


WRITERS = [write_csv, write_semicolons, write_parquet, write_folder, write_jsonl, write_sqlite]


def test_formats_give_the_same_rows(tmp_path):
    prints = set()
    for i, writer in enumerate(WRITERS):
        (tmp_path / str(i)).mkdir()
        prints.add(check_rows(writer(tmp_path / str(i))))
    assert len(prints) == 1


@pytest.mark.server
def test_postgresql_gives_the_same_rows(tmp_path, postgresql_url):
    names = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    with (
        adbc_driver_postgresql.dbapi.connect(postgresql_url) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE TABLE leads_pg ({names})")
        marks = ", ".join(f"${i + 1}" for i in range(len(TYPES)))
        schema = pa.Table.from_pylist(ROWS).schema
        cursor.executemany(
            f"INSERT INTO leads_pg VALUES ({marks})", pa.Table.from_pylist(ROWS, schema)
        )
        connection.commit()
    source = {"database": postgresql_url, "query": "SELECT * FROM leads_pg;"}
    assert check_rows(source) == check_rows(write_csv(tmp_path))
    with pytest.raises(DataError, match="PostgreSQL query failed") as caught:
        read_sources(project({**source, "query": "SELECT nope FROM leads_pg", **LEAD}))
    assert "nope" in str(caught.value)


@pytest.mark.server
def test_error_messages_hide_the_password(postgresql_url):
    query = (
        "SELECT 1 AS id, 's3cret/word' FROM nope"  # the server repeats a wrong query in its message
    )
    for url in (postgresql_url, postgresql_url.replace("s3cret", "wr0ng")):
        with pytest.raises(DataError, match=r"nope|authentication") as caught:
            read_sources(project({"database": url, "query": query, **LEAD}))
        assert "/word" not in str(caught.value) and "%2Fword" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_numeric_ids_become_text_without_decimals(tmp_path):
    table = pa.table(
        {"id": pa.array([12.0, 0.5, float("nan")]), "born": pa.array([at(2024, 1, 1)] * 3, INSTANT)}
    )
    parquet.write_table(table, tmp_path / "x.parquet")
    found = read_sources(project({"path": str(tmp_path / "x.parquet"), **LEAD}, max_quarantine=1))
    assert found.leads["entity_id"].to_pylist() == ["0.5", "12"]
    assert found.counts[0].quarantined == {"no id": 1}
    path = write(
        tmp_path / "x.jsonl",
        '{"id": 12.0, "born": "2024-01-01"}\n{"id": "12.0", "born": "2024-01-01"}\n[1]\n{"id"\n',
    )
    found = read_sources(project({"path": path, **LEAD}, max_quarantine=1))
    assert found.leads["entity_id"].to_pylist() == ["12", "12.0"]
    assert found.counts[0].quarantined == {"unreadable row": 2}


def test_date_is_midnight_in_config_zone(tmp_path):
    dates = pa.table({"id": ["a"], "born": pa.array([datetime(2018, 5, 1).date()])})  # noqa: DTZ001
    parquet.write_table(dates, tmp_path / "x.parquet")
    found = read_sources(
        project({"path": str(tmp_path / "x.parquet"), **LEAD}, zone="America/Sao_Paulo")
    )
    assert found.leads["created_at"].to_pylist() == [at(2018, 5, 1, 3)]


@pytest.mark.parametrize("path", ["nowhere.csv", "none/*.csv", "empty"])
def test_missing_files_raise(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read_sources(project(events=[{"path": str(tmp_path / path), **EVENT}]))
    assert path in str(caught.value) and caught.value.fix


def test_missing_column_error_names_file_key_and_suggestion(tmp_path):
    write(tmp_path / "a.csv", "lead,at,what\n")
    write(tmp_path / "b.csv", "lead,att,what\n")
    with pytest.raises(DataError, match="did you mean att") as caught:
        read_sources(project(events=[{"path": str(tmp_path / "*.csv"), **EVENT}]))
    assert "b.csv" in caught.value.where and "sources.events[0].event_time" in caught.value.where


def test_missing_parquet_column_raises_before_reading(tmp_path):
    table = pa.table({"lead": ["1"], "at": [at(2024, 1, 1)], "kind": ["won"]})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="the columns are lead, at, kind") as caught:
        read_sources(project(events=[{"path": str(tmp_path / "x.parquet"), **EVENT}]))
    assert "sources.events[0].event_type" in caught.value.where


def test_parquet_without_rows_has_its_columns(tmp_path):
    leads = pa.table({"id": ["1"], "born": [at(2024, 1, 1)]})
    events = pa.table({"lead": ["1"], "at": [at(2024, 1, 1)], "what": ["won"]})
    parquet.write_table(events, tmp_path / "events.parquet")
    # A row group without a row, which gives no batch.
    parquet.write_table(leads.slice(0, 0), tmp_path / "leads.parquet")
    source = {"path": str(tmp_path / "leads.parquet"), "entity_id": "id", "created_at": "born"}
    log = {"path": str(tmp_path / "events.parquet"), **EVENT}
    with pytest.raises(DataError, match="no usable lead"):
        read_sources(project(leads=source, events=[log]))


def test_missing_column_error_truncates_long_lists(tmp_path):
    write(tmp_path / "wide.csv", ",".join(["lead", "at", *(f"x{n}" for n in range(21))]) + "\n")
    with pytest.raises(DataError, match="x17 and 3 more"):
        read_sources(project(events=[{"path": str(tmp_path / "wide.csv"), **EVENT}]))


def test_unreadable_sources_raise(tmp_path):
    cases = [
        ({"path": write(tmp_path / "x.parquet", "no")}, DataError, "x.parquet"),
        ({"path": write(tmp_path / "x.sav", "no")}, ConfigError, "unknown file extension"),
        ({"database": "sqlite:///nowhere.db", "query": "SELECT 1"}, DataError, "nowhere.db"),
        (
            {"database": "postgresql://u:hidden@127.0.0.1:1/x", "query": "SELECT 1"},
            DataError,
            "PostgreSQL",
        ),
    ]
    for source, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            read_sources(project(events=[{**source, **EVENT}]))
        assert "hidden" not in str(caught.value)


def test_sqlite_types_each_value_not_the_column(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t (lead, at, what)")
        rows = [(None, None, None)] * 1500 + [
            (7, "2024-01-01", b"\x01"),
            ("007", "2024-01-01", "won"),
            (0.5, "2024-01-01", 2),
        ]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.close()
    source = {"database": f"sqlite:///{tmp_path / 'x.db'}", "query": "SELECT * FROM t", **EVENT}
    found = read_sources(project(events=[source], max_quarantine=1))
    assert sorted(tuple(row.values())[0::3] for row in found.events.to_pylist()) == [
        ("0.5", "2"),
        ("007", "won"),
        ("7", "01"),
    ]
    assert found.counts[0].quarantined == {"no id": 1500}


def test_heading_of_two_columns_is_named_with_the_one_that_is_read(tmp_path):
    path = write(tmp_path / "l.csv", "id,born,size,size\na,2024-01-01,1,100\nb,2024-01-02,2,200\n")
    company = project({"path": path, **LEAD, "attributes": ["size"]})
    data = read_sources(company)
    assert data.leads["size"].to_pylist() == [1, 2]
    (warning,) = [line for line in data.counts[0].warnings if "heading" in line]
    assert "'size'" in warning and "name the other one 'size (2)'" in warning
    both = project({"path": path, **LEAD, "attributes": ["size", "size (2)"]})
    assert not [line for line in read_sources(both).counts[0].warnings if "heading" in line]
