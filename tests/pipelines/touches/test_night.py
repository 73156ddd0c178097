"""The touches of a night: those of the command, for the database, files and a CRM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from configs.schema import load_project
from pipelines.nightly.crm_delivery import list_lead_tables
from pipelines.runner import read_clock
from pipelines.touches import night
from pipelines.touches.night import NightTouches, compute_night_touches
from pipelines.touches.touches import compute_touches
from pipelines.training_data import Snapshot, load_snapshot
from serve.night_tables import prepare_night_table, select_group
from tests.pipelines.touches import company

TABLES = select_group("touches")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Snapshot]:
    """Return a function that reads a small company."""

    def take(**changes: Any) -> Snapshot:
        path = company.write(tmp_path, company.draw_rows(300), **changes)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return load_snapshot(load_project(path), company.AS_OF, read_clock())

    return take


def test_night_has_the_touches_of_the_command(snapshot: Callable[..., Snapshot]) -> None:
    taken = snapshot()
    computed = compute_night_touches(taken)
    assert (computed.reason, computed.problem) == (None, None)
    assert computed.result is not None
    expected = compute_touches(taken.project, company.AS_OF)
    assert computed.result.to_json() == expected.to_json()
    stored = {
        table.name: prepare_night_table(table, computed.result.tables.tables[table.name])
        for table in TABLES
    }
    assert stored["next_touch"].num_rows > 100
    assert stored["touch_basis"].num_rows == 1


def test_leads_of_next_touches_are_in_the_table_once(snapshot: Callable[..., Snapshot]) -> None:
    assert {table.name: table.key for table in TABLES} == {
        "next_touch": ("entity_id",),
        "touch_hazard": ("cut", "value", "touch_no"),
        "touch_basis": ("touch_types",),
    }
    # So they may be delivered to a CRM, and are erased and suppressed with their lead.
    assert "next_touch" in list_lead_tables(snapshot().project)


@pytest.mark.parametrize("changes", [{"publish": {"touches": False}}, {"touches": None}])
def test_touches_that_are_not_asked_for_are_not_computed(
    snapshot: Callable[..., Snapshot], changes: dict[str, Any]
) -> None:
    taken = snapshot(**changes)
    assert compute_night_touches(taken) == NightTouches()
    assert "next_touch" not in list_lead_tables(taken.project)


def test_failure_of_the_touches_is_a_problem_and_no_error(
    snapshot: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = snapshot()

    def fail(_: Snapshot) -> None:
        raise pa.ArrowInvalid("out of range")

    monkeypatch.setattr(night, "build_touches", fail)
    computed = compute_night_touches(taken)
    assert computed.result is None
    assert computed.problem is not None and "ArrowInvalid" in computed.problem


def test_company_without_a_touch_is_a_reason_and_no_warning(
    snapshot: Callable[..., Snapshot],
) -> None:
    computed = compute_night_touches(snapshot(touches={"replies": ["answer"]}))
    assert computed.problem is None
    assert computed.reason is not None and "no lead was touched" in computed.reason
