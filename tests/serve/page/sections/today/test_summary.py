"""The summary names the goals, the leads and the sales people that need attention first."""

import re
from dataclasses import replace

import pytest

from serve.page.build import build_page
from serve.page.content.parts import LeadCell
from serve.page.content.target_names import name_outcomes
from serve.page.sections.funnel.leak import build_leak
from serve.page.sections.funnel.losses import build_losses
from serve.page.sections.funnel.stuck import build_stuck
from serve.page.sections.today.summary import build_summary
from tests.browser import PHONE, chromium, open_file
from tests.pipelines import forecasts
from tests.serve.page.funnels import make_tables
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

RUN = a_run(targets=("close", "opportunity"))
STUCK_CAPTION = "Stuck, and may still bring most"
IDS = [f"L{number:04}" for number in range(1, 13)]


@pytest.fixture
def gather(tmp_path):
    """Return a function that gathers the contents of a page with a forecast."""

    def build(result=None, scores=None, language="en", **fields):
        scores = some_scores(RUN, IDS) if scores is None else scores
        return make_data(make_project(tmp_path), scores, RUN, language, forecast=result, **fields)

    return build


def list_ids(table):
    return [row[0].entity if isinstance(row[0], LeadCell) else row[0] for row in table.rows]


def list_cells(brief):
    return [row[0] for row in brief.table.rows]


def find_briefs(data):
    return {brief.table.caption: brief for brief in build_summary(data).values["briefs"]}


def test_goal_change_and_past_are_told(gather):
    section = build_summary(gather(forecasts.build_result()))
    assert section.sentence.startswith("It may go either way: the goal for July 2025 is 220 wins")
    change, past = section.values["lines"]
    assert change == (
        "A week before, 205 wins were expected: 11 more now. Most of it: new leads (+11.0)."
    )
    assert past.startswith("Of the last 8 forecasts")
    assert past.endswith("too high (90% range −8% … +9%): within chance.")
    assert [bar.name for bar in section.values["periods"]] == ["July 2025"]


def test_owners_whose_goal_is_likelier_missed_come_worst_first(gather):
    chances = {"all": 0.4, "Ann": 0.49, "Bob": 0.1, "Cem": 0.5, "missing": None}
    rows = [
        forecasts.build_row(segment=name, p_goal=chance, gap=None if chance is None else 4.0)
        for name, chance in chances.items()
    ]
    briefs = find_briefs(gather(forecasts.build_result(rows, by="owner")))
    brief = briefs["Goals in danger, July 2025"]
    assert [row[0] for row in brief.table.rows] == ["Bob", "Ann"]
    assert brief.table.rows[0] == ["Bob", "216", "220", "10%"]
    assert brief.section == "forecast"


def test_leads_that_add_most_and_those_that_are_stuck_are_named(gather):
    # The leads of the funnel's stuck table have the ids of the forecast's.
    tables = make_tables(ids=[f"L{number:04}" for number in range(1, 900)])
    deals = [forecasts.build_deal(number) for number in range(1, 400)]
    briefs = find_briefs(gather(forecasts.build_result(deals=deals), funnel=tables))
    adding = briefs["Open leads that add most to July 2025"]
    assert list_ids(adding.table) == ["L0001", "L0002", "L0003"]
    # They have the order of the section that has all, and are known without a forecast.
    data = gather(funnel=tables)
    for brief in (briefs[STUCK_CAPTION], find_briefs(data)[STUCK_CAPTION]):
        assert brief.section == "funnel_stuck"
        assert list_ids(brief.table) == tables.stuck["entity_id"].to_pylist()[:3]
        assert list_ids(brief.table) == list_ids(build_stuck(data).tables[0])[:3]
        assert brief.table.headings[2:4] == ["in the stage for", "chance to win"]


def test_losses_of_the_funnel_are_a_line(gather):
    tables = make_tables()
    losses, leak = build_losses(gather(funnel=tables)), build_leak(gather(funnel=tables))
    line = build_summary(gather(forecasts.build_result(), funnel=tables)).values["lines"][-1]
    assert line.startswith(losses.sentence.split(". ")[0])
    # The figures are those of the section.
    (quote,) = leak.quotes
    low, high = re.findall(r"[\d.]+", quote.hint)[1:]
    assert f"it would add about {quote.value[1:]} wins ({low} to {high})." in line
    assert build_summary(gather(funnel=tables)).values["lines"] == [line]


def test_best_leads_of_each_target_are_a_list_without_random_draws(gather):
    listed = ["explore", *["pick"] * 11, *["pick"] * 12]
    scores = some_scores(RUN, IDS, listed=listed)
    data = gather(forecasts.build_result(target="opportunity"), scores)
    first, second = [b for b in build_summary(data).values["briefs"] if "best" in b.table.caption]
    # The target of the forecast comes first, and a lead stands once.
    assert list_cells(first) == [LeadCell("opportunity", name) for name in IDS[:5]]
    assert list_cells(second) == [LeadCell("close", name) for name in IDS[5:10]]
    outcomes = name_outcomes(data)
    assert first.table.caption == f"The 5 best leads to call: {outcomes['opportunity']}"
    assert second.table.caption == f"The 5 best leads to call: {outcomes['close']}"
    brief = first
    assert brief.table.headings == ["lead", "amount if won", "chance", "speaks for it most"]
    # The amount is that of the forecast.
    assert brief.table.rows[0][1] == "12.0\u00a0k"


def test_few_leads_of_a_target_leave_their_places_to_the_other(gather):
    scores = some_scores(RUN, IDS)
    few = scores.slice(0, 2)
    rest = scores.slice(12, 12)
    data = gather(None, type(scores).from_batches([*few.to_batches(), *rest.to_batches()]))
    first, second = build_summary(data).values["briefs"]
    assert list_ids(first.table) + list_ids(second.table) == IDS[:10]
    # One list needs no name of its target.
    (brief,) = build_summary(gather(None, few)).values["briefs"]
    assert brief.table.caption == "The 2 best leads to call"


def test_leads_stand_alone_without_a_forecast(gather):
    section = build_summary(gather())
    assert section.sentence.startswith("Whom to call first today.")
    assert (section.values["lines"], section.values["periods"]) == ([], [])
    empty = gather(scores=some_scores(RUN, ()))
    assert build_summary(replace(empty)).values["briefs"] == []


@pytest.mark.slow
def test_summary_fits_a_phone_and_its_links_lead_to_sections(gather, tmp_path):
    tables = make_tables(ids=[f"L{number:04}" for number in range(1, 900)])
    deals = [forecasts.build_deal(number) for number in range(1, 400)]
    result = forecasts.build_result(deals=deals)
    path = tmp_path / "index.html"
    path.write_bytes(build_page(gather(result, funnel=tables)))
    with chromium() as browser, open_file(browser, path, PHONE) as opened:
        page = opened.page
        assert page.evaluate("document.querySelector('main section').id") == "summary"
        links = "[...document.querySelectorAll('#summary .more a')].map(a => a.hash.slice(1))"
        names = page.evaluate(links)
        assert len(names) == 5
        assert all(page.locator(f"section#{name}").count() == 1 for name in names)
        wide = "[...document.querySelectorAll('#summary *')].filter(e => e.scrollWidth >"
        assert page.evaluate(f"{wide} innerWidth).length") == 0
        # Two lines of text and their padding.
        high = "[...document.querySelectorAll('#forecast > .scroll .compact tbody tr')]"
        assert page.evaluate(f"Math.max(...{high}.map(e => e.clientHeight))") < 55
        assert opened.find_violations() == []
        assert opened.complaints == []
