"""Sources as leads and events, against plain Python on the same rows, whatever their format, order and split."""

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.errors import ConfigError, DataError
from configs.schema import Project
from features.contracts import EVENTS, INSTANT, LEADS
from features.sources import outcome_columns, read

EVENT = {"entity_id": "lead", "event_time": "at", "event_type": "what"}
FULL_EVENT = {**EVENT, "known_at": "known", "channel": "via", "value": "amount"}
LEAD = {"entity_id": "id", "created_at": "born"}


def project(leads=None, events=(), targets=None, zone="UTC", **sources):
    timed = targets or {"win": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "7d"}}}
    raw = {"leads": leads, "events": list(events), **sources}
    whole = {"project": "p", "workspace": "w", "timezone": zone, "sources": raw, "targets": timed}
    return Project.model_validate(whole)


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def csv_text(rows, names=None, **options):
    text = io.StringIO()
    writer = csv.DictWriter(text, names or list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_ALL, **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def tables(dataset):
    return dataset.leads.to_pylist(), dataset.events.to_pylist(), dataset.fingerprint


def adds_up(dataset):
    return all(each.rows_in == each.used + each.skipped + sum(each.quarantined.values()) for each in dataset.counts)


# ---- what becomes of rows -------------------------------------------------------------------------------------------

ids = st.sampled_from(["007", "7", "1234567890123456789", "Ж🙂", "a b", ""])
times = st.sampled_from(
    [
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-02 03:04:05.678",
        "2024-01-01T00:00+02:00",
        "soon",
        "",
        "17",
        "1800-01-01",
    ]
)
amounts = st.sampled_from(["", "0", "-0", "1.5", "1e3", "x", "inf"])
event_rows = st.lists(
    st.fixed_dictionaries(
        {
            "lead": ids,
            "at": times,
            "what": st.sampled_from(["won", "call", "call", ""]),
            "known": st.sampled_from(["", "2024-01-05", "2023-01-01", "never"]),
            "via": st.sampled_from(["", "phone", "e,mail\n2"]),
            "amount": amounts,
        }
    ),
    min_size=1,
    max_size=14,
)


def plain_time(text):
    """The oracle's reading of a time: an instant, None for none, or the reason as text."""
    if text == "":
        return None
    if text == "17":
        return "wrong type"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "unreadable time"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) if moment.year >= 1900 else "impossible time"


def plain_event(row):
    """The oracle's reading of one event row: the normalised tuple, or the reason as text."""
    happened, known = plain_time(row["at"]), plain_time(row["known"])
    number = None
    if row["lead"] == "":
        return "no id"
    if isinstance(happened, str) or isinstance(known, str):
        return happened if isinstance(happened, str) else known
    if happened is None:
        return "unreadable time"
    if row["what"] == "":
        return "no event type"
    if row["amount"]:
        try:
            number = float(row["amount"])
        except ValueError:
            return "wrong type"
        if number == float("inf"):
            return "wrong type"
    return (row["lead"], happened, max(happened, known or happened), row["what"], row["via"] or None, number)


def plain_counts(outcomes):
    tally, seen = {}, set()
    for outcome in outcomes:
        reason = outcome if isinstance(outcome, str) else "duplicate" if outcome in seen else None
        if reason:
            tally[reason] = tally.get(reason, 0) + 1
        else:
            seen.add(outcome)
    return tally, seen


@settings(max_examples=20)
@given(event_rows)
def test_events_are_what_plain_python_makes_of_the_same_csv(tmp_path_factory, rows):
    path = write(tmp_path_factory.mktemp("x") / "e.csv", csv_text(rows))
    found = read(project(events=[{"path": path, **FULL_EVENT}], max_quarantine=1))
    tally, seen = plain_counts(map(plain_event, rows))
    assert found.counts[0].quarantined == tally
    assert adds_up(found)
    assert sorted(seen, key=repr) == sorted((tuple(row.values()) for row in found.events.to_pylist()), key=repr)
    firsts = {}
    for row in sorted(seen, key=lambda each: each[:3]):
        firsts.setdefault(row[0], row)
    assert [tuple(row.values()) for row in found.leads.to_pylist()] == [
        (key, None, firsts[key][1], firsts[key][2]) for key in sorted(firsts, key=str.encode)
    ]


