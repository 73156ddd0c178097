"""The bars of the forecast have the lengths of its numbers, and the numbers beside them."""

from zoneinfo import ZoneInfo

import pytest

from serve.page.content.words import PageWords
from serve.page.sections.forecast.bars import lay_out_changes, lay_out_periods
from tests.pipelines import forecasts

WORDS = PageWords.load("en", ZoneInfo("UTC"))


def test_parts_of_a_period_lie_side_by_side_up_to_the_total():
    # The longest is the quarter's interval, 400.
    rows = [forecasts.build_row(), forecasts.build_row(period="quarter", total_p90=400, goal=None)]
    month, quarter = lay_out_periods(WORDS, rows)
    assert month.parts == {"won": (0, 20.25), "from_open": (20.25, 28), "from_new": (48.25, 5.75)}
    assert (month.low, month.total, month.high, month.goal) == (48.75, 54, 59.5, 55)
    assert month.cells == {"total": "216 (195–238)", "goal": "220", "chance": "41%"}
    assert (quarter.goal, quarter.high, quarter.cells["goal"]) == (None, 100, "–")


def test_nothing_expected_has_no_bar():
    empty = {name: 0.0 for name in forecasts.build_row() if name.endswith(("mean", "p90"))}
    (bar,) = lay_out_periods(WORDS, [forecasts.build_row(won=0.0, goal=None, **empty)])
    assert {length for _, length in bar.parts.values()} == {0.0}


def test_steps_lead_from_before_to_after_without_empty_ones():
    steps = lay_out_changes(WORDS, forecasts.build_changes())
    assert [step.kind for step in steps][:4] == ["end", "more", "less", "more"]
    assert "amounts changed" not in [step.name for step in steps]
    # Each begins where the one before it ends; 219.5 is the longest.
    at = 0.0
    for step in steps[:-1]:
        own = step.start if step.kind == "less" else step.start + step.length
        assert step.start + (step.length if step.kind == "less" else 0) == pytest.approx(
            at, abs=0.1
        )
        at = own
    assert at == pytest.approx(steps[-1].length, abs=0.1)
    assert (steps[1].name, steps[1].cells) == ("won", {"change": "+9.5", "leads": "21"})
    assert (steps[-1].name, steps[-1].cells) == ("expected now", {"change": "216", "leads": "–"})


def test_amounts_are_short_and_wins_before_the_period_are_named():
    changes = forecasts.build_changes("amount", 1000.0)
    changes[1] |= {"value": -9_500.0}
    won = lay_out_changes(WORDS, changes)[1]
    assert (won.name, won.kind) == ("won before the period began", "less")
    assert won.cells["change"] == "−9.50\u00a0k"
