"""The forecast in sentences and tables."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import jsonschema
import pytest

from models.forecast.accuracy import summarize_backtest
from models.funnel.schemas import STUCK
from pipelines.json_output.forecast import ForecastOutput
from pipelines.reports.company.forecast_tables import (
    STEPS,
    build_accuracy_table,
    build_backtest_table,
    build_change_table,
    build_deal_table,
    build_forecast_table,
    describe_backtest,
    describe_errors,
    describe_forecast,
    describe_goal,
    describe_knowledge,
    describe_missing,
    format_chance,
)
from pipelines.reports.company.funnel_tables import build_stuck_rows
from tests.pipelines import forecasts

UTC = ZoneInfo("UTC")


def test_sentence_has_parts_total_and_goal():
    assert describe_forecast(forecasts.build_result(), UTC) == (
        "July 2025: 81 won so far, 112 to come from open deals (80 % interval 98–127), 23 from "
        "deals not created yet: 216 in all (195–238). Goal 220: chance 41 %, 4 short. For a chance "
        "of 80 % it takes 17 more wins than expected, or 71 deals created now, on top of 210 to "
        "come."
    )


def test_amounts_have_their_currency():
    rows = [forecasts.build_row("amount", scale=1000.0), forecasts.build_row(**forecasts.NO_GOAL)]
    result = forecasts.build_result(rows)
    assert describe_forecast(result, UTC, "EUR") == (
        "July 2025: 81 k EUR won so far, 112 k to come from open deals (80 % interval 98 k–127 k), "
        "23 k from deals not created yet: 216 k EUR in all (195 k–238 k). Goal 220 k EUR: chance "
        "41 %, 4,000 short. For a chance of 80 % it takes 16 k more: 17 more wins than expected, "
        "or 71 deals created now, on top of 210 to come."
    )
    units = [row[1] for row in build_forecast_table(result, UTC, "EUR")]
    assert units == ["unit", "amount (EUR)", "wins"]
    assert build_change_table(result.changes.to_pylist(), "EUR")[0][2:] == ["wins", "amount (EUR)"]
    assert build_deal_table(result.deals.to_pylist(), "EUR")[0][-2:] == [
        "amount (EUR)",
        "adds (EUR)",
    ]
    stuck = dict.fromkeys(STUCK.names, 1.0) | {"entity_id": "L1", "stage": "mql", "owner": None}
    assert build_stuck_rows([stuck], "EUR")[0][-2:] == ["amount (EUR)", "expected value (EUR)"]
    assert build_stuck_rows([stuck | {"value": None}], "EUR")[0][-1] == "chance"


def test_sentence_is_of_the_unit_with_a_goal():
    rows = [
        forecasts.build_row("amount", start=forecasts.AUGUST, end=forecasts.SEPTEMBER, goal=1.0),
        forecasts.build_row(segment="Anna Berg"),
        forecasts.build_row(**forecasts.NO_GOAL),
        forecasts.build_row("amount", scale=1000.0),
    ]
    text = describe_forecast(forecasts.build_result(rows, by="owner"), UTC)
    assert text.startswith("July 2025: 81 k won so far, 112 k to come")
    assert "Goal 220 k: chance 41 %, 4,000 short" in text
    without = [forecasts.build_row(unit, **forecasts.NO_GOAL) for unit in ("amount", "wins")]
    text = describe_forecast(forecasts.build_result(without), UTC)
    assert text.startswith("July 2025: 81 won")
    assert text.endswith("(195–238). No goal is set.")


def test_period_is_that_of_the_companys_zone():
    # The first instant of August in Berlin is still July in UTC.
    start = forecasts.AUGUST.replace(month=7, day=31, hour=22)
    rows = [forecasts.build_row(start=start, end=forecasts.SEPTEMBER)]
    result = forecasts.build_result(rows)
    assert describe_forecast(result, ZoneInfo("Europe/Berlin")).startswith("August 2025: ")
    rows = [forecasts.build_row(start=start, end=forecasts.SEPTEMBER, period="quarter")]
    quarter = replace(forecasts.build_result(rows), period="quarter")
    assert describe_forecast(quarter, ZoneInfo("Europe/Berlin")).startswith("Q3 2025: ")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (forecasts.NO_GOAL, "No goal is set."),
        ({"won": 221.0, "gap": -9.0, "p_goal": 1.0}, "Goal 220: reached."),
        ({"gap": -12.0, "p_goal": 0.88} | forecasts.SAFE, "Goal 220: chance 88 %, 12 ahead."),
        (
            {"gap": 0.0, "p_goal": 0.5, "safe_wins": 1.0, "safe_new_deals": 3.0},
            "Goal 220: chance 50 %, 0 ahead. For a chance of 80 % it takes 1 more win than "
            "expected, or 3 deals created now, on top of 210 to come.",
        ),
        (
            {"safe_new_deals": None},
            "Goal 220: chance 41 %, 4 short. For a chance of 80 % it takes 17 more wins than "
            "expected; deals that are created now hardly close in time.",
        ),
        # A night of an earlier version has not computed it.
        (dict.fromkeys(forecasts.SAFE), "Goal 220: chance 41 %, 4 short."),
    ],
)
def test_goal_says_what_is_missing(changes, text):
    assert describe_goal(forecasts.build_row(**changes)) == text


@pytest.mark.parametrize(
    ("chance", "text"),
    [(None, "–"), (0, "0 %"), (0.0004, "< 1 %"), (0.01, "1 %"), (0.995, "> 99 %"), (1, "100 %")],
)
def test_chance_is_certain_only_if_it_is(chance, text):
    assert format_chance(chance) == text


def test_tables_have_every_row():
    rows = [forecasts.build_row(segment=name) for name in ("all", "Anna Berg", "other")]
    table = build_forecast_table(forecasts.build_result(rows, by="owner"), UTC)
    assert [len(row) for row in table] == [12] * 4
    assert [row[1] for row in table] == ["owner", "all", "Anna Berg", "other"]
    assert table[1][3:7] == ["81", "112 (98–127)", "23 (14–33)", "216 (195–238)"]
    assert table[0][9:] == ["against goal", "80 %: wins", "or deals"]
    assert table[1][9:] == ["4 short", "17", "71"]
    assert [len(row) for row in build_forecast_table(forecasts.build_result(rows), UTC)] == [11] * 4


def test_segments_stand_with_the_goal_most_in_danger_first():
    rows = [
        forecasts.build_row(unit, name, p_goal=chance, gap=None if chance is None else 4.0)
        for unit in ("wins", "amount")
        for name, chance in {"all": 0.9, "b": None, "a": None, "safe": 0.7, "late": 0.2}.items()
    ]
    table = build_forecast_table(forecasts.build_result(rows, by="owner"), UTC)
    assert [row[1] for row in table[1:]] == ["all", "late", "safe", "a", "b"] * 2


def test_changes_stand_side_by_side_by_unit():
    rows = forecasts.build_result().changes.to_pylist()
    table = build_change_table(rows)
    assert table[0] == ["change in a week", "deals", "wins", "amount"]
    assert [row[0] for row in table[1:]] == list(STEPS.values())
    assert table[1][1:] == ["–", "205.0", "205 k"]
    assert table[2][1:] == ["21", "+9.5", "+9,500"]
    assert table[3][1:] == ["30", "−7.0", "−7,000"]
    assert table[6][1:] == ["0", "0.0", "0"]


def test_deals_are_the_first_fifteen():
    rows = forecasts.build_result().deals.to_pylist()
    table = build_deal_table(rows)
    assert len(table) == 1 + 15
    assert table[1] == ["L0001", "proposal", "Anna Berg", "4.5 d", "50.0 %", "12 k", "6,000"]
    plain = [forecasts.build_deal(amount=None, owner=None)]
    assert build_deal_table(plain)[1] == ["L0001", "proposal", "–", "4.5 d", "50.0 %"]


def test_track_record_is_a_sentence():
    assert describe_errors(forecasts.build_result()) == (
        "the last 8 forecasts 31 days ahead: 6 within 7 % of the wins that came, the worst 14 % "
        "too low; 3 too low and 4 too high, < 1 % too high on average (90 % interval −8 % to "
        "+9 %): within chance; they overlap: each shares about 16 days with the next"
    )


@pytest.mark.parametrize(
    ("track", "text"),
    [
        (
            {"errors": (0.29, -0.05, 0.3), "step_days": 31},
            "the last 3 forecasts 31 days ahead: 2 within 29 % of the wins that came, the worst "
            "30 % too high; 1 too low and 2 too high, 18 % too high on average (90 % interval "
            "−16 % to +52 %): within chance",
        ),
        (
            {"errors": (0.029, -0.05), "step_days": 31},
            "the last 2 forecasts 31 days ahead: all within 5 % of the wins that came; 1 too low "
            "and 1 too high, 1 % too low on average (90 % interval −26 % to +24 %): within chance",
        ),
        ({"errors": (0.029,)}, "the only past forecast of the wins 31 days ahead: 3 % too high"),
        ({"errors": (-0.004,)}, "the only past forecast of the wins 31 days ahead: < 1 % too low"),
        ({"errors": (0.0,)}, "the only past forecast of the wins 31 days ahead: right"),
        (
            {"errors": (0.01, 0.02), "sample_share": 0.124, "step_days": 40},
            "the last 2 forecasts 31 days ahead: all within 2 % of the wins that came; 0 too low "
            "and 2 too high, 2 % too high on average (90 % interval −2 % to +5 %): within chance; "
            "they are of a sample of 12 % of the deals",
        ),
        (
            {"errors": (0.01,), "sample_share": 0.002},
            "the only past forecast of the wins 31 days ahead: 1 % too high; it is of a sample of "
            "< 1 % of the deals",
        ),
    ],
)
def test_track_record_says_what_limits_it(track, text):
    result = forecasts.build_result(track=forecasts.build_track(**track))
    assert describe_errors(result) == text


def test_track_record_is_of_the_unit_with_a_goal():
    rows = [forecasts.build_row(**forecasts.NO_GOAL), forecasts.build_row("amount", scale=1000.0)]
    text = describe_errors(forecasts.build_result(rows))
    assert text.startswith(
        "the last 8 forecasts 31 days ahead: 6 within 13 % of the amounts that came, the "
    )
    # Without past amounts there is still a record of the wins.
    wins = forecasts.build_track()
    text = describe_errors(forecasts.build_result(rows, track=wins))
    assert text.startswith("the last 8 forecasts 31 days ahead: 6 within 7 % of the wins that came")


def test_missing_record_and_ignorance_are_written():
    result = forecasts.build_result()
    for track in ([], forecasts.build_track(came=0.0)):
        text = describe_errors(forecasts.build_result(track=track))
        assert text.startswith("no past forecast can be compared")
    assert describe_knowledge(result) == []
    (line,) = describe_knowledge(replace(result, knows_rate_only=True))
    assert "no more than that" in line


def test_negative_values_have_one_minus_sign():
    row = forecasts.build_row("amount", scale=1000.0, gap=-492e3, won=-5.0)
    table = build_forecast_table(forecasts.build_result([row]), UTC)
    assert (table[1][2], table[1][8]) == ("−5", "492 k ahead")
    backtest = forecasts.build_backtest((-100.0,))
    (past,) = backtest.as_ofs
    past = replace(past, predicted=80.0, actual=100.0)
    assert build_backtest_table(replace(backtest, as_ofs=(past,)), UTC)[1][3] == "−20.0 %"
    accuracy = summarize_backtest(replace(backtest, as_ofs=(past,)))
    assert build_accuracy_table(accuracy, "wins")[1][2:4] == ["20.0 %", "−20.0 %"]
    text = describe_backtest(replace(backtest, as_ofs=(past,)), accuracy)
    assert "20.0 % off on average, bias −20.0 %" in text


def test_backtest_is_summed_up_in_counts():
    backtest = forecasts.build_backtest()
    assert describe_backtest(backtest, summarize_backtest(backtest)) == (
        "3 past forecasts of the wins of the next 30 days: 10.2 % off on average, bias +10.2 %; "
        "the 90 % interval held what came in 2 of 3"
    )


def test_missing_as_ofs_are_explained():
    backtest = forecasts.build_backtest()
    assert describe_missing(backtest) == []
    assert describe_missing(replace(backtest, asked=20)) == [
        "3 of the 20 as-ofs that were asked for could be tested: two are at least a day apart, and "
        "each needs 75 days of data before it, 2.5 times the days ahead, and 30 after it"
    ]


def test_as_ofs_of_a_backtest_are_dates_of_the_companys_zone():
    backtest = forecasts.build_backtest((100.0,))
    # Midnight in Berlin.
    midnight = forecasts.AS_OF - timedelta(hours=2)
    past = tuple(replace(row, as_of=midnight) for row in backtest.as_ofs)
    berlin = build_backtest_table(replace(backtest, as_ofs=past), ZoneInfo("Europe/Berlin"))
    assert berlin[1][0] == f"{forecasts.AS_OF:%Y-%m-%d}"


def test_backtest_has_every_as_of():
    backtest = forecasts.build_backtest((100.0, 0.0))
    table = build_backtest_table(backtest, UTC)
    assert [row[:4] for row in table[1:]] == [
        ["2025-06-30", "110", "100", "+10.0 %"],
        ["2025-07-07", "10", "0", "–"],
    ]
    errors = build_accuracy_table(summarize_backtest(backtest), backtest.unit)
    assert [row[0] for row in errors[1:3]] == ["this one", "stage-weighted"]
    assert errors[1] == ["this one", "2", "10.0 %", "+10.0 %", "3.0"]


@pytest.mark.parametrize("error_share", [0.07, float("nan")])
def test_json_fits_its_schema(error_share):
    value = forecasts.build_result(error_share=error_share).to_json()
    schema = ForecastOutput.model_json_schema()
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
