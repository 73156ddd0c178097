"""Buying committees of the simulated company: who joins, and when a contact is known."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from configs.schema import load_project
from features.names.roles import find_role
from features.sources import read_sources
from pipelines.demo import COMMITTEES_PATH
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block, write_company
from tests.pipelines.buying_group.companies import LAW, load_committees, make_company


@pytest.fixture(scope="module")
def data():
    return make_company(load_committees(), 7)


def test_committees_change_nothing_of_a_company_without_them():
    plain, group = (simulate_block(3, 0, 800, committees=law) for law in (None, LAW))
    own = group.leads.filter(pc.starts_with(group.leads["entity_id"], "L"))
    kept = ["entity_id", "account_id", "created_at", "industry", "source", "owner"]
    assert own.select(kept) == plain.leads.select(kept)
    assert "title" not in plain.leads.column_names


def test_contacts_are_known_as_the_law_says(data):
    leads = data.leads
    late = pc.greater(leads["available_at"], leads["created_at"]).to_numpy()
    assert set(leads["role"].filter(pa.array(late)).to_pylist()) == {LAW.late_role}
    assert late.sum() == pc.sum(pc.equal(leads["role"], LAW.late_role)).as_py() > 300
    won = pc.unique(data.events.filter(pc.equal(data.events["event_type"], "won"))["entity_id"])
    accounts = leads["account_id"].filter(pc.is_in(leads["entity_id"], value_set=won))
    with_late = leads["account_id"].filter(pa.array(late))
    share = pc.mean(pc.is_in(accounts.drop_null(), value_set=with_late)).as_py()
    assert LAW.late_chances[1] - 0.05 < share


def test_written_committees_are_read_with_roles_and_without_titles(tmp_path, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    write_company(tmp_path / "data", 300, committees=LAW)
    own = load_project(COMMITTEES_PATH)
    read = read_sources(own, tmp_path / "quarantine", tmp_path / "scratch", END)
    block = simulate_block(7, 0, 300, committees=LAW)
    truth = {
        name: (find_role(title or "", own.accounts.roles), known)
        for name, title, known in zip(
            *(block.leads[c].to_pylist() for c in ("entity_id", "title", "available_at")),
            strict=True,
        )
    }
    columns = (read.leads[name].to_pylist() for name in ("entity_id", "role", "available_at"))
    assert {name: (role, known) for name, role, known in zip(*columns, strict=True)} == truth
    assert "title" not in read.leads.column_names
    assert not any("CFO" in str(column.to_pylist()) for column in read.leads.columns)
