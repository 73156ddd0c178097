"""What the page says of hand-overs is what the tables of the night hold."""

import pyarrow as pa
import pytest

from models.qualification.schemas import QUALIFICATION, THRESHOLDS
from serve.page.build import build_page
from serve.page.sections.funnel.handover import build_handover
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import MONDAY, a_run, some_scores

RUN = a_run(targets=("close",))
CUTOFFS = {"horizon": "30d", "cutoffs": {"every": "7d"}}
KEYS = {
    "targets": {
        "opportunity": {"outcome": "opportunity", **CUTOFFS},
        "close": {"outcome": "close", "population": {"after": "opportunity"}, **CUTOFFS},
    },
    "features": {"outbound": ["call"]},
    "qualification": {
        "mql": {"target": "opportunity", "cost": 20, "value": 400, "per_week": 30},
        "sql": {"target": "close", "cost": 90, "value": 900, "per_week": 5},
    },
}


def make_row(**values):
    """Return a row of QUALIFICATION: zeros and nulls but for these values."""
    zeros = {
        field.name: {pa.int64(): 0, pa.bool_(): False, pa.float64(): None}.get(field.type)
        for field in QUALIFICATION
    }
    return zeros | {"as_of": MONDAY, "step": "mql", "month": "all", "band": "all"} | values


def make_limit(**values):
    row = {"as_of": MONDAY, "step": "mql", "target": "opportunity", "threshold": 0.123}
    row |= {"limit": "capacity", "applied": 0.2, "break_even": 0.05, "cost": 20.0, "value": 400.0}
    row |= {"per_week": 30, "explored_per_week": 2, "expected_per_week": 28.5, "weeks": 4.0}
    return row | {"used": 7, "handed_over": 3, "open": 41} | values


MATURE = make_row(
    handed_over=60,
    explored=6,
    mature=50,
    outcomes=20,
    rate=0.4,
    rate_low=0.29,
    rate_high=0.52,
    rate_all=0.25,
    rate_all_low=0.14,
    rate_all_high=0.4,
    above=0.05,
    due=55,
    in_time=44,
    in_time_share=0.8,
    in_time_share_low=0.7,
    in_time_share_high=0.87,
    touch_hours_50=5.3,
    rejected=3,
    silent=1,
    cooled=2,
)


@pytest.fixture
def show(tmp_path):
    """Return a function that builds the section from rows of the two tables."""

    def show(rows, limits, language="en", **keys):
        tables = {
            "qualification": pa.Table.from_pylist(rows, QUALIFICATION),
            "thresholds": pa.Table.from_pylist(limits, THRESHOLDS),
        }
        project = make_project(tmp_path, **(keys or KEYS))
        data = make_data(
            project, some_scores(RUN, ["L1"]), RUN, language, qualification=limits and tables
        )
        assert build_page(data)
        return build_handover(data)

    return show


def test_rates_of_given_and_of_all_leads_stand_side_by_side(show):
    section = show([make_row(**MATURE | {"month": "2025-01"}), MATURE], [make_limit()])
    assert section.sentence == (
        "Sales accepted 20 of 50 leads that it was given: 40% (29%–52%). Of all leads that are "
        "worth their cost it would be 25% (14%–40%): the leads that were drawn at random stand for "
        "those that sales was not given."
    )
    assert [(quote.value, quote.hint) for quote in section.quotes] == [
        ("12.3%", "as many as fit the capacity"),
        ("80% (70%–87%)", "44 of 55 leads"),
    ]
    limits, months = section.tables
    assert limits.rows == [
        ["to sales (MQL)", "12.3%", "as many as fit the capacity", "5.0%", "30", "28.5", "41"]
    ]
    row = ["60", "50", "40% (29%–52%)", "25% (14%–40%)", "80% (70%–87%)", "5.3", "6"]
    assert months.rows == [["2025-01", *row], ["all months", *row]]
    assert section.notes[0].startswith("10 hand-overs are too young to be judged")


def test_hand_overs_that_are_too_young_are_no_refusals(show):
    section = show([make_row(handed_over=12)], [make_limit()])
    assert section.sentence == (
        "Sales was given 12 leads; the time to accept them has not passed for any of them."
    )
    assert section.tables[1].rows[0][3] == "–"


def test_second_step_has_wins_by_grade_and_no_rate_of_all_leads(show):
    rows = [
        make_row(step="sql", handed_over=9, mature=8, outcomes=2, rate=0.25, rate_low=0.1),
        make_row(step="sql", band="A", handed_over=5, mature=4, outcomes=2, rate=0.5),
    ]
    rows = [row | {"rate_low": 0.1, "rate_high": 0.7} for row in rows]
    section = show(rows, [make_limit(), make_limit(step="sql", threshold=None, limit="value")])
    assert section.sentence == (
        "No lead has been handed over to sales yet. Of the accepted leads that became "
        "sales-qualified, 2 of 8 were won: 25% (10%–70%)."
    )
    assert section.quotes[1].value == "–"
    assert section.tables[2].rows == [["A", "5", "4", "50% (10%–70%)"]]


def test_page_without_qualification_has_no_such_section(show, tmp_path):
    assert show([], [], features={}) is None
    assert "log of the night" in show([], []).sentence


def test_section_is_there_in_russian(show):
    section = show([MATURE], [make_limit()], "ru")
    assert "приняли 20 из 50" in section.sentence
