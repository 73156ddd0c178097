"""The summary names the goals, the leads and the sales people that need attention first."""

from dataclasses import replace

import pytest

from serve.page.build import build_page
from serve.page.content.parts import LeadCell
from serve.page.sections.today.summary import build_summary
from tests.browser import PHONE, chromium, open_file
from tests.pipelines import forecasts
from tests.serve.page.funnels import make_tables
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

RUN = a_run(targets=("close", "opportunity"))
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
    stuck = [name for name in tables.stuck["entity_id"].to_pylist() if name[1:] < "0400"]
    deals = [forecasts.build_deal(number) for number in range(1, 400)]
    briefs = find_briefs(gather(forecasts.build_result(deals=deals), funnel=tables))
    adding = briefs["Open leads that add most to July 2025"]
    assert list_ids(adding.table) == ["L0001", "L0002", "L0003"]
    worst = briefs["Stuck, and adding most"]
    assert worst.section == "funnel_stuck"
    assert list_ids(worst.table) == sorted(stuck)[:3]
    assert all(row[2].endswith(", stuck") for row in worst.table.rows)


def test_best_leads_are_those_of_all_targets_without_random_draws(gather):
    listed = ["explore", *["pick"] * 11, *["pick"] * 12]
    scores = some_scores(RUN, IDS, listed=listed)
    data = gather(forecasts.build_result(target="opportunity"), scores)
    (brief,) = [b for name, b in find_briefs(data).items() if name.endswith("leads to call")]
    cells = [row[0] for row in brief.table.rows]
    # The target of the forecast comes first, and a lead stands once.
    assert cells[:5] == [LeadCell("opportunity", name) for name in IDS[:5]]
    assert cells[5:] == [LeadCell("close", name) for name in IDS[5:10]]
    assert brief.table.headings[:3] == ["lead", "amount if won", "chance"]
    # The amount is that of the forecast.
    assert brief.table.rows[0][1] == "12.0\u00a0k"


def test_few_leads_of_a_target_leave_their_places_to_the_other(gather):
    scores = some_scores(RUN, IDS)
    few = scores.slice(0, 2)
    rest = scores.slice(12, 12)
    data = gather(None, type(scores).from_batches([*few.to_batches(), *rest.to_batches()]))
    (brief,) = build_summary(data).values["briefs"]
    assert list_ids(brief.table) == IDS[:10]


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
        assert len(names) == 4
        assert all(page.locator(f"section#{name}").count() == 1 for name in names)
        wide = "[...document.querySelectorAll('#summary *')].filter(e => e.scrollWidth >"
        assert page.evaluate(f"{wide} innerWidth).length") == 0
        # Two lines of text and their padding.
        high = "[...document.querySelectorAll('#forecast > .scroll .compact tbody tr')]"
        assert page.evaluate(f"Math.max(...{high}.map(e => e.clientHeight))") < 55
        assert opened.find_violations() == []
        assert opened.complaints == []
