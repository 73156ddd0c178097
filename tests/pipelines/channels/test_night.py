"""The channels of a night: published with the scores, and never in their way."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from configs.schema import load_project
from pipelines.channels import night
from pipelines.channels.channels import compute_channels
from pipelines.channels.night import NightChannels, compute_night_channels
from pipelines.customers.night import NightCustomers, compute_night_customers
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from serve.night_tables import select_group
from tests.pipelines import guarded, tiny
from tests.pipelines.channels import company

CUSTOMERS = {"purchases": ["won"], "margin": 0.4}
TABLES = select_group("channels")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Snapshot]:
    """Return a function that reads a small company."""

    def take(**changes: object) -> Snapshot:
        path = company.write(tmp_path, company.draw_rows(300), **changes)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return load_snapshot(load_project(path), company.AS_OF, read_clock())

    return take


@pytest.mark.parametrize("customers", [None, CUSTOMERS])
def test_night_has_the_channels_of_the_command(
    snapshot: Callable[..., Snapshot], customers: dict[str, object] | None
) -> None:
    taken = snapshot(customers=customers)
    computed = compute_night_channels(taken, compute_night_customers(taken))
    assert (computed.reason, computed.problem) == (None, None)
    expected = compute_channels(taken.project, company.AS_OF)
    assert computed.result is not None
    assert computed.result.to_json() == expected.to_json()


def test_keys_of_the_tables_are_those_of_their_grain() -> None:
    assert {table.name: table.key for table in TABLES} == {
        "channels": ("period", "scope", "channel"),
        "channel_weeks": ("week", "channel"),
        "channel_steps": ("from", "to"),
        "channel_basis": ("unit",),
    }


def test_customers_that_are_missing_leave_the_margin_so_far(
    snapshot: Callable[..., Snapshot],
) -> None:
    taken = snapshot(customers=CUSTOMERS)
    computed = compute_night_channels(taken, NightCustomers(problem="MemoryError"))
    assert computed.result is not None
    rows = computed.result.tables.list_rows("channels")
    valued = [row for row in rows if row["margin"]]
    assert valued and all(row["margin"] == row["expected_value"] for row in valued)
    limits = computed.result.basis["limits"]
    assert "no table of customers" in limits and "give a section" not in limits


@pytest.mark.parametrize("changes", [{"publish": {"channels": False}}, {"channels": None}])
def test_channels_that_are_not_asked_for_are_not_computed(
    snapshot: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(night, "build_channels", pytest.fail)
    assert compute_night_channels(snapshot(**changes), NightCustomers()) == NightChannels()


def test_wrong_name_and_a_failure_are_problems(
    snapshot: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = compute_night_channels(snapshot(channels={"touches": ["vieww"]}), NightCustomers())
    assert wrong.problem is not None and "never occurs" in wrong.problem

    def fail(*arguments: object) -> None:
        raise MemoryError("all of it, at lead L0001")

    monkeypatch.setattr(night, "build_channels", fail)
    failed = compute_night_channels(snapshot(), NightCustomers())
    assert failed.problem is not None
    assert failed.problem.startswith("MemoryError") and "L0001" not in failed.problem


@pytest.mark.slow
def test_tables_are_published_and_exported(
    guarded_company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "company"
    shutil.copytree(guarded_company, folder)
    publish = {"funnel": False, "forecast": False, "fit": False}
    channels = {"touches": ["visit"], "window": "30d", "min_accounts": 5}
    guarded.rewrite(folder, guarded.PRIVACY, publish=publish, channels=channels)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = load_project("company.yaml")
    score_night(project, tiny.END, Runner())
    expected = compute_channels(project, tiny.END).tables
    exported = project.workspace_path / "exports" / "current"
    with closing(sqlite3.connect(project.workspace_path / "scores.db")) as database:
        for table in TABLES:
            count = database.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            assert count == expected.tables[table.name].num_rows > 0, table.name
            with (exported / f"{table.name}.csv").open(encoding="utf-8") as file:
                assert len(list(csv.DictReader(file))) == count, table.name

    def fail(*arguments: object) -> None:
        raise MemoryError("all of it")

    # A night whose channels failed is published without those of an earlier run.
    monkeypatch.setattr(night, "build_channels", fail)
    again = score_night(project, tiny.END, Runner()).published
    assert again.table_problems["channels"].startswith("MemoryError")
    with closing(sqlite3.connect(project.workspace_path / "scores.db")) as database:
        for table in TABLES:
            count = database.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            assert count == 0, table.name
