"""Sources as leads and events, against plain Python on the same rows, in any order and split."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError, DataError
from configs.night import Capacity
from features.contracts import EVENTS, LEADS
from features.definitions.catalog import build_catalog
from features.sources import list_carried_columns, read_sources
from features.times.data_end import find_data_end
from tests.features.company import EVENT, FULL_EVENT, LEAD, at, csv_text, project, write


def tables(dataset):
    return (
        dataset.leads.to_pylist(),
        sorted(dataset.events.to_pylist(), key=repr),
        dataset.fingerprint,
    )


def adds_up(dataset):
    return all(
        each.rows_in == each.used + each.skipped + sum(each.quarantined.values())
        for each in dataset.counts
    )


# ---- outcome of each row ------------------------------------------------------------------------

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
    """Return the expected instant, None for no time, or the reason as text."""
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
    """Return the expected tuple of an event row, or the reason as text."""
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
    return (
        row["lead"],
        happened,
        max(happened, known or happened),
        row["what"],
        row["via"] or None,
        number,
    )


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
    found = read_sources(project(events=[{"path": path, **FULL_EVENT}], max_quarantine=1))
    tally, seen = plain_counts(map(plain_event, rows))
    assert found.counts[0].quarantined == tally
    assert adds_up(found)
    assert sorted(seen, key=repr) == sorted(
        (tuple(row.values()) for row in found.events.to_pylist()), key=repr
    )
    firsts = {}
    for row in sorted(seen, key=lambda each: each[:3]):
        firsts.setdefault(row[0], row)
    assert [tuple(row.values()) for row in found.leads.to_pylist()] == [
        (key, None, firsts[key][1], firsts[key][2]) for key in sorted(firsts, key=str.encode)
    ]


@settings(max_examples=20)
@example(b"\x80\n\x80")
@given(st.binary(max_size=80) | st.text('7,"\n\r\0ж-', max_size=80).map(str.encode))
def test_hostile_text_is_always_accounted_for(tmp_path_factory, body):
    path = write(tmp_path_factory.mktemp("x") / "e.csv", b"lead,at,what\n7,2024-01-01,won\n" + body)
    try:
        found = read_sources(project(events=[{"path": path, **EVENT}], max_quarantine=1))
    except DataError as error:
        # Signs that two encodings read differently are refused, with both readings.
        assert error.what == "the encoding is in doubt" and " or encoding: " in error.fix
        with pytest.raises(UnicodeDecodeError):
            body.decode()
        return
    assert adds_up(found)
    assert found.counts[0].used == found.events.num_rows >= 0


@settings(max_examples=12)
@given(event_rows, st.randoms(), st.integers(1, 4))
def test_neither_order_nor_split_changes_anything(tmp_path_factory, rows, chance, files):
    leads = [
        {"id": "7", "born": "2023-01-01", "size": "1"},
        {"id": "7", "born": "2023-01-01", "size": ""},
    ]
    leads += [
        {"id": "007", "born": "2023-01-02", "size": "x"},
        {"id": "7", "born": "2022-12-31", "size": "3"},
    ]

    def run(rows, leads, parts):
        folder = tmp_path_factory.mktemp("x")
        for i in range(parts):
            write(folder / f"{i}.csv", csv_text(rows[i::parts], list(rows[0])))
        lead_path = write(folder / "leads.csv.tmp", csv_text(leads))
        lead = {"path": lead_path, "format": "csv", **LEAD, "attributes": ["size"]}
        return read_sources(
            project(lead, [{"path": str(folder / "*.csv"), **FULL_EVENT}], max_quarantine=1)
        )

    mixed, other = rows[:], leads[:]
    chance.shuffle(mixed)
    chance.shuffle(other)
    one, two = run(rows, leads, 1), run(mixed, other, files)
    assert tables(one) == tables(two)
    # Warnings name rows by their place.
    counts = [[replace(count, warnings=()) for count in found.counts] for found in (one, two)]
    assert counts[0] == counts[1]
    assert len(one.warnings) == len(two.warnings)
    assert one.leads["created_at"].to_pylist() == [at(2023, 1, 2), at(2022, 12, 31)]


def test_fingerprint_changes_with_every_cell(tmp_path):
    rows = [{"lead": "1", "at": "2024-01-01", "what": "won", "via": "", "amount": ""}]
    seen = set()
    changes = [
        {},
        {"lead": "2"},
        {"at": "2024-01-01T00:00:00.000001"},
        {"what": "lost"},
        {"via": "w"},
        {"amount": "0"},
    ]
    for change in [*changes, {"amount": "1e-9"}, {"lead": "1w", "what": "on"}]:
        path = write(tmp_path / "e.csv", csv_text([rows[0] | change]))
        mapped = {**EVENT, "channel": "via", "value": "amount"}
        seen.add(read_sources(project(events=[{"path": path, **mapped}])).fingerprint)
    assert len(seen) == 8


# ---- resulting tables ---------------------------------------------------------------------------


def test_tables_obey_the_contracts(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,won\n")
    found = read_sources(project(events=[{"path": path, **EVENT}]))
    assert found.events.schema.equals(EVENTS, check_metadata=True)
    assert found.leads.schema.equals(LEADS, check_metadata=True)


@pytest.mark.parametrize("text", ["lead,at,what\n", "lead,at,what", "lead,at,what\n\n\n"])
def test_empty_log_is_read(tmp_path, text):
    path = write(tmp_path / "e.csv", text)
    found = read_sources(project(events=[{"path": path, **EVENT}]), tmp_path / "q")
    assert (found.leads.num_rows, found.events.num_rows) == (0, 0)
    assert find_data_end(found, ZoneInfo("UTC")) is None
    assert found.counts[0].rows_in == 0
    lead = {
        "path": write(tmp_path / "l.csv", "id,born,x\n"),
        **LEAD,
        "attributes": {"all_except": []},
    }
    assert read_sources(project(lead)).attributes == ["x"]


def test_empty_file_raises(tmp_path):
    with pytest.raises(DataError, match=r"the file is empty.*e\.csv"):
        read_sources(project(events=[{"path": write(tmp_path / "e.csv", ""), **EVENT}]))


def test_logs_are_joined_and_deduplicated(tmp_path):
    one = write(tmp_path / "a.csv", "lead,at,what\n1,2024-01-01,won\n1,2024-01-02,call\n")
    two = write(tmp_path / "b.csv", "who,day\n1,2024-01-01\n2,2024-01-03\n3,\n")
    second = {
        "path": two,
        "entity_id": "who",
        "event_time": "day",
        "event_type": {"constant": "won"},
        "missing_time": "skip",
    }
    found = read_sources(project(events=[{"path": one, **EVENT}, second]))
    rows = [
        (row["entity_id"], row["event_time"].day, row["event_type"])
        for row in found.events.to_pylist()
    ]
    assert rows == [("1", 1, "won"), ("1", 2, "call"), ("2", 3, "won")]
    assert [
        (each.source, each.rows_in, each.used, each.skipped, each.quarantined)
        for each in found.counts
    ] == [
        ("events_1", 2, 2, 0, {}),
        ("events_2", 3, 1, 1, {"duplicate": 1}),
    ]


def test_event_of_unknown_entity_is_quarantined(tmp_path):
    leads = write(tmp_path / "l.csv", "id,born\n1,2024-01-01\n2,\n")
    events = write(
        tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,won\n2,2024-01-01,won\n3,2024-01-01,won\n"
    )
    found = read_sources(
        project(
            {"path": leads, **LEAD, "missing_time": "skip"},
            [{"path": events, **EVENT}],
            max_quarantine=1,
        )
    )
    assert found.counts[0].skipped == 1
    assert found.counts[1].quarantined == {"unknown entity": 2}


def test_account_without_leads_source_is_first_known(tmp_path):
    rows = [
        "1,2024-01-02,a,late,2024-02-01",
        "1,2024-01-03,b,y,",
        "1,2024-01-03,c,x,",
        "2,2024-01-01,a,,",
    ]
    text = "\n".join(["lead,at,what,acc,known", *rows])
    mapped = {**EVENT, "account_id": "acc", "known_at": "known"}
    found = read_sources(project(events=[{"path": write(tmp_path / "e.csv", text), **mapped}]))
    assert [tuple(row.values()) for row in found.leads.to_pylist()] == [
        ("1", "x", at(2024, 1, 2), at(2024, 2, 1)),
        ("2", None, at(2024, 1, 1), at(2024, 1, 1)),
    ]


COLUMN_TARGET = {"win": {"outcome": {"column": "y", "equals": 1}}}


def test_leads_without_times_keep_their_order(tmp_path):
    path = write(tmp_path / "l.csv", "n,y,z\n10,1,b\n9,0,a\n9,1,c\nx,0,d\n")
    lead = {"path": path, "entity_id": "z", "order": "n"}
    by_text = read_sources(project(lead, targets=COLUMN_TARGET))
    assert [row["created_at"].second for row in by_text.leads.to_pylist()] == [1, 0, 1, 3]
    write(tmp_path / "l.csv", "n,y,z\n10,1,b\n9,0,a\n9,1,c\n")
    by_number = read_sources(project(lead, targets=COLUMN_TARGET))
    assert [row["created_at"].second for row in by_number.leads.to_pylist()] == [0, 2, 0]
    by_row = read_sources(project({"path": path, "order": "rows"}, targets=COLUMN_TARGET))
    assert [
        (row["entity_id"], row["created_at"].second, row["y"]) for row in by_row.leads.to_pylist()
    ] == [
        ("1", 0, 1.0),
        ("2", 1, 0.0),
        ("3", 2, 1.0),
    ]
    assert [(each.timed, each.ordered) for each in (by_text, by_row)] == [(False, True)] * 2
    assert not read_sources(
        project({"path": path, "entity_id": "z"}, targets=COLUMN_TARGET)
    ).ordered


def test_outcome_column_is_carried_but_no_feature(tmp_path):
    path = write(tmp_path / "l.csv", "z,a,y,late\n1,x,1,q\n")
    chosen = project({"path": path, "entity_id": "z", "attributes": ["a"]}, targets=COLUMN_TARGET)
    assert (read_sources(chosen).attributes, list_carried_columns(chosen)) == (["a", "y"], {"y"})
    rest = {"path": path, "entity_id": "z", "attributes": {"all_except": ["late"]}}
    assert read_sources(project(rest, targets=COLUMN_TARGET)).attributes == ["a", "y"]


@pytest.mark.parametrize(
    ("attributes", "feature"),
    [(["a"], False), (["a", "who"], True), ({"all_except": ["y", "who"]}, False), ({}, True)],
)
def test_owner_is_carried_and_a_feature_only_as_attribute(tmp_path, attributes, feature):
    path = write(tmp_path / "l.csv", "z,a,y,who\n1,x,1,Ann\n")
    lead = {"path": path, "entity_id": "z", "attributes": attributes or {"all_except": ["y"]}}
    chosen = owned(lead, "who")
    data = read_sources(chosen)
    assert (
        data.leads["who"].to_pylist() == ["Ann"]
        and ("who" not in list_carried_columns(chosen)) == feature
    )
    names = [
        name for name, _ in build_catalog(chosen, data, list_carried_columns(chosen)).attributes
    ]
    assert ("who" in names) == feature and "a" in names
    with pytest.raises(DataError, match=r"capacity\.owner"):
        read_sources(owned(lead, "whom"))


def owned(lead, owner):
    return project(lead, targets=COLUMN_TARGET).model_copy(
        update={"capacity": Capacity(per_week=5, owner=owner)}
    )


def test_invalid_attributes_raise(tmp_path):
    path = write(tmp_path / "l.csv", "id,born,available_at,size\n1,2024-01-01,x,2\n")
    with pytest.raises(ConfigError, match="a column of the leads table"):
        read_sources(project({"path": path, **LEAD, "attributes": {"all_except": []}}))
    with pytest.raises(DataError, match="did you mean size"):
        read_sources(project({"path": path, **LEAD, "attributes": {"all_except": ["sise"]}}))
    target = {
        "win": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "7d"}, "amount": "sizes"}
    }
    with pytest.raises(ConfigError, match="did you mean size"):
        read_sources(project({"path": path, **LEAD, "attributes": ["size"]}, targets=target))


def test_known_at_delays_what_can_be_read(tmp_path):
    text = (
        "id,born,seen\n1,2024-01-01,2024-01-05\n2,2024-01-06,2024-01-05\n3,2024-01-07,\n"
        "4,2024-01-07,what\n"
    )
    path = write(tmp_path / "l.csv", text)
    found = read_sources(project({"path": path, **LEAD, "known_at": "seen"}, max_quarantine=1))
    gaps = [row["available_at"] - row["created_at"] for row in found.leads.to_pylist()]
    assert gaps == [timedelta(days=4), timedelta(0), timedelta(0)]
    assert found.counts[0].quarantined == {"unreadable time": 1}


def test_column_without_name_is_no_attribute_but_named(tmp_path):
    text = ",id,born,,size\n0,a,2024-01-01,,3\n1,b,2024-01-02,,4\n"
    lead = {"path": write(tmp_path / "l.csv", text), **LEAD, "attributes": {"all_except": []}}
    found = read_sources(project(lead))
    assert found.attributes == ["size"]
    (line,) = found.warnings
    assert "column 1 has no name, but values in 2 of 2 rows, the first in row 2" in line
    assert not read_sources(project({**lead, "attributes": ["size"]})).warnings
