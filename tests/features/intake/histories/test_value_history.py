"""Attribute histories in both formats, against plain Python on the same rows."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError, DataError
from features.contracts import VALUES
from features.definitions.attributes import as_of_join
from features.sources import read_sources
from features.tools.instants import to_microseconds
from tests.features.company import EVENT, LEAD, at, csv_text, project, write
from tests.features.test_sources import plain_counts, plain_time

WIDE = {
    "entity_id": "lead",
    "valid_from": "at",
    "known_at": "known",
    "columns": ["segment", "size"],
}
LONG = {
    "entity_id": "lead",
    "valid_from": "at",
    "known_at": "known",
    "attribute": "field",
    "value": "new",
}
LEADS_CSV = "id,born,home\n7,2023-01-01,x\n007,2023-01-02,y\n"

shared = {
    "lead": st.sampled_from(["7", "7", "007", "8", ""]),
    "at": st.sampled_from(
        ["2024-01-01", "2024-01-02", "2024-01-01T00:00Z", "soon", "", "17", "1800-01-01"]
    ),
    "known": st.sampled_from(["", "2024-01-05", "2023-01-01", "never"]),
}
texts = st.sampled_from(["", "1", "a", "Ж,\n🙂", "-"])
wide_rows = st.lists(
    st.fixed_dictionaries({**shared, "segment": texts, "size": texts}), min_size=1, max_size=12
)
long_rows = st.lists(
    st.fixed_dictionaries(
        {**shared, "field": st.sampled_from(["size", "stage", ""]), "new": texts}
    ),
    min_size=1,
    max_size=12,
)


def read_csv(folder, mapped, rows, files=1):
    """Read one history of the two leads from its rows, split into files."""
    folder.mkdir(exist_ok=True)
    for i in range(files):
        write(folder / f"{i}.csv", csv_text(rows[i::files], list(rows[0])))
    lead = {"path": write(folder / "leads.txt", LEADS_CSV), **LEAD}
    source = {"path": str(folder / "*.csv"), "missing": ["-"], **mapped}
    return read_sources(project(lead, attributes=[source], max_quarantine=1), folder / "q")


def plain_row(row, cells, only=()):
    """Return the expected tuple of a row with (attribute, value) pairs, or the reason as text."""
    happened, known = plain_time(row["at"]), plain_time(row["known"])
    if only and row["field"] not in ("", *only):
        return "skipped"
    if row["lead"] == "":
        return "no id"
    for moment in (happened, known):
        if isinstance(moment, str):
            return moment
    if happened is None:
        return "unreadable time"
    if cells[0][0] == "":
        return "no attribute name"
    if row["lead"] == "8":
        return "unknown entity"
    pairs = tuple((name, None if text in ("", "-") else text) for name, text in cells)
    return (row["lead"], happened, max(happened, known or happened), pairs)


def check(found, outcomes):
    """Compare the values read with the expected outcome of each row."""
    tally, seen = plain_counts(outcomes)
    count = found.counts[-1]
    assert (count.source, count.rows_in, count.used) == ("attributes_1", len(outcomes), len(seen))
    assert (count.skipped, count.quarantined) == (tally.pop("skipped", 0), tally)
    expected = {
        (who, name, since, known, text) for who, since, known, pairs in seen for name, text in pairs
    }
    order = sorted(expected, key=lambda row: (*row[:4], row[4] is not None, row[4] or ""))
    assert [tuple(row.values()) for row in found.values.to_pylist()] == order
    assert found.values.schema.equals(VALUES, check_metadata=True)


@settings(max_examples=8)
@given(wide_rows)
def test_wide_history_equals_plain_python(tmp_path_factory, rows):
    found = read_csv(tmp_path_factory.mktemp("x"), WIDE, rows)
    check(
        found, [plain_row(row, [(name, row[name]) for name in ("segment", "size")]) for row in rows]
    )


@settings(max_examples=8)
@given(long_rows, st.sampled_from([(), ("size",), ("size", "stage")]))
def test_long_history_equals_plain_python(tmp_path_factory, rows, only):
    found = read_csv(tmp_path_factory.mktemp("x"), {**LONG, "only": list(only)}, rows)
    check(found, [plain_row(row, [(row["field"], row["new"])], only) for row in rows])


@settings(max_examples=4)
@given(long_rows, st.randoms(), st.integers(1, 4))
def test_history_is_independent_of_order_and_split(tmp_path_factory, rows, chance, files):
    mixed = rows[:]
    chance.shuffle(mixed)
    folder = tmp_path_factory.mktemp("x")
    one, two = read_csv(folder / "a", LONG, rows), read_csv(folder / "b", LONG, mixed, files)
    assert one.values.equals(two.values)
    assert (one.counts, one.fingerprint) == (two.counts, two.fingerprint)


def row(lead="7", when="2024-01-01", field="size", new="1"):
    return {"lead": lead, "at": when, "known": "", "field": field, "new": new}


def test_wide_and_long_history_give_the_same_values(tmp_path):
    changes = [
        row(),
        row(field="segment", new="a"),
        row(when="2024-02-01", field="segment", new=""),
    ]
    changes += [row(when="2024-02-01")]
    states = [{"lead": "7", "at": "2024-01-01", "known": "", "segment": "a", "size": "1"}]
    states += [states[0] | {"at": "2024-02-01", "segment": ""}]
    long, wide = read_csv(tmp_path / "a", LONG, changes), read_csv(tmp_path / "b", WIDE, states)
    assert long.values.equals(wide.values)
    assert long.fingerprint == wide.fingerprint
    assert [(each.rows_in, each.used) for each in (long.counts[1], wide.counts[1])] == [
        (4, 4),
        (2, 2),
    ]
    assert long.values["value"].to_pylist() == ["a", None, "1", "1"]


def test_wide_rows_sharing_a_value_give_it_once(tmp_path):
    one = {"lead": "7", "at": "2024-01-01", "known": "", "segment": "a", "size": "1"}
    found = read_csv(tmp_path, WIDE, [one, one | {"size": "2"}, one])
    assert (found.counts[1].used, found.counts[1].quarantined) == (2, {"duplicate": 1})
    assert list(
        zip(*found.values.select(["attribute", "value"]).to_pydict().values(), strict=True)
    ) == [
        ("segment", "a"),
        ("size", "1"),
        ("size", "2"),
    ]


def test_rows_of_unselected_attributes_are_skipped(tmp_path):
    found = read_csv(
        tmp_path,
        {**LONG, "only": ["size"]},
        [row(), row(lead="", field="stage"), row(when="", field="x")],
    )
    assert (found.counts[1].used, found.counts[1].skipped, found.counts[1].quarantined) == (
        1,
        2,
        {},
    )


def test_history_rows_are_quarantined_as_they_were(tmp_path):
    read_csv(tmp_path, LONG, [row(), row(lead="8"), row(field="", new="x")])
    with (tmp_path / "q" / "attributes_1.csv").open(newline="") as file:
        bad = list(csv.DictReader(file))
    assert [(each["row"], each["reason"]) for each in bad] == [
        ("3", "unknown entity"),
        ("4", "no attribute name"),
    ]
    assert json.loads(bad[1]["original"]) == {**row(new="x"), "known": None, "field": None}


def test_history_quarantine_limit_raises(tmp_path):
    lead = {"path": write(tmp_path / "l.csv", LEADS_CSV), **LEAD}
    source = {"path": write(tmp_path / "h.csv", csv_text([row(), row(lead="8")])), **LONG}
    with pytest.raises(DataError, match="attributes_1") as caught:
        read_sources(project(lead, attributes=[source]))
    assert "1 of 2 (1 unknown entity)" in str(caught.value)
    with pytest.raises(DataError, match="no such column") as caught:
        read_sources(project(lead, attributes=[{**source, "value": "nw"}]))
    assert "sources.attributes[0].value" in caught.value.where and "did you mean new" in str(
        caught.value
    )


def test_history_row_without_time_can_be_skipped(tmp_path):
    found = read_csv(tmp_path, {**LONG, "missing_time": "skip"}, [row(), row(when="")])
    assert (found.counts[1].used, found.counts[1].skipped, found.counts[1].quarantined) == (
        1,
        1,
        {},
    )


def test_history_without_leads_source_uses_event_entities(tmp_path):
    events = {"path": write(tmp_path / "e.csv", "lead,at,what\n7,2024-01-01,won\n"), **EVENT}
    history = {"path": write(tmp_path / "h.csv", csv_text([row(), row(lead="9")])), **LONG}
    found = read_sources(project(events=[events], attributes=[history], max_quarantine=1))
    assert found.values.to_pylist() == [
        {
            "entity_id": "7",
            "attribute": "size",
            "valid_from": at(2024, 1, 1),
            "available_at": at(2024, 1, 1),
            "value": "1",
        }
    ]
    assert [count.source for count in found.counts] == ["events_1", "attributes_1"]
    assert found.counts[1].quarantined == {"unknown entity": 1}


def test_history_changes_the_fingerprint_unless_empty(tmp_path):
    lead = {"path": write(tmp_path / "l.csv", LEADS_CSV), **LEAD}
    seen = [read_sources(project(lead)).fingerprint]
    for rows in (
        [],
        [row()],
        [row(new="2")],
        [row(new="")],
        [row(field="sizes")],
        [row(when="2024-01-02")],
    ):
        source = {"path": write(tmp_path / "h.csv", csv_text(rows, list(row()))), **LONG}
        seen.append(read_sources(project(lead, attributes=[source])).fingerprint)
    # Recorded before histories existed: fingerprints without any history must stay the same.
    assert seen[0] == seen[1] == "f58bdc61c9dc7b2a"
    assert len(set(seen)) == len(seen) - 1


@pytest.mark.parametrize(
    ("fields", "leads", "words"),
    [
        (["home"], ["home"], "'home' is already defined in sources.leads"),
        (["home"], {"all_except": []}, "'home' is already defined in sources.leads"),
        (["size"], ["home"], "'size' is already defined in sources.attributes[0]"),
        (["created_at"], [], "'created_at' is already defined in the leads table"),
    ],
)
def test_attribute_defined_twice_raises(tmp_path, fields, leads, words):
    lead = {"path": write(tmp_path / "l.csv", LEADS_CSV), **LEAD, "attributes": leads}
    first = {"path": write(tmp_path / "h.csv", csv_text([row()])), **LONG}
    second = {
        "path": write(tmp_path / "i.csv", csv_text([row(field=name) for name in fields])),
        **LONG,
    }
    with pytest.raises(ConfigError) as caught:
        read_sources(project(lead, attributes=[first, second]))
    assert "sources.attributes[1]" in caught.value.where and words in str(caught.value)
    assert (
        read_sources(project(lead, attributes=[first, {**second, "only": ["none of them"]}]))
        .counts[2]
        .skipped
        == 1
    )


def test_history_without_leads_raises(tmp_path):
    lead = {"path": write(tmp_path / "l.csv", "id,born\n"), **LEAD}
    with pytest.raises(DataError, match="no usable lead"):
        read_sources(
            project(
                lead, attributes=[{"path": write(tmp_path / "h.csv", csv_text([row()])), **LONG}]
            )
        )


def join_values(folder, rows, cutoffs, **keys):
    folder.mkdir(exist_ok=True)
    lines = [{"lead": "7", **row} for row in rows]
    write(folder / "h.csv", csv_text(lines, ["lead", "since", "until", "known", "w"]))
    lead = {"path": write(folder / "leads.txt", LEADS_CSV), **LEAD}
    source = {"path": str(folder / "h.csv"), "entity_id": "lead", "valid_from": "since"}
    source |= {"valid_to": "until", "known_at": "known", "columns": ["w"], **keys}
    dataset = read_sources(project(lead, attributes=[source], max_quarantine=1))
    entity = dataset.lead_ids.find(pa.array(["7"] * len(cutoffs))).astype(np.int64)
    instants = np.array([to_microseconds(cutoff) for cutoff in cutoffs], np.int64)
    joined = as_of_join(dataset.values, "w", "category", entity, instants, dataset.lead_ids)
    return joined.to_pylist(), dataset


def test_value_is_unknown_after_its_end_and_not_before_it_is_known(tmp_path):
    rows = [
        {"since": "2024-01-01", "until": "2024-01-03", "known": "", "w": "a"},
        {"since": "2024-01-05", "until": "2024-01-06", "known": "2024-01-07", "w": "b"},
        {"since": "2024-01-04", "until": "", "known": "2024-01-08", "w": "c"},
    ]
    cutoffs = [at(2024, 1, day) for day in range(1, 10)]
    found, _ = join_values(tmp_path, rows, cutoffs)
    assert found == [None, "a", "a", None, None, None, None, None, "c"]


def test_end_before_the_start_is_a_bad_row(tmp_path):
    rows = [
        {"since": "2024-01-05", "until": "2024-01-04", "known": "", "w": "a"},
        {"since": "2024-01-05", "until": "soon", "known": "", "w": "b"},
        {"since": "2024-01-05", "until": "2024-01-05", "known": "", "w": "c"},
        {"since": "2024-01-01", "until": "infinity", "known": "", "w": "d"},
    ]
    found, dataset = join_values(tmp_path, rows, [at(2024, 1, 9)])
    assert found == ["d"]
    assert dataset.counts[1].quarantined == {
        "unreadable time": 1,
        "valid_to before valid_from": 1,
    }


def test_long_history_ends_by_attribute(tmp_path):
    text = (
        "lead,at,until,field,new\n"
        "7,2024-01-01,2024-01-03,size,1\n"
        "7,2024-01-01,,stage,x\n"
        "7,2024-01-02,2024-01-05,stage,y\n"
    )
    lead = {"path": write(tmp_path / "leads.txt", LEADS_CSV), **LEAD}
    source = {"path": write(tmp_path / "h.csv", text), **LONG, "valid_to": "until"}
    source.pop("known_at")
    dataset = read_sources(project(lead, attributes=[source]))
    rows = [
        (row["attribute"], row["available_at"].day, row["value"])
        for row in dataset.values.to_pylist()
    ]
    assert rows == [
        ("size", 1, "1"),
        ("size", 3, None),
        ("stage", 1, "x"),
        ("stage", 2, "y"),
        ("stage", 5, "x"),
    ]
