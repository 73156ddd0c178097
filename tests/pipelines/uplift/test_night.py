"""The uplift of a night: published where its gate passes, and never in the way of the scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import load_project
from models.uplift.schemas import UPLIFT
from pipelines.nightly.score import PARTS
from pipelines.runner import read_clock
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.uplift.night import NightUplift, compute_night_uplift
from pipelines.uplift.uplift import compute_uplift
from serve.night_tables import LEAD_TABLES, prepare_night_table, select_group
from tests.pipelines.uplift import company

Take = Callable[..., Snapshot]


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    """Return a function that reads a small company."""

    def take(leads: int = 1_500, effect: float = 0.5, **changes: Any) -> Snapshot:
        path = company.write(tmp_path, company.draw_rows(leads, effect=effect), **changes)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return load_snapshot(load_project(path), company.AS_OF, read_clock())

    return take


def test_night_has_the_uplift_of_the_command(snapshot: Take) -> None:
    taken = snapshot()
    computed = compute_night_uplift(taken)
    assert (computed.reason, computed.problem) == (None, None)
    assert computed.result is not None
    assert computed.result.to_json() == compute_uplift(taken.project, company.AS_OF).to_json()
    tables = computed.result.tables.by_name()
    assert {table.name for table in select_group("uplift")} == tables.keys()
    for table in select_group("uplift"):
        assert prepare_night_table(table, tables[table.name]).num_rows > 0


def test_columns_of_leads_can_be_delivered() -> None:
    assert LEAD_TABLES["uplift"].rows == UPLIFT
    assert "uplift" in PARTS


def test_refused_ranking_is_not_published_and_the_night_says_why(snapshot: Take) -> None:
    computed = compute_night_uplift(snapshot(600, effect=0.0))
    assert computed.result is None
    assert computed.problem is None
    assert "not published" in str(computed.reason)


def test_company_without_experiments_says_so_in_its_nights(snapshot: Take) -> None:
    sources = {name: rows for name, rows in company.CONFIG["sources"].items()}
    del sources["experiments"]
    computed = compute_night_uplift(snapshot(60, sources=sources))
    assert "nothing was assigned at random" in str(computed.reason)


@pytest.mark.parametrize("changes", [{"publish": {"uplift": False}}, {"uplift": None}])
def test_uplift_that_is_not_asked_for_is_not_computed(
    snapshot: Take, changes: dict[str, Any]
) -> None:
    assert compute_night_uplift(snapshot(60, **changes)) == NightUplift()
