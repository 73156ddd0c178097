"""The section on next touches: its figures are those of the tables, in each language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import load_project
from models.touches.result import TouchTables
from pipelines.touches.touches import compute_touches
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.page_data import PageData
from serve.page.sections.funnel.lead_cells import FIRST_LISTED
from serve.page.sections.touches.next_touches import build_next_touches_section, list_hazard
from tests.pipelines.touches import company
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

Make = Callable[..., PageData]


@pytest.fixture(scope="module")
def touches(tmp_path_factory: pytest.TempPathFactory) -> TouchTables:
    """Return the touches of a company."""
    folder = tmp_path_factory.mktemp("touches")
    path = company.write(folder, company.draw_rows(400))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return compute_touches(load_project(path), company.AS_OF).tables


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(touches: TouchTables | None, language: str = "en", **keys: Any) -> PageData:
        project = make_project(tmp_path, **keys)
        run = a_run(targets=tuple(project.targets))
        scores = some_scores(run, ["L0020"])
        return make_data(project, scores, run, language, touches=touches)

    return build


@pytest.mark.parametrize("language", ["en", "ru"])
def test_leads_that_are_due_come_in_the_order_of_the_night(
    make: Make, touches: TouchTables, language: str
) -> None:
    data = make(touches, language)
    section = build_next_touches_section(data)
    assert section is not None
    due = [row for row in touches.list_rows("next_touch") if row["state"] == "due"]
    shown = [getattr(row[0], "entity", row[0]) for row in section.tables[0].rows]
    assert shown == [row["entity_id"] for row in due[:FIRST_LISTED]] and shown
    worth = [row["net_value"] for row in due if row["net_value"] is not None]
    assert worth == sorted(worth, reverse=True)
    basis = touches.list_rows("touch_basis")[0]
    for name in ("due", "waiting", "replied", "stopped", "opted_out"):
        assert data.words.number(basis[name]) in section.sentence
    texts = [section.title, section.sentence, *section.notes]
    assert not any("{" in text for text in texts)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_chart_has_the_chance_with_its_band_and_the_naive_figure_apart(
    make: Make, touches: TouchTables, language: str
) -> None:
    section = build_next_touches_section(make(touches, language))
    assert section is not None
    [chart], hazard = section.charts, list_hazard(touches)
    own = [row for row in chart.rows if row["low"] is not None]
    naive = [row for row in chart.rows if row["low"] is None]
    assert [row["share"] for row in own] == [row["hazard"] for row in hazard]
    assert all(row["low"] <= row["share"] <= row["high"] for row in own)
    assert [row["share"] for row in naive] == [
        row["naive"] for row in hazard if row["naive"] is not None
    ]
    assert len({row["kind"] for row in chart.rows}) == 2


def test_section_is_absent_without_touches(make: Make) -> None:
    assert build_next_touches_section(make(None)) is None


def test_personal_ids_of_touches_are_replaced(make: Make, touches: TouchTables) -> None:
    hidden = hide_personal_ids(make(touches, privacy={"personal": ["id"]})).touches
    assert hidden is not None
    shown = set(hidden.tables["next_touch"]["entity_id"].to_pylist())
    assert not shown & set(touches.tables["next_touch"]["entity_id"].to_pylist())
