"""The section on the forecast shows the numbers of its tables, in words that are right."""

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pytest

from models.forecast.result import ForecastResult
from serve.page.blocks import read_page_texts
from serve.page.build import build_page
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.parts import LeadCell
from serve.page.sections.funnel.forecast import FIRST_DEALS, MAX_DEALS, build_forecast_section
from tests.browser import chromium, open_file
from tests.pipelines import forecasts
from tests.serve.page.pages import CONFIG, make_data, make_project
from tests.serve.samples import a_run, some_scores

RUN = a_run(targets=("close",))


@pytest.fixture
def show(tmp_path):
    """Return a function that builds the section of a forecast."""

    def build(result, language="en", scores=None, **keys):
        project = make_project(tmp_path, **keys)
        scores = some_scores(RUN, ["L0001"]) if scores is None else scores
        data = make_data(project, scores, RUN, language, forecast=result)
        return build_forecast_section(hide_personal_ids(data))

    return build


def take_rows(**changes):
    return forecasts.build_result([forecasts.build_row(**changes)])


def test_sentence_judges_the_goal(show):
    for chance, verdict in ((0.8, "Probably: "), (0.5, "It is open: "), (0.1, "Probably not: ")):
        section = show(take_rows(p_goal=chance))
        assert section.title == "Will we make the goal?"
        assert section.sentence == (
            f"{verdict}the goal for July 2025 is 220 wins, and the chance to reach it is "
            f"{chance:.0%}. Expected: 216 wins, between 195 and 238. Missing: 4 wins. About 30 "
            "more new deals would close the gap."
        )


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        (
            {"won": 220.0, "p_goal": 1.0},
            "Yes: the goal for July 2025, 220 wins, is reached.",
            "238.",
        ),
        (forecasts.NO_GOAL, "No goal is set for July 2025.", "between 195 and 238."),
        ({"gap": -7.0, "p_goal": 0.999}, "Probably: the goal", "between 195 and 238."),
        ({"needed_new_deals": None}, "It is open", "Missing: 4 wins. Deals that are created now"),
        ({"gap": 0.6, "needed_new_deals": 0.4}, "It is", "Missing: 1 win. About 1 more new deal"),
    ],
)
def test_sentence_says_what_is_missing(show, changes, start, end):
    sentence = show(take_rows(**changes)).sentence
    assert sentence.startswith(start)
    assert end in sentence


def test_chance_is_certain_only_if_it_is(show):
    quotes = {quote.label: quote.value for quote in show(take_rows(p_goal=0.9999)).quotes}
    assert quotes["chance of the goal"] == "more than 99%"
    assert "less than 1%" in show(take_rows(p_goal=0.0001)).sentence


def test_russian_sentence_has_its_forms(show):
    section = show(take_rows(needed_new_deals=21), "ru")
    assert section.title == "Достигнем ли мы цели?"
    assert "цель на июль 2025 — 220 побед" in section.sentence
    assert "примерно 21 новая сделка" in section.sentence
    assert "Ожидается: 216 побед, от 195 до 238." in section.sentence


def test_bars_are_the_parts_of_both_periods(show):
    result = forecasts.build_result()
    chart = show(result).charts[0]
    wins = [row for row in result.forecast.to_pylist() if row["unit"] == "wins"]
    parts = [row["value"] for row in chart.rows if row["part"] is not None]
    names = ("won", "from_open_p50", "from_new_p50")
    assert parts == [row[name] for row in wins for name in names]
    totals = [row for row in chart.rows if row["part"] is None]
    assert [[row[end] for end in ("low", "value", "high", "goal")] for row in totals] == [
        [row["total_p10"], row["total_p50"], row["total_p90"], row["goal"]] for row in wins
    ]
    assert chart.table.rows[0] == [
        "July 2025",
        "81",
        "112 (98 to 127)",
        "23 (14 to 33)",
        "216 (195 to 238)",
        "220",
    ]


def test_changes_lead_from_before_to_after(show):
    chart = show(forecasts.build_result()).charts[1]
    assert [row["kind"] for row in chart.rows][:4] == ["end", "more", "less", "more"]
    assert all(a["end"] == b["start"] for a, b in pairwise(chart.rows[:-1]))
    assert chart.rows[-2]["end"] == pytest.approx(chart.rows[-1]["end"])
    assert chart.table.rows[1] == ["won", "+9.5", "21"]
    assert chart.table.rows[5] == ["amounts of deals", "0", "0"]
    assert chart.table.rows[9] == ["expected now", "216", "–"]
    section = show(forecasts.build_result(changes=[]))
    assert len(section.charts) == 1
    assert not any("week" in note for note in section.notes)


