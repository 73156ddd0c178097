"""The section on the forecast shows the numbers of its tables, in words that are right."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from models.forecast.result import ForecastResult
from serve.page.blocks import read_page_texts
from serve.page.build import build_page
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.parts import LeadCell
from serve.page.sections.forecast.deals import FIRST_DEALS, MAX_DEALS
from serve.page.sections.forecast.section import build_forecast_section
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


PAST = (
    "Of the last 8 forecasts 31 days ahead, 6 were within 7% of the wins that came; the worst was "
    "14% too low."
)


def test_sentence_judges_the_goal(show):
    for chance, verdict in (
        (0.8, "Probably: "),
        (0.5, "It may go either way: "),
        (0.1, "Probably not: "),
    ):
        section = show(take_rows(p_goal=chance))
        assert section.title == "Will we make the goal?"
        assert section.sentence == (
            f"{verdict}the goal for July 2025 is 220 wins, and the chance to reach it is "
            f"{chance:.0%}. Expected: 216 wins, four times out of five 195–238. Missing on "
            "average: 4 wins. A chance of 80% takes 16 wins more than expected. With new leads "
            "alone that is 71 on top of the 210 that come anyway (34% more). "
            f"{PAST}"
        )


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        (
            {"won": 220.0, "p_goal": 1.0},
            "Yes: the goal for July 2025, 220 wins, is reached.",
            "195–238. Of",
        ),
        (forecasts.NO_GOAL, "No goal is set for July 2025.", "195–238. Of"),
        ({"gap": -7.0, "p_goal": 0.999} | forecasts.SAFE, "Probably", "of the goal by 7 wins. Of"),
        ({"gap": -7.0}, "It may go", "by 7 wins. A chance of 80% takes 16 wins more"),
        (
            {"safe_new_deals": None},
            "It may go either way",
            "16 wins more than expected. New leads hardly close in",
        ),
        ({"gap": 0.6}, "It may", "average: 1 win. To win the 2 open"),
        ({"safe_gap": 0.6}, "It may", "takes 1 win more than"),
        (
            {"safe_new_deals": 104.1},
            "It may go either way",
            "alone that is 105 on top of the 210 that come any",
        ),
        ({"safe_new_deals": 106.0}, "It may go either way", "(50% more): not realistic."),
        (
            {"expected_new_deals": 0.0},
            "It may go either way",
            "With new leads alone that is 71 more.",
        ),
    ],
)
def test_sentence_says_what_is_missing(show, changes, start, end):
    sentence = show(take_rows(**changes)).sentence
    assert sentence.startswith(start)
    assert end in sentence


def test_gap_of_an_amount_is_told_in_wins_and_open_leads(show):
    """A lead that is not won lacks 6,000."""
    for gap, leads in ((11_000.0, "the 2 open leads"), (6_000.0, "the open lead ")):
        rows = [
            forecasts.build_row(**forecasts.NO_GOAL),
            forecasts.build_row("amount", scale=1000.0, gap=gap),
        ]
        sentence = show(forecasts.build_result(rows)).sentence
        assert "80% takes 16.0\u00a0k more than expected: 17 more wins." in sentence
        assert f"To win {leads}" in sentence
    rows[1] |= {"gap": 30_001.0}
    assert "To win" not in show(forecasts.build_result(rows)).sentence


def test_chance_is_certain_only_if_it_is(show):
    quotes = {quote.label: quote.value for quote in show(take_rows(p_goal=0.9999)).quotes}
    assert quotes["chance of the goal of July 2025"] == "more than 99%"
    assert "less than 1%" in show(take_rows(p_goal=0.0001)).sentence


def test_quarter_stands_beside_the_month(show):
    quarter = {"period": "quarter", "end": datetime(2025, 10, 1, tzinfo=UTC), "p_goal": 0.3}
    rows = [forecasts.build_row(), forecasts.build_row(**quarter)]
    section = show(forecasts.build_result(rows))
    assert [quote.label for quote in section.quotes] == [
        "expected in July 2025",
        "chance of the goal of July 2025",
        "expected in Q3 2025",
        "chance of the goal of Q3 2025",
        "won so far in July 2025",
    ]
    assert [bar.name for bar in section.values["periods"]] == ["July 2025", "Q3 2025"]


def test_russian_sentence_has_its_forms(show):
    section = show(take_rows(safe_new_deals=21), "ru")
    assert section.title == "Достигнем ли мы цели?"
    assert "цель на июль 2025 — 220 побед" in section.sentence
    assert "Для вероятности 80\u00a0% нужно ещё 16 побед сверх ожидаемых." in section.sentence
    assert "это ещё 21 сверх 210, которые придут и так (на 10\u00a0% больше)" in section.sentence
    assert "Ожидается: 216 побед, в четырёх случаях из пяти 195–238." in section.sentence


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
        "4",
        "50%",
        "12.0\u00a0k",
        "6.00\u00a0k",
    ]
    # A deal without a score has no details to open.
    assert first.rows[1][0] == "L0002"
    assert "30 more open leads are in deals.csv, next to scores.csv." in section.notes
    plain = [forecasts.build_deal(amount=None, owner=None)]
    table = show(forecasts.build_result(deals=plain)).tables[0]
    assert table.headings == ["lead", "stage", "days in the stage", "chance to win by 31 July"]
    assert table.numeric == {2, 3}


def test_segments_are_those_of_the_period_and_the_unit_the_worst_first(show):
    chances = {"all": 0.41, "Anna Berg": 0.5, '"all"': 0.2, "other": 0.5, "missing": None}
    rows = [
        forecasts.build_row(
            unit, name, p_goal=chance, gap=None if chance is None else 4.0 + len(name)
        )
        for unit in ("wins", "amount")
        for name, chance in chances.items()
    ]
    table = show(forecasts.build_result(rows, deals=[], by="deal_owner")).tables[0]
    assert table.caption == "July 2025 by deal owner, the goal most in danger first"
    assert table.headings[0] == "deal owner"
    assert [row[0] for row in table.rows] == [
        "all leads",
        "all",
        "Anna Berg",
        "others",
        "without a value",
    ]
    assert table.rows[2][1:] == ["81", "112", "23", "216 (195–238)", "220", "50%", "13 short", "17"]
    assert table.headings[-2:] == ["against the goal", "more wins for a chance of 80%"]
    # A phone shows each of them in a line.
    assert not table.compact and not table.extra


def test_notes_say_what_is_known(show):
    result = take_rows()
    assert PAST in show(result).sentence
    unknown = show(replace(result, track=result.track.slice(0, 0), knows_rate_only=True))
    assert "ranges rest on the rates alone" in unknown.sentence
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
            (forecasts.build_result(), {"part": 6, "mark": 6, "step": 9}),
            (forecasts.build_result(rows, changes=[]), {"part": 3, "mark": 2, "step": 0}),
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
                    bars = f"#forecast svg [class^={name}-]"
                    assert opened.page.locator(bars).count() == count
