"""Columns of the leads source that the config leaves out, row by row beside the leads."""

import pytest

from configs.schema import load_project
from features.left_out import read_left_out_columns
from features.sources import read_sources

CONFIG = """
project: x
workspace: ws
sources:
  leads: {path: leads.csv, entity_id: id, order: day, attributes: [size]}
targets:
  win: {outcome: {column: won, equals: 1}, amount: size}
privacy: {personal: [email]}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    (tmp_path / "leads.csv").write_text(
        "id,day,size,won,email,e-mail,closed\n"
        "b,2024-01-02,2,1,b@x,B,2024-03-01\n"
        "a,2024-01-01,1,0,a@x,A,\n",
        encoding="utf-8",
    )
    (tmp_path / "x.yaml").write_text(CONFIG, encoding="utf-8")
    return load_project(tmp_path / "x.yaml")


def test_columns_without_a_role_are_read_beside_the_leads(project):
    dataset = read_sources(project)
    left_out = read_left_out_columns(project, dataset)
    assert left_out.table.column_names == ["e-mail", "closed", "day"]
    assert (left_out.order, left_out.problem) == ("day", "")
    assert dataset.leads["entity_id"].to_pylist() == ["a", "b"]
    assert left_out.table["e-mail"].to_pylist() == ["A", "B"]
    assert left_out.table["closed"].to_pylist() == [None, 19_783.0]


def test_columns_that_cannot_be_read_are_a_problem_and_no_error(project, tmp_path):
    dataset = read_sources(project)
    (tmp_path / "leads.csv").unlink()
    left_out = read_left_out_columns(project, dataset)
    assert left_out.table.num_columns == 0 and "leads.csv" in left_out.problem