def test_deals_are_those_of_the_table(show):
    deals = [forecasts.build_deal(number) for number in range(1, 131)]
    section = show(forecasts.build_result(deals=deals))
    first, following = section.tables[:2]
    assert (len(first.rows), len(following.rows)) == (FIRST_DEALS, MAX_DEALS - FIRST_DEALS)
    assert following.folded
    assert first.rows[0] == [
        LeadCell("close", "L0001"),
        "proposal",
        "Anna Berg",
        "4.5 d",
        "50.0%",
        "12,000",
        "6,000",
    ]
    # A deal without a score has no details to open.
    assert first.rows[1][0] == "L0002"
    assert "30 more open deals are in deals.csv, next to scores.csv." in section.notes
    plain = [forecasts.build_deal(amount=None, owner=None)]
    table = show(forecasts.build_result(deals=plain)).tables[0]
    assert table.headings == ["deal", "stage", "in the stage for", "chance of a win in time"]
    assert table.numeric == {2, 3}


def test_segments_are_those_of_the_period_and_the_unit(show):
    names = ("all", "Anna Berg", '"all"', "other", "missing")
    rows = [forecasts.build_row(unit, name) for unit in ("wins", "amount") for name in names]
    table = show(forecasts.build_result(rows, deals=[], by="owner")).tables[0]
    assert table.caption == "By owner: July 2025"
    assert [row[0] for row in table.rows] == [
        "all",
        "Anna Berg",
        "all",
        "others",
        "without a value",
    ]
    assert table.rows[1][1:] == ["81", "112", "23", "216 (195 to 238)", "220", "41%", "4", "30"]


def test_notes_say_what_is_known(show):
    result = take_rows()
    assert "Of 8 past forecasts as far ahead, two of three were at most 7% off." in (
        show(result).notes
    )
    unknown = show(replace(result, error_share=float("nan"), knows_rate_only=True))
    assert any("intervals rest on the rates alone" in note for note in unknown.notes)
    assert any("no more than that" in note for note in unknown.notes)
    assert any(
        "`goals` in the config" in note for note in show(take_rows(**forecasts.NO_GOAL)).notes
    )


def test_personal_ids_are_hidden(show):
    leads = CONFIG["sources"]["leads"]
    keys = {"sources": CONFIG["sources"], "privacy": {"personal": [leads["entity_id"]]}}
    section = show(forecasts.build_result(), **keys)
    cells = [row[0] for table in section.tables[:2] for row in table.rows]
    assert cells[0] == LeadCell("close", "close no. 1")
    assert set(cells[1:]) == {"a lead without a score"}


def test_forecast_without_rows_has_no_section(show):
    assert show(None) is None
    assert show(forecasts.build_result([])) is None


def test_result_is_read_back_from_the_tables_of_a_night():
    result = forecasts.build_result(by="owner", knows_rate_only=True)
    back = ForecastResult.from_tables(result.list_night_tables(), result.as_of)
    assert back == result
    assert ForecastResult.from_tables({"forecast": result.forecast}, result.as_of) is None
    none = forecasts.build_result(error_share=float("nan"))
    tables = none.list_night_tables()
    basis = tables["forecast_basis"]
    tables["forecast_basis"] = basis.set_column(3, basis.schema[3], pa.nulls(1, pa.float64()))
    assert str(ForecastResult.from_tables(tables, none.as_of).error_share) == "nan"


@pytest.mark.slow
def test_section_is_drawn_in_a_browser(tmp_path):
    rows = [forecasts.build_row(**forecasts.NO_GOAL)]
    with chromium() as browser:
        # Without a goal, and in a week without a change, nothing but these is drawn.
        for result, marks in (
            (forecasts.build_result(), {"parts": 6, "changes": 8}),
            (forecasts.build_result(rows, changes=[]), {"parts": 3}),
        ):
            data = make_data(
                make_project(tmp_path), some_scores(RUN, ["L0001"]), RUN, forecast=result
            )
            page = build_page(data)
            texts = [text for block in read_page_texts(page) for text in block]
            assert build_forecast_section(data).title in texts
            path = tmp_path / "index.html"
            path.write_bytes(page)
            with open_file(browser, path) as opened:
                assert opened.complaints == []
                for name, count in marks.items():
                    bars = f"[data-chart='forecast-{name}'] [aria-roledescription=bar]"
                    assert opened.page.locator(bars).count() == count
