"""The section on channels: its figures are those of the tables, in each language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import load_project
from models.channels.credits import METHODS
from models.channels.result import ChannelTables
from pipelines.channels.channels import compute_channels
from serve.page.content.page_data import PageData
from serve.page.sections.channels.section import build_channel_section
from tests.pipelines.channels import company
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

Make = Callable[..., PageData]
Compute = Callable[..., ChannelTables]


@pytest.fixture
def compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compute:
    """Return a function that computes the channels of a company."""

    def run(as_of: str = company.AS_OF, costs: bool = True, **keys: Any) -> ChannelTables:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        channels = {**company.CONFIG["channels"], **keys}
        sources = dict(company.CONFIG["sources"])
        if not costs:
            del sources["costs"]
        rows = company.draw_rows(400)
        path = company.write(tmp_path, rows, channels=channels, sources=sources)
        return compute_channels(load_project(path), as_of).tables

    return run


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(channels: ChannelTables | None, language: str = "en") -> PageData:
        project = make_project(tmp_path)
        run = a_run(targets=tuple(project.targets))
        scores = some_scores(run, ["L0020"])
        return make_data(project, scores, run, language, channels=channels)

    return build


def select_rows(tables: ChannelTables, scope: str = "channel") -> list[dict[str, Any]]:
    rows = tables.list_rows("channels")
    return [row for row in rows if row["period"] == "all" and row["scope"] == scope]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_costs_and_credit_are_those_of_the_tables(
    make: Make, compute: Compute, language: str
) -> None:
    tables = compute()
    data = make(tables, language)
    section = build_channel_section(data)
    assert section is not None
    words, rows, [total] = data.words, select_rows(tables), select_rows(tables, "total")
    [costs], [periods] = section.opening, section.tables
    assert [row[0] for row in costs.rows[1:]] == [row["channel"] for row in rows]
    for shown, row in zip(costs.rows, [total, *rows], strict=True):
        assert shown[2] == ("–" if row["cost"] is None else words.amount(row["cost"]))
        assert shown[3] == words.number(row["customers"])
        if row["cac"] is not None:
            assert shown[4].startswith(words.amount(row["cac"]))
            assert words.amounts(row["cac_low"], row["cac_high"]) in shown[4]
        assert shown[1] == words.text("channels", "not_tested")
    [chart] = section.charts
    for row in rows:
        marks = [mark["credit"] for mark in chart.rows if mark["channel"] == row["channel"]]
        credits = [row[f"{name}_credit"] for name in METHODS]
        assert marks == ([] if credits[0] is None else pytest.approx(credits))
    by_period = [r for r in tables.list_rows("channels") if r["scope"] == "total"][1:]
    assert [row[0] for row in periods.rows] == [row["period"] for row in by_period]
    assert words.amount(total["cost"]) in section.sentence
    assert words.number(total["customers"]) in section.sentence


def test_section_says_which_number_is_cost_credit_and_effect(make: Make, compute: Compute) -> None:
    section = build_channel_section(make(compute()))
    assert section is not None
    assert section.sentence.endswith(
        "Cost is what was spent. Credit is how a rule splits the customers who came. Effect is how "
        "many would not have come without the channel: only an experiment shows it."
    )
    quote = section.quotes[-1]
    assert (quote.label, quote.value) == ("effect", "not tested")
    # No column of the table of costs is a credit, and the chart shows nothing else.
    assert not any("credit" in heading for heading in section.opening[0].headings)
    assert "credit" in section.charts[0].caption.lower()


def test_channel_that_loses_money_is_named(make: Make, compute: Compute) -> None:
    tables = compute(margin=0.02)
    losing = [row["channel"] for row in select_rows(tables) if (row["roi"] or 0) < 0]
    section = build_channel_section(make(tables))
    assert section is not None and losing
    assert all(name in section.sentence for name in losing)
    assert "More is spent than" in section.sentence


def test_costs_that_are_missing_are_not_zero(make: Make, compute: Compute) -> None:
    tables = compute(costs=False)
    section = build_channel_section(make(tables))
    assert section is not None
    assert {row[2] for row in section.opening[0].rows} == {"–"}
    assert "not known" in section.sentence
    assert [quote.label for quote in section.quotes] == ["effect"]


def test_channels_without_figures_are_named(make: Make, compute: Compute) -> None:
    tables = compute(min_accounts=80)
    refused = [r["channel"] for r in select_rows(tables) if r["first_credit"] is None]
    section = build_channel_section(make(tables))
    assert section is not None
    assert refused and any("80" in note and refused[0] in note for note in section.notes)
    unknown = [row["channel"] for row in select_rows(tables) if row["cost"] is None]
    assert unknown and any(", ".join(unknown) in note for note in section.notes)


def test_young_company_sees_when_figures_will_come(make: Make, compute: Compute) -> None:
    tables = compute(as_of="2024-04-15")
    section = build_channel_section(make(tables))
    assert section is not None
    first = min(row["mature_at"] for row in tables.list_rows("channels"))
    assert f"{first:%Y-%m-%d}" in section.sentence
    assert not section.charts and not section.opening and len(section.tables) == 1


def test_page_without_channels_has_no_section(make: Make) -> None:
    assert build_channel_section(make(None)) is None
