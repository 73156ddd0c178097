"""Leads with equal ids: named if they differ, refused beyond a share; and duplicates of a log."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.privacy import Privacy
from features.intake.identity.equal_ids import find_equal_ids
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project, write


def leads(folder, rows, **more):
    text = "id,born,size,plan\n" + "".join(f"{row}\n" for row in rows)
    source = {"path": write(folder / "l.csv", text), **LEAD, "attributes": ["size", "plan"]}
    return project(source, **more)


def many(rows=100):
    return [f"L{i},2024-01-01,{i},a" for i in range(rows)]


def test_leads_with_equal_ids_are_named_with_the_column(tmp_path):
    rows = [*many(), "L7,2024-01-02,7,b", "L8,2024-01-01,8,c"]
    found = read_sources(leads(tmp_path, rows))
    (line,) = found.warnings
    assert "2 of 102 rows have another row's id and other content" in line
    assert "'L7' in rows 9 and 102" in line and "'plan' differs most often (2)" in line
    assert found.counts[0].quarantined == {"duplicate": 2}
    hidden = leads(tmp_path, rows).model_copy(update={"privacy": Privacy(personal=("id",))})
    (line,) = read_sources(hidden).warnings
    assert "L7" not in line and "rows 9 and 102" in line


def test_leads_with_equal_ids_stop_the_run_beyond_a_share(tmp_path):
    rows = [*many(), *(f"L{i},2024-01-01,{i},b" for i in range(3))]
    with pytest.raises(DataError, match="too many bad rows") as caught:
        read_sources(leads(tmp_path, rows))
    assert "3 of 103 (3 duplicate, 3 of them with other content)" in caught.value.found
    assert read_sources(leads(tmp_path, rows, max_quarantine=0.03)).leads.num_rows == 100


def test_equal_rows_of_leads_pass_up_to_half(tmp_path):
    found = read_sources(leads(tmp_path, many() * 2))
    assert found.counts[0].quarantined == {"duplicate": 100} and not found.warnings
    with pytest.raises(DataError, match="too many bad rows") as caught:
        read_sources(leads(tmp_path, many() * 3))
    assert "sources.max_duplicates (0.5)" in caught.value.fix
    assert read_sources(leads(tmp_path, many() * 3, max_duplicates=0.7)).leads.num_rows == 100


def test_log_that_was_delivered_twice_passes_and_three_times_does_not(tmp_path):
    text = "".join(f"L{i},2024-01-01,a\n" for i in range(50))
    events = [{"path": write(tmp_path / "e.csv", "lead,at,what\n" + text * 2), **EVENT}]
    assert read_sources(project(events=events)).events.num_rows == 50
    write(tmp_path / "e.csv", "lead,at,what\n" + text * 3)
    with pytest.raises(DataError, match="too many bad rows") as caught:
        read_sources(project(events=events))
    assert "sources.max_duplicates" in caught.value.fix


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(["x", None])),
        min_size=1,
        max_size=6,
    )
)
def test_conflicts_are_rows_that_differ_from_the_first_known(rows):
    size = len(rows)
    same = pa.table(
        {
            "nr": list(range(size)),
            "entity_id": [row[0] for row in rows],
            "available": [row[1] for row in rows],
            "time": [0] * size,
            "sort_number": pa.nulls(size, pa.float64()),
            "sort_text": pa.nulls(size, pa.string()),
            "account_id": pa.nulls(size, pa.string()),
            "a0": pa.array([row[2] for row in rows], pa.string()),
        }
    )
    found = find_equal_ids(same, {"available": "born", "a0": "plan"})
    first = {}
    for nr in sorted(range(size), key=lambda nr: (rows[nr][1], rows[nr][2] or "", nr)):
        first.setdefault(rows[nr][0], nr)
    again = [nr for nr in range(size) if first[rows[nr][0]] != nr]
    assert found.again.to_pylist() == again
    conflicts = [nr for nr in again if rows[nr] != rows[first[rows[nr][0]]]]
    assert found.conflicts.tolist() == conflicts
    assert found.firsts.tolist() == [first[rows[nr][0]] for nr in conflicts]
    assert found.differences == {
        name: sum(rows[nr][i] != rows[first[rows[nr][0]]][i] for nr in again)
        for i, name in ((1, "born"), (2, "plan"))
    }