@settings(max_examples=20)
@given(st.binary(max_size=80) | st.text('7,"\n\r\0ж-', max_size=80).map(str.encode))
def test_hostile_text_is_always_accounted_for(tmp_path_factory, body):
    path = write(tmp_path_factory.mktemp("x") / "e.csv", b"lead,at,what\n7,2024-01-01,won\n" + body)
    found = read(project(events=[{"path": path, **EVENT}], max_quarantine=1))
    assert adds_up(found)
    assert found.counts[0].used == found.events.num_rows >= 0


@settings(max_examples=12)
@given(event_rows, st.randoms(), st.integers(1, 4))
def test_neither_order_nor_split_changes_anything(tmp_path_factory, rows, chance, files):
    leads = [{"id": "7", "born": "2023-01-01", "size": "1"}, {"id": "7", "born": "2023-01-01", "size": ""}]
    leads += [{"id": "007", "born": "2023-01-02", "size": "x"}, {"id": "7", "born": "2022-12-31", "size": "3"}]

    def run(rows, leads, parts):
        folder = tmp_path_factory.mktemp("x")
        for i in range(parts):
            write(folder / f"{i}.csv", csv_text(rows[i::parts], list(rows[0])))
        lead_path = write(folder / "leads.csv.tmp", csv_text(leads))
        lead = {"path": lead_path, "format": "csv", **LEAD, "attributes": ["size"]}
        return read(project(lead, [{"path": str(folder / "*.csv"), **FULL_EVENT}], max_quarantine=1))

    mixed, other = rows[:], leads[:]
    chance.shuffle(mixed)
    chance.shuffle(other)
    one, two = run(rows, leads, 1), run(mixed, other, files)
    assert tables(one) == tables(two)
    assert one.counts == two.counts
    assert one.leads["created_at"].to_pylist() == [at(2023, 1, 2), at(2022, 12, 31)]


def test_any_changed_cell_changes_the_fingerprint(tmp_path):
    rows = [{"lead": "1", "at": "2024-01-01", "what": "won", "via": "", "amount": ""}]
    seen = set()
    changes = [{}, {"lead": "2"}, {"at": "2024-01-01T00:00:00.000001"}, {"what": "lost"}, {"via": "w"}, {"amount": "0"}]
    for change in [*changes, {"amount": "1e-9"}, {"lead": "1w", "what": "on"}]:
        path = write(tmp_path / "e.csv", csv_text([rows[0] | change]))
        mapped = {**EVENT, "channel": "via", "value": "amount"}
        seen.add(read(project(events=[{"path": path, **mapped}])).fingerprint)
    assert len(seen) == 8


# ---- formats --------------------------------------------------------------------------------------------------------

ROWS = [
    {"id": 19, "born": at(2024, 1, 1, 12), "acc": "007", "size": 12.0, "rate": 0.1 + 0.2, "ok": True, "name": "Ж"},
    {
        "id": 1234567890123456789,
        "born": at(2024, 1, 2),
        "acc": None,
        "size": None,
        "rate": 1e-7,
        "ok": False,
        "name": '🙂"',
    },
    {"id": 7, "born": at(2024, 1, 3, 1, 2, 3, 456789), "acc": "x", "size": 3.5, "rate": 1e22, "ok": None, "name": None},
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
    ["7", "x", at(2024, 1, 3, 1, 2, 3, 456789), at(2024, 1, 3, 1, 2, 3, 456789), 3.5, 1e22, None, None],
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
            pa.Table.from_pylist([row], pa.Table.from_pylist(ROWS).schema), folder / "d" / f"{i}.parquet"
        )
    return {"path": str(folder / "d")}


def write_jsonl(folder):
    lines = [json.dumps(row, default=datetime.isoformat, ensure_ascii=False) for row in ROWS]
    return {"path": write(folder / "x.jsonl", "\n".join(lines))}


