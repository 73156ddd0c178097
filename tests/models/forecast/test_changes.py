"""The steps from the expected total of a week before to the present one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.changes import ExpectedTotal, list_change_rows
from tests.models.funnel.histories import CREATED, LOST, OFFER, WON, make_history

LEADS = 6


@st.composite
def totals(draw):
    """Return an expected total over six leads."""

    def numbers(low, high):
        return np.array(draw(st.lists(st.integers(low, high), min_size=LEADS, max_size=LEADS)))

    stage = numbers(-1, 2)
    chances = np.where(stage >= 0, numbers(0, 100) / 100, 0.0)
    return ExpectedTotal(
        chances, stage, numbers(1, 9) * 1.0, numbers(0, 3) * 1.0, draw(st.just(4.0))
    )


def end_history():
    """Return a history of six leads of which the first was won and the second lost."""
    rows = [(0, CREATED, 0, 50, WON), (1, CREATED, 0, 60, LOST)]
    return make_history(rows + [(lead, CREATED, 0, None, None) for lead in range(2, LEADS)])


@given(totals(), totals())
def test_steps_add_up(before, after):
    rows = list_change_rows("wins", before, after, end_history()).to_pylist()
    values = {row["step"]: row["value"] for row in rows}
    assert rows[0]["step"] == "before"
    assert rows[-1]["step"] == "after"
    assert np.isclose(sum(row["value"] for row in rows[:-1]), values["after"])
    assert np.isclose(values["after"], after.total)
    assert np.isclose(values["before"], before.total)


def test_steps_by_hand():
    before = ExpectedTotal(
        chances=np.array([0.4, 0.5, 0.2, 0.6, 0.5, 0.0]),
        stage=np.array([OFFER, CREATED, CREATED, OFFER, OFFER, -1]),
        amount=np.full(LEADS, 10.0),
        won=np.zeros(LEADS),
        from_new=8.0,
    )
    after = ExpectedTotal(
        chances=np.array([0.0, 0.0, 0.7, 0.5, 0.5, 0.3]),
        stage=np.array([-1, -1, OFFER, OFFER, OFFER, CREATED]),
        amount=np.array([10.0, 10.0, 10.0, 10.0, 30.0, 10.0]),
        won=np.array([12.0, 0, 0, 0, 0, 0]),
        from_new=6.0,
    )
    rows = list_change_rows("amount", before, after, end_history()).to_pylist()
    values = {row["step"]: round(row["value"], 9) for row in rows}
    assert values == {
        "before": 30.0,
        "won": 8.0,
        "lost": -5.0,
        "advanced": 5.0,
        "slipped": -1.0,
        "revalued": 10.0,
        "new": 3.0,
        "to_come": -2.0,
        "assumptions": 0.0,
        "after": 48.0,
    }
    assert {row["step"]: row["deals"] for row in rows}["new"] == 1


def test_wins_before_the_period_began_are_wins():
    """The first lead was won, but its win belongs to the period before."""
    before, after = (
        ExpectedTotal(
            chances=np.array([chance, 0.5, 0, 0, 0, 0]),
            stage=np.array([stage, CREATED, -1, -1, -1, -1]),
            amount=np.full(LEADS, 10.0),
            won=np.zeros(LEADS),
            from_new=0.0,
        )
        for chance, stage in ((0.4, OFFER), (0.0, -1))
    )
    rows = list_change_rows("amount", before, after, end_history()).to_pylist()
    steps = {row["step"]: (round(row["value"], 9), row["deals"]) for row in rows}
    assert steps["won"] == (-4.0, 1)
    assert steps["assumptions"] == (0.0, None)
