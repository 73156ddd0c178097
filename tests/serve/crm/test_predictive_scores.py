"""Rows for the table msdyn_predictivescore of Dynamics 365 Sales."""

import json
from datetime import date, timedelta

import pytest

from configs.errors import ConfigError
from configs.exports import CrmExport
from serve.crm.delivery import write_delivery
from serve.crm.plan import build_plans
from tests.serve.crm.samples import rows
from tests.serve.samples import LATER, MONDAY, a_reason, a_run, some_scores

TUESDAY = MONDAY + timedelta(days=1)

# Learn: “msdyn_predictivescore table/entity reference”: name, greatest length or options.
TABLE = {
    "msdyn_entityid": 256,
    "msdyn_entitytype": 128,
    "msdyn_score": None,
    "msdyn_grade": {"0": "A", "1": "B", "2": "C", "3": "D"},
    "msdyn_scoretrend": {"0": "Improving", "1": "Steady", "2": "Declining", "3": "Not enough info"},
    "msdyn_scorereasons": 10_000,
    "msdyn_scoredon": None,
}


def a_plan(targets=("buy",), **more):
    export = CrmExport(format="dynamics_scores", key=more.pop("key", "msdyn_entityid"), **more)
    return build_plans({"ds": export}, targets, "company.yaml")["ds"]


def a_night(as_of, trends, grades="ABCD"):
    """Return scores of one lead for each trend, and their run."""
    run = a_run("r1", as_of, targets=("buy",))
    sentences = ["3 visits in 7 days", "=cmd, of a partner"]
    reasons = json.dumps([a_reason(0.5, sentences[0]), a_reason(-0.2, sentences[1])])
    return some_scores(
        run,
        ids=[f"L{place}" for place in range(len(trends))],
        grade=list(grades[: len(trends)]),
        trend=list(trends),
        reasons=[reasons] * (len(trends) - 1) + ["[]"],
    ), run


def test_row_has_the_options_of_the_table(tmp_path):
    scores, run = a_night(MONDAY, [5, 0, -1, None])
    written = rows(write_delivery(a_plan(), scores, tmp_path, run, LATER))
    assert list(written[0]) == list(TABLE)
    assert [row["msdyn_entityid"] for row in written] == ["L0", "L1", "L2", "L3"]
    trends = [TABLE["msdyn_scoretrend"][row["msdyn_scoretrend"]] for row in written]
    assert trends == ["Improving", "Steady", "Declining", "Not enough info"]
    assert [TABLE["msdyn_grade"][row["msdyn_grade"]] for row in written] == list("ABCD")
    assert {row["msdyn_entitytype"] for row in written} == {"lead"}
    assert written[0]["msdyn_scorereasons"] == "3 visits in 7 days; =cmd, of a partner"
    assert written[3]["msdyn_scorereasons"] == ""
    assert [int(row["msdyn_score"]) for row in written] == scores["score"].to_pylist()
    assert {date.fromisoformat(row["msdyn_scoredon"]) for row in written} == {MONDAY.date()}


def test_lead_that_left_is_cleared_and_keeps_its_table(tmp_path):
    plan = a_plan(entity_type="opportunity", delta=True)
    scores, run = a_night(MONDAY, [1, 1])
    write_delivery(plan, scores, tmp_path, run, LATER)
    scores, run = a_night(TUESDAY, [1])
    (row,) = [
        row
        for row in rows(write_delivery(plan, scores, tmp_path, run, LATER))
        if row["msdyn_entityid"] == "L1"
    ]
    assert row.pop("msdyn_entitytype") == "opportunity"
    assert row.pop("msdyn_scoredon") == str(TUESDAY.date())
    assert set(row.values()) == {"L1", ""}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"msdyn_grade": "buy.score"}, "cannot hold these values.*\n.*target.grade"),
        ({"msdyn_scoretrend": "buy.rank"}, "cannot hold these values.*\n.*target.trend"),
        ({"Score": "buy.score"}, "invalid column name.*\n.*msdyn_score"),
    ],
)
def test_column_that_the_table_lacks_is_refused(columns, said):
    with pytest.raises(ConfigError, match=said):
        a_plan(columns=columns)


def test_table_holds_the_score_of_one_target():
    with pytest.raises(ConfigError, match=r"one target.*2 targets\n.*msdyn_score: buy.score"):
        a_plan(targets=("buy", "close"))
    mapped = a_plan(("buy", "close"), columns={"msdyn_score": "close.score"})
    assert [column.source for column in mapped.columns] == ["close.score"]
    with pytest.raises(ConfigError, match="such as msdyn_entityid"):
        a_plan(key=None)
