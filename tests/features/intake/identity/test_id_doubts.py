"""Rounded ids: in scientific notation, and floats beyond 2^53."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from configs.errors import DataError
from configs.privacy import Privacy
from features.intake.identity.id_doubts import find_scientific
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project, write

HEAD = "id,born,size\n"


def leads(folder, rows, **more):
    return project(
        {"path": write(folder / "l.csv", HEAD + rows), **LEAD, "attributes": ["size"]}, **more
    )


@pytest.mark.parametrize(
    ("text", "is_scientific"),
    [
        ("1.23E+11", True),
        ("1,23E+11", True),
        ("1e+17", True),
        ("-4E+005", True),
        ("12E5", False),
        ("1E10", False),
        ("12.3E+11", False),
        ("1.23E+11x", False),
        ("1.2.3E+11", False),
        ("A+1", False),
        (None, False),
    ],
)
def test_scientific_notation_is_that_of_a_spreadsheet(text, is_scientific):
    column = pa.chunked_array([pa.array([text, "1+1"], pa.string())])
    assert find_scientific(column).to_pylist() == [is_scientific, False]


def test_rounded_ids_are_named(tmp_path):
    found = read_sources(leads(tmp_path, "A1,2024-01-01,1\n1.23E+11,2024-01-02,2\n"))
    (line,) = found.warnings
    assert "1 of 2 ids ('1.23E+11' in row 3 of" in line and "as text" in line
    assert found.leads.num_rows == 2


def test_rounded_ids_that_leads_share_are_refused(tmp_path):
    chosen = leads(
        tmp_path, "1.23E+11,2024-01-01,1\n1.23E+11,2024-01-02,2\nA,2024-01-02,2\n", max_quarantine=1
    )
    with pytest.raises(DataError, match="rounded to scientific notation") as caught:
        read_sources(chosen)
    assert "2 of 3" in caught.value.found and "'1.23E+11' in row 2" in caught.value.found
    assert "1 rows share one with another lead" in caught.value.found
    hidden = chosen.model_copy(update={"privacy": Privacy(personal=("id",))})
    with pytest.raises(DataError) as caught:
        read_sources(hidden)
    assert "1.23" not in str(caught.value)


def test_log_without_leads_is_refused_if_its_ids_are_rounded(tmp_path):
    rows = "lead,at,what\n1.23E+11,2024-01-01,a\n1.24E+11,2024-01-02,a\nB,2024-01-02,a\n"
    events = [{"path": write(tmp_path / "e.csv", rows), **EVENT}]
    with pytest.raises(DataError, match="scientific notation"):
        read_sources(project(events=events))
    assert "2 of 3 ids" in read_sources(project(events=events, max_quarantine=1)).warnings[0]


def test_floats_beyond_their_precision_are_named(tmp_path):
    ids = pa.array([2.0**53 - 1, 1e17])
    parquet.write_table(pa.table({"id": ids, "born": ["2024-01-01"] * 2}), tmp_path / "x.parquet")
    found = read_sources(project({"path": str(tmp_path / "x.parquet"), **LEAD}))
    assert found.leads["entity_id"].to_pylist() == ["100000000000000000", "9007199254740991"]
    (line,) = found.warnings
    assert "1 of 2 ids ('100000000000000000' in row 2 of" in line and "beyond 2^53" in line


def test_ids_with_blanks_around_them_meet_and_are_named(tmp_path):
    config = project(
        {"path": write(tmp_path / "l.csv", "id,born\nA1 ,2024-01-01\nA2,2024-01-02\n"), **LEAD},
        [{"path": write(tmp_path / "e.csv", "lead,at,what\nA1,2024-01-03,visit\n"), **EVENT}],
    )
    data = read_sources(config)
    assert data.leads["entity_id"].to_pylist() == ["A1", "A2"] and data.events.num_rows == 1
    (line,) = data.warnings
    assert "1 of 2 ids ('A1' in row 2 of" in line and "with blanks around them" in line
