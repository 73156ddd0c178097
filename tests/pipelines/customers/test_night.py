"""The customers of a night: published with the scores, and never in their way."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from configs.schema import Project, load_project
from pipelines.customers import night
from pipelines.customers.customers import compute_customers
from pipelines.customers.night import NightCustomers, compute_night_customers
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from serve.night_tables import select_group
from tests.pipelines import guarded, tiny
from tests.pipelines.customers import company

KEYS = ("entity_id", "state")
NAMES = [table.name for table in select_group("customers")]


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Snapshot]:
    """Return a function that reads a small shop at an as-of."""

    def take(as_of: str = company.AS_OF, **changes: object) -> Snapshot:
        company.write(tmp_path, 300, **changes)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return load_snapshot(load_project("shop.yaml"), as_of, read_clock())

    return take


def test_night_has_the_customers_of_the_command(snapshot: Callable[..., Snapshot]) -> None:
    computed = compute_night_customers(snapshot())
    assert (computed.reason, computed.problem) == (None, None)
    expected = compute_customers(load_project("shop.yaml"), company.AS_OF)
    assert computed.result is not None
    assert computed.result.to_json() == expected.to_json()


@pytest.mark.parametrize("changes", [{"publish": {"customers": False}}, {"customers": None}])
def test_customers_that_are_not_asked_for_are_not_computed(
    snapshot: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(night, "build_customers", pytest.fail)
    assert compute_night_customers(snapshot(**changes)) == NightCustomers()


def test_wrong_name_and_a_failure_are_problems(
    snapshot: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = compute_night_customers(snapshot(customers={"purchases": ["ordre"]}))
    assert wrong.problem is not None and "never occurs" in wrong.problem

    def fail(*arguments: object) -> None:
        raise MemoryError("all of it, at lead L0001")

    monkeypatch.setattr(night, "build_customers", fail)
    failed = compute_night_customers(snapshot())
    assert failed.problem is not None
    assert failed.problem.startswith("MemoryError") and "L0001" not in failed.problem


@pytest.mark.slow
def test_tables_are_published_and_exported(
    guarded_company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "company"
    shutil.copytree(guarded_company, folder)
    columns = {"State": "customers.state", "Value": "customers.clv"}
    publish = {
        "funnel": False,
        "forecast": False,
        "fit": False,
        "exports": {"crm": {"format": "jsonl", "columns": columns}},
    }
    guarded.rewrite(
        folder, guarded.PRIVACY, publish=publish, customers={"purchases": ["met", "bought"]}
    )
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = load_project("company.yaml")
    score_night(project, tiny.END, Runner())
    expected = compute_customers(project, tiny.END).tables
    exported = project.workspace_path / "exports" / "current"
    with closing(sqlite3.connect(project.workspace_path / "scores.db")) as database:
        for name in NAMES:
            count = database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            assert count == expected.tables[name].num_rows, name
            with (exported / f"{name}.csv").open(encoding="utf-8") as file:
                assert len(list(csv.DictReader(file))) == count, name
    assert expected.tables["customers"].num_rows > 50
    page = (exported / "index.html").read_text(encoding="utf-8")
    assert 'id="customer_states"' in page
    states = dict(zip(*(expected.tables["customers"][n].to_pylist() for n in KEYS), strict=True))
    assert read_delivered_states(project) == states

    def fail(*arguments: object) -> None:
        raise MemoryError("all of it")

    # A night without the table, whose computation failed, leaves the CRM what it has.
    monkeypatch.setattr(night, "build_customers", fail)
    score_night(project, "2025-01-02", Runner())
    assert read_delivered_states(project) == states


def read_delivered_states(project: Project) -> dict[str, str]:
    """Return the state of each customer in the newest full delivery."""
    folder = project.workspace_path / "exports" / "crm" / "current"
    lines = (folder / "part-0001.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["entity_id"]: row["State"] for row in rows if row["State"] is not None}
