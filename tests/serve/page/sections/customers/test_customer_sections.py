"""The sections on customers: their figures are those of the tables, in each language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import load_project
from models.customers.result import CustomerTables
from pipelines.customers.customers import compute_customers
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.page_data import PageData
from serve.page.sections.customers.at_stake import (
    build_customers_at_stake,
    select_at_stake,
)
from serve.page.sections.customers.states import build_customer_states
from serve.page.sections.funnel.lead_cells import FIRST_LISTED
from tests.pipelines.customers import company, subscriptions
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

Make = Callable[..., PageData]


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> CustomerTables:
    """Return the customers of a shop."""
    folder = tmp_path_factory.mktemp("shop")
    company.write(folder, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return compute_customers(load_project("shop.yaml"), company.AS_OF).tables


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(customers: CustomerTables | None, language: str = "en", **keys: Any) -> PageData:
        project = make_project(tmp_path, **keys)
        run = a_run(targets=tuple(project.targets))
        scores = some_scores(run, ["L0020"])
        return make_data(project, scores, run, language, customers=customers)

    return build


@pytest.mark.parametrize("language", ["en", "ru"])
def test_states_and_flows_are_shown(make: Make, customers: CustomerTables, language: str) -> None:
    data = make(customers, language)
    section = build_customer_states(data)
    assert section is not None
    words, rows = data.words, customers.list_rows("customer_states")
    states, flows, track = section.tables
    retention = section.charts[0].table
    assert [row[1] for row in states.rows] == [words.number(row["customers"]) for row in rows]
    counted = customers.list_rows("customer_flows")
    shown = [cell for row in flows.rows for cell in row[1:] if cell != "–"]
    assert sorted(shown) == sorted(words.number(row["customers"]) for row in counted)
    assert len(retention.rows) >= 4 and len(track.rows) >= 2
    assert len(section.charts[0].rows) > 10
    assert [quote.value for quote in section.quotes][-1] == words.amount(
        customers.list_rows("customer_basis")[0]["clv"]
    )
    texts = [section.title, section.sentence, *section.notes]
    assert not any("{" in text for text in texts)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_customers_at_stake_come_in_their_order(
    make: Make, customers: CustomerTables, language: str
) -> None:
    data = make(customers, language)
    section = build_customers_at_stake(data)
    assert section is not None
    listed = select_at_stake(customers.tables["customers"]).to_pylist()
    assert all(row["state"] != "lapsed" for row in listed)
    names = [getattr(row[0], "entity", row[0]) for row in section.tables[0].rows]
    assert names == [row["entity_id"] for row in listed[:FIRST_LISTED]]
    at_stake = [row["save_value"] for row in listed]
    assert at_stake == sorted(at_stake, reverse=True)


def test_sections_are_absent_without_customers(make: Make) -> None:
    assert build_customer_states(make(None)) is None
    assert build_customers_at_stake(make(None)) is None
    assert CustomerTables.from_tables({}) is None


def test_personal_ids_are_replaced(make: Make, customers: CustomerTables) -> None:
    data = make(customers, privacy={"personal": ["id"]})
    hidden = hide_personal_ids(data).customers
    assert hidden is not None
    for name in ("customers", "win_backs"):
        shown = set(hidden.tables[name]["entity_id"].to_pylist())
        assert not shown & set(customers.tables[name]["entity_id"].to_pylist())


@pytest.mark.parametrize("language", ["en", "ru"])
def test_contracts_have_texts_of_their_own(
    make: Make,
    customers: CustomerTables,
    language: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscriptions.write_company(tmp_path, 300)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    tables = compute_customers(load_project("contracts.yaml"), subscriptions.AS_OF).tables
    shown, other = (build_customer_states(make(rows, language)) for rows in (tables, customers))
    assert shown is not None and other is not None
    assert shown.quotes[0].label != other.quotes[0].label
    assert "{" not in " ".join(shown.notes) and not {*shown.notes} & {*other.notes}
    grace = make(tables, language).words.language.days(30)
    assert grace in shown.notes[0]
    assert shown.charts[0].caption != other.charts[0].caption
    stakes = build_customers_at_stake(make(tables, language))
    reviews = [row["next_review"] for row in tables.list_rows("customers") if row["next_review"]]
    assert stakes is not None and reviews
    assert stakes.notes[-1] == make(tables, language).words.text(stakes.name, "note_contract")
