"""The sections on fit: their figures are those of the tables, in each language."""

import dataclasses

import pyarrow as pa
import pytest

from configs.schema import load_project
from models.fit.result import FitTables
from pipelines.fit.fit import compute_account_fit
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.sections.fit.profile import build_fit_profile
from serve.page.sections.fit.white_space import build_white_space
from serve.page.sections.funnel.lead_cells import FIRST_LISTED
from tests.pipelines.fit import company
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Return the fit of a company in which mills buy more."""
    folder = tmp_path_factory.mktemp("mills")
    company.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return compute_account_fit(load_project("mills.yaml"), company.AS_OF).tables


@pytest.fixture
def make(tmp_path):
    def build(fit, language="en", **keys):
        project = make_project(tmp_path, **keys)
        run = a_run(targets=tuple(project.targets))
        return make_data(project, some_scores(run, ["L00020"]), run, language, fit=fit)

    return build


def cells_of(table):
    return [[getattr(cell, "entity", cell) for cell in row] for row in table.rows]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_profile_shows_each_row_class_and_cell(make, fit, language):
    data = make(fit, language)
    section = build_fit_profile(data)
    profile, classes, grid, refused, _ = (cells_of(table) for table in section.tables)
    assert any("segment" in str(row) for row in refused)
    words = data.words
    rows = fit.fit_profile.to_pylist()
    assert [row[1] for row in profile] == [row["value"] for row in rows]
    assert [row[4] for row in profile] == [words.number(row["customers"]) for row in rows]
    lifts = [words.number(row["lift"], 2) for row in rows]
    assert all(row[6].startswith(lift) for row, lift in zip(profile, lifts, strict=True))
    assert [row[0] for row in classes] == ["A", "B", "C"]
    shown = [row[1] for row in classes]
    assert shown == [words.number(row["accounts"]) for row in fit.fit_classes.to_pylist()]
    by_cell = {row["cell"]: row for row in fit.fit_grid.to_pylist()}
    for place, name in enumerate("ABC"):
        for level in (1, 2, 3):
            text, row = grid[place][level], by_cell[f"{name}{level}"]
            assert text.endswith(f": {words.number(row['open_accounts'])}")
            if row["accounts"]:
                assert text.startswith(words.percent(row["win_rate"]))
    best = fit.fit_classes.to_pylist()[0]
    assert words.amount(best["value_per_account"]) in section.sentence
    texts = [section.title, section.sentence, *section.notes]
    assert not any("{" in text for text in texts)


def test_white_space_lists_accounts_that_fit_and_are_silent(make, fit):
    section = build_white_space(make(fit))
    expected = [
        row["entity_id"]
        for row in fit.fit_accounts.to_pylist()
        if row["fit_class"] == "A" and row["state"] == "silent"
    ]
    listed = [row[0] for table in section.tables for row in cells_of(table)]
    assert listed == expected[:100] and len(section.tables[0].rows) == FIRST_LISTED
    assert section.sentence.startswith(f"{len(expected)} of ")
    # Pressing a lead with a score opens it; others are texts.
    first = section.tables[0].rows
    assert [getattr(row[0], "entity", None) for row in first][:2] == ["L00020", None]


def test_company_without_a_profile_says_so(make, fit):
    empty = dataclasses.replace(fit, fit_profile=fit.fit_profile.slice(0, 0))
    section = build_fit_profile(make(empty))
    assert "beyond chance" in section.sentence
    refused, _ = section.tables
    assert any("segment" in str(row) for row in cells_of(refused))
    assert build_white_space(make(empty)) is None
    assert build_fit_profile(make(None)) is None and build_white_space(make(None)) is None


def test_page_without_a_threshold_or_silent_accounts_says_so(make, fit):
    basis = fit.fit_basis.set_column(
        fit.fit_basis.column_names.index("threshold_days"),
        fit.fit_basis.schema.field("threshold_days"),
        pa.nulls(1, pa.int64()),
    )
    unknown = dataclasses.replace(fit, fit_basis=basis)
    assert "cannot be measured yet" in build_white_space(make(unknown)).sentence
    busy = fit.fit_accounts.filter(fit.fit_accounts["silent_days"].to_numpy() < 5)
    section = build_white_space(make(dataclasses.replace(fit, fit_accounts=busy)))
    assert section.sentence.startswith("No account that fits is silent")


def test_personal_ids_are_not_shown(make, fit):
    sources = {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "created",
            "account_id": "firm",
            "attributes": ["industry"],
        },
        "events": [
            {"path": "events.csv", "entity_id": "id", "event_time": "at", "event_type": "type"}
        ],
    }
    data = make(fit, sources=sources, privacy={"personal": ["id", "firm"]})
    hidden = hide_personal_ids(data).fit
    names = set(hidden.fit_accounts["entity_id"].drop_null().to_pylist())
    assert len(names) == 1 and not names & set(fit.fit_accounts["entity_id"].to_pylist())
    assert hidden.fit_accounts["account_id"].null_count == hidden.fit_accounts.num_rows


def test_tables_come_back_from_a_store(fit):
    stored = {
        name: table.append_column("run_id", table[table.column_names[0]])
        for name, table in fit.by_name().items()
    }
    assert FitTables.from_tables(stored) == fit
    assert FitTables.from_tables({"fit_grid": fit.fit_grid}) is None