def write_sqlite(folder):
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute("CREATE TABLE t (id integer, born text, acc text, size real, rate real, ok text, name text)")
        # SQLite has no boolean: true is written as a text here, as its own JSON functions do.
        flags = {True: "true", False: "false", None: None}
        values = [[*row.values()] for row in ROWS]
        values = [[v[0], v[1].isoformat(), *v[2:5], flags[v[5]], v[6]] for v in values]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    return {"database": f"sqlite:///{folder / 'x.db'}", "query": "SELECT * FROM t -- all of it"}


def check_rows(source):
    lead = {**source, **LEAD, "account_id": "acc", "attributes": ["size", "rate", "ok", "name"]}
    found = read(project(lead))
    assert [[*row.values()] for row in found.leads.to_pylist()] == EXPECTED
    return found.fingerprint


WRITERS = [write_csv, write_semicolons, write_parquet, write_folder, write_jsonl, write_sqlite]


def test_every_format_gives_the_same_rows(tmp_path):
    prints = set()
    for i, writer in enumerate(WRITERS):
        (tmp_path / str(i)).mkdir()
        prints.add(check_rows(writer(tmp_path / str(i))))
    assert len(prints) == 1


@pytest.mark.server
def test_postgresql_gives_the_same_rows(tmp_path, postgresql_url):
    names = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    with adbc_driver_postgresql.dbapi.connect(postgresql_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE leads_pg ({names})")
        marks = ", ".join(f"${i + 1}" for i in range(len(TYPES)))
        schema = pa.Table.from_pylist(ROWS).schema
        cursor.executemany(f"INSERT INTO leads_pg VALUES ({marks})", pa.Table.from_pylist(ROWS, schema))
        connection.commit()
    source = {"database": postgresql_url, "query": "SELECT * FROM leads_pg;"}
    assert check_rows(source) == check_rows(write_csv(tmp_path))
    with pytest.raises(DataError, match="did not give the rows") as caught:
        read(project({**source, "query": "SELECT nope FROM leads_pg", **LEAD}))
    assert "nope" in str(caught.value)


@pytest.mark.server
def test_no_message_shows_the_password(postgresql_url):
    query = "SELECT 1 AS id, 's3cret/word' FROM nope"  # the server repeats a wrong query in its message
    for url in (postgresql_url, postgresql_url.replace("s3cret", "wr0ng")):
        with pytest.raises(DataError, match=r"nope|authentication") as caught:
            read(project({"database": url, "query": query, **LEAD}))
        assert "/word" not in str(caught.value) and "%2Fword" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_ids_are_text_as_written_or_as_a_person_writes_a_number(tmp_path):
    table = pa.table({"id": pa.array([12.0, 0.5, float("nan")]), "born": pa.array([at(2024, 1, 1)] * 3, INSTANT)})
    parquet.write_table(table, tmp_path / "x.parquet")
    found = read(project({"path": str(tmp_path / "x.parquet"), **LEAD}, max_quarantine=1))
    assert found.leads["entity_id"].to_pylist() == ["0.5", "12"]
    assert found.counts[0].quarantined == {"no id": 1}
    path = write(
        tmp_path / "x.jsonl", '{"id": 12.0, "born": "2024-01-01"}\n{"id": "12.0", "born": "2024-01-01"}\n[1]\n{"id"\n'
    )
    found = read(project({"path": path, **LEAD}, max_quarantine=1))
    assert found.leads["entity_id"].to_pylist() == ["12", "12.0"]
    assert found.counts[0].quarantined == {"unreadable row": 2}


def test_a_date_is_the_start_of_its_day_in_the_zone_of_the_config(tmp_path):
    dates = pa.table({"id": ["a"], "born": pa.array([datetime(2018, 5, 1).date()])})  # noqa: DTZ001
    parquet.write_table(dates, tmp_path / "x.parquet")
    found = read(project({"path": str(tmp_path / "x.parquet"), **LEAD}, zone="America/Sao_Paulo"))
    assert found.leads["created_at"].to_pylist() == [at(2018, 5, 1, 3)]


# ---- the shape of what is read --------------------------------------------------------------------------------------


def test_tables_obey_the_contracts(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,won\n")
    found = read(project(events=[{"path": path, **EVENT}]))
    assert found.events.schema.equals(EVENTS, check_metadata=True)
    assert found.leads.schema.equals(LEADS, check_metadata=True)


@pytest.mark.parametrize("text", ["lead,at,what\n", "lead,at,what", "lead,at,what\n\n\n"])
def test_an_empty_log_can_be_read(tmp_path, text):
    path = write(tmp_path / "e.csv", text)
    found = read(project(events=[{"path": path, **EVENT}]), tmp_path / "q")
    assert (found.leads.num_rows, found.events.num_rows, found.last_known()) == (0, 0, None)
    assert found.counts[0].rows_in == 0
    lead = {"path": write(tmp_path / "l.csv", "id,born,x\n"), **LEAD, "attributes": {"all_except": []}}
    assert read(project(lead)).attributes == ["x"]


def test_a_file_without_any_text_lacks_the_columns(tmp_path):
    with pytest.raises(DataError, match="the source is empty"):
        read(project(events=[{"path": write(tmp_path / "e.csv", ""), **EVENT}]))


def test_several_logs_become_one_table_and_a_row_in_both_is_a_duplicate(tmp_path):
    one = write(tmp_path / "a.csv", "lead,at,what\n1,2024-01-01,won\n1,2024-01-02,call\n")
    two = write(tmp_path / "b.csv", "who,day\n1,2024-01-01\n2,2024-01-03\n3,\n")
    second = {
        "path": two,
        "entity_id": "who",
        "event_time": "day",
        "event_type": {"constant": "won"},
        "missing_time": "skip",
    }
    found = read(project(events=[{"path": one, **EVENT}, second]))
    rows = [(row["entity_id"], row["event_time"].day, row["event_type"]) for row in found.events.to_pylist()]
    assert rows == [("1", 1, "won"), ("1", 2, "call"), ("2", 3, "won")]
    assert [(each.source, each.rows_in, each.used, each.skipped, each.quarantined) for each in found.counts] == [
        ("events_1", 2, 2, 0, {}),
        ("events_2", 3, 1, 1, {"duplicate": 1}),
    ]


def test_an_event_of_nobody_in_the_leads_is_set_aside(tmp_path):
    leads = write(tmp_path / "l.csv", "id,born\n1,2024-01-01\n2,\n")
    events = write(tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,won\n2,2024-01-01,won\n3,2024-01-01,won\n")
    found = read(
        project({"path": leads, **LEAD, "missing_time": "skip"}, [{"path": events, **EVENT}], max_quarantine=1)
    )
    assert found.counts[0].skipped == 1
    assert found.counts[1].quarantined == {"unknown entity": 2}


def test_without_leads_the_account_is_the_one_known_first(tmp_path):
    rows = ["1,2024-01-02,a,late,2024-02-01", "1,2024-01-03,b,y,", "1,2024-01-03,c,x,", "2,2024-01-01,a,,"]
    text = "\n".join(["lead,at,what,acc,known", *rows])
    mapped = {**EVENT, "account_id": "acc", "known_at": "known"}
    found = read(project(events=[{"path": write(tmp_path / "e.csv", text), **mapped}]))
    assert [tuple(row.values()) for row in found.leads.to_pylist()] == [
        ("1", "x", at(2024, 1, 2), at(2024, 2, 1)),
        ("2", None, at(2024, 1, 1), at(2024, 1, 1)),
    ]


COLUMN_TARGET = {"win": {"outcome": {"column": "y", "equals": 1}}}


def test_leads_without_times_keep_their_order(tmp_path):
    path = write(tmp_path / "l.csv", "n,y,z\n10,1,b\n9,0,a\n9,1,c\nx,0,d\n")
    lead = {"path": path, "entity_id": "z", "order": "n"}
    by_text = read(project(lead, targets=COLUMN_TARGET))
    assert [row["created_at"].second for row in by_text.leads.to_pylist()] == [1, 0, 1, 3]
    write(tmp_path / "l.csv", "n,y,z\n10,1,b\n9,0,a\n9,1,c\n")
    by_number = read(project(lead, targets=COLUMN_TARGET))
    assert [row["created_at"].second for row in by_number.leads.to_pylist()] == [0, 2, 0]
    by_row = read(project({"path": path, "order": "rows"}, targets=COLUMN_TARGET))
    assert [(row["entity_id"], row["created_at"].second, row["y"]) for row in by_row.leads.to_pylist()] == [
        ("1", 0, 1.0),
        ("2", 1, 0.0),
        ("3", 2, 1.0),
    ]
    assert [(each.timed, each.ordered) for each in (by_text, by_row)] == [(False, True)] * 2
    assert not read(project({"path": path, "entity_id": "z"}, targets=COLUMN_TARGET)).ordered


def test_the_outcome_column_comes_along_and_is_named_as_no_feature(tmp_path):
    path = write(tmp_path / "l.csv", "z,a,y,late\n1,x,1,q\n")
    chosen = project({"path": path, "entity_id": "z", "attributes": ["a"]}, targets=COLUMN_TARGET)
    assert (read(chosen).attributes, outcome_columns(chosen)) == (["a", "y"], {"y"})
    rest = {"path": path, "entity_id": "z", "attributes": {"all_except": ["late"]}}
    assert read(project(rest, targets=COLUMN_TARGET)).attributes == ["a", "y"]


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["nowhere.csv", "none/*.csv", "empty"])
def test_files_that_are_not_there(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read(project(events=[{"path": str(tmp_path / path), **EVENT}]))
    assert path in str(caught.value) and caught.value.mend


def test_a_missing_column_names_file_key_and_the_nearest(tmp_path):
    write(tmp_path / "a.csv", "lead,at,what\n")
    write(tmp_path / "b.csv", "lead,att,what\n")
    with pytest.raises(DataError, match="did you mean att") as caught:
        read(project(events=[{"path": str(tmp_path / "*.csv"), **EVENT}]))
    assert "b.csv" in caught.value.where and "sources.events[0].event_time" in caught.value.where


def test_sources_that_cannot_be_read(tmp_path):
    cases = [
        ({"path": write(tmp_path / "x.parquet", "no")}, DataError, "x.parquet"),
        ({"path": write(tmp_path / "x.xls", "no")}, ConfigError, "give format"),
        ({"database": "sqlite:///nowhere.db", "query": "SELECT 1"}, DataError, "nowhere.db"),
        ({"database": "oracle://u:hidden@h/x", "query": "SELECT 1"}, ConfigError, "not known"),
        ({"database": "postgresql://u:hidden@127.0.0.1:1/x", "query": "SELECT 1"}, DataError, "PostgreSQL"),
        ({"database": "postgresql://u:hidden@127.0.0.1:hidden/x", "query": "SELECT 1"}, DataError, "PostgreSQL"),
    ]
    for source, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            read(project(events=[{**source, **EVENT}]))
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
    found = read(project(events=[source], max_quarantine=1))
    assert [tuple(row.values())[0::3] for row in found.events.to_pylist()] == [
        ("0.5", "2"),
        ("007", "won"),
        ("7", "01"),
    ]
    assert found.counts[0].quarantined == {"no id": 1500}


def test_attributes_that_cannot_be(tmp_path):
    path = write(tmp_path / "l.csv", "id,born,available_at,size\n1,2024-01-01,x,2\n")
    with pytest.raises(ConfigError, match="own columns"):
        read(project({"path": path, **LEAD, "attributes": {"all_except": []}}))
    with pytest.raises(DataError, match="did you mean size"):
        read(project({"path": path, **LEAD, "attributes": {"all_except": ["sise"]}}))
    target = {"win": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "7d"}, "amount": "sizes"}}
    with pytest.raises(ConfigError, match="did you mean size"):
        read(project({"path": path, **LEAD, "attributes": ["size"]}, targets=target))


def test_known_at_delays_what_can_be_read(tmp_path):
    text = "id,born,seen\n1,2024-01-01,2024-01-05\n2,2024-01-06,2024-01-05\n3,2024-01-07,\n4,2024-01-07,what\n"
    path = write(tmp_path / "l.csv", text)
    found = read(project({"path": path, **LEAD, "known_at": "seen"}, max_quarantine=1))
    gaps = [row["available_at"] - row["created_at"] for row in found.leads.to_pylist()]
    assert gaps == [timedelta(days=4), timedelta(0), timedelta(0)]
    assert found.counts[0].quarantined == {"unreadable time": 1}
