"""Rows without an id that repeat each other, against loops over all pairs of rows."""

import csv
import json
from itertools import combinations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import load_project
from features.contracts import SourceCount
from features.intake.reading import RawRows
from features.intake.repeated_rows import note_repeated_rows
from features.sources import read_sources

CONFIG = """
project: p
workspace: w
sources:
  leads: {{path: {path}, {keys}attributes: [size, land]}}
targets:
  win: {{outcome: {{column: won, equals: 1}}}}
privacy: {{personal: [{personal}]}}
"""
HEAD = ("size", "land", "noted", "won")


def read(folder, rows, keys="", personal="", kind="csv"):
    path = folder / f"leads.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEAD, *rows])
    else:
        lines = [json.dumps(dict(zip(HEAD, row, strict=True))) for row in rows]
        path.write_text("\n".join(lines), "utf-8")
    config = folder / "company.yaml"
    config.write_text(CONFIG.format(path=path, keys=keys, personal=personal), "utf-8")
    return read_sources(load_project(config))


def groups_of(count):
    repeated = count.repeated
    if repeated is None:
        return {}
    return dict(
        zip(repeated["entity_id"].to_pylist(), repeated["group_id"].to_pylist(), strict=True)
    )


ROWS = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.sampled_from(["DE", "FR", None]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([0, 1]),
    ),
    min_size=1,
    max_size=9,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a config of leads with the columns of HEAD and without ids."""
    path = tmp_path_factory.mktemp("company") / "company.yaml"
    path.write_text(CONFIG.format(path="leads.csv", keys="", personal=""), "utf-8")
    return load_project(path)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.data())
def test_groups_are_rows_that_equal_each_other(project, rows, data):
    used = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    columns = dict(zip(("c0", "c1", "c2", "c3"), zip(*rows, strict=True), strict=True))
    table = pa.table({"row": range(2, len(rows) + 2)} | columns)
    raw, source = RawRows(HEAD, table, "leads.csv"), project.sources.leads
    ids = pa.chunked_array([[str(place) if use else None for place, use in enumerate(used)]])
    count = SourceCount("leads", len(rows), sum(used))
    count = note_repeated_rows(count, project, source, raw, ids, {"won"})
    expected = {}
    for first, second in combinations(range(len(rows)), 2):
        if used[first] and used[second] and rows[first][:3] == rows[second][:3]:
            expected[str(second)] = expected.setdefault(str(first), str(first))
    assert groups_of(count) == expected
    (line,) = count.warnings or [""]
    assert bool(line) == bool(expected)
    if expected:
        outcomes = {group: set() for group in expected.values()}
        for entity, group in expected.items():
            outcomes[group].add(rows[int(entity)][3])
        mixed = sum(len(values) > 1 for values in outcomes.values())
        counts = f"{len(expected)} of {sum(used)} rows repeat each other in {len(outcomes)} groups"
        assert counts in line
        assert (f"{mixed} of the groups contradict" in line) == (mixed > 0)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_copies_are_found_in_every_format(tmp_path, kind):
    data = read(tmp_path, [(1, "DE", "x", 1), (2, None, "x", 0), (1, "DE", "x", 0)], kind=kind)
    assert groups_of(data.counts[0]) == {"1": "1", "3": "1"}
    found = data.find_groups(data.leads["entity_id"]).to_pylist()
    assert found == ["rows 1", None, "rows 1"]


def test_warning_names_two_rows_and_their_values(tmp_path):
    data = read(tmp_path, [(1, "DE", "x", 1), (2, "FR", "x", 0), (1, "DE", "x", 0)])
    (line,) = data.warnings
    assert "such as rows 2 and 4 with size=1, land=DE, noted=x; 1 of the groups contradict" in line


def test_personal_values_are_not_shown(tmp_path):
    data = read(tmp_path, [(1, "DE", "x", 1), (1, "DE", "x", 0)], personal="noted")
    (line,) = data.warnings
    assert "noted" not in line and "size=1" in line


def test_rows_that_differ_in_an_unused_column_are_no_copies(tmp_path):
    data = read(tmp_path, [(1, "DE", "x", 1), (1, "DE", "y", 1)])
    assert groups_of(data.counts[0]) == {}


@pytest.mark.parametrize("first", [0, 1, 70])
def test_row_numbers_do_not_hide_copies(tmp_path, first):
    data = read(tmp_path, [(1, place % 5, first + place, 1) for place in range(10)])
    assert set(groups_of(data.counts[0]).values()) == {"1", "2", "3", "4", "5"}


def test_leads_with_ids_are_not_compared(tmp_path):
    data = read(tmp_path, [(1, "DE", "x", 1), (1, "DE", "y", 1)], keys="entity_id: noted, ")
    assert groups_of(data.counts[0]) == {} and data.warnings == []


def test_accounts_are_the_groups_where_they_are_mapped(tmp_path):
    data = read(tmp_path, [(1, "DE", "x", 1), (1, "DE", "x", 1)], keys="account_id: noted, ")
    assert data.find_groups(data.leads["entity_id"]).to_pylist() == ["account x", "account x"]
