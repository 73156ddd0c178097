"""Entries: where spells begin, and how often each is won."""

import numpy as np
import pytest

from models.funnel.schemas import ENTRIES
from models.journey.entry_table import build_entry_table, find_entry_stages
from tests.models.funnel.histories import CREATED, LOST, MQL, OFFER, WON, make_history

VISITS = [
    (0, CREATED, 0, 10, MQL),
    (0, MQL, 10, 20, WON),
    (1, MQL, 0, 5, OFFER),
    (1, OFFER, 5, 45, WON),
    (2, MQL, 3, 9, LOST),
    (3, CREATED, 95, None, None),
    (4, CREATED, 2, 4, LOST),
]


def test_entries_by_hand():
    history = make_history(VISITS)
    assert find_entry_stages(history).tolist() == [CREATED, MQL, MQL, CREATED, CREATED]
    table = build_entry_table(history)
    assert table.schema == ENTRIES
    created, mql = table.to_pylist()
    assert (created["stage"], created["n"], created["share"]) == ("created", 3, 0.6)
    # One of three is lost at day 2; lead 3 was observed for 5 days, then lead 0 is left.
    assert created["win_by_30"] == created["win_eventually"] == pytest.approx(2 / 3)
    assert created["median_days"] == 20.0
    assert (mql["n"], mql["win_by_30"], mql["win_eventually"]) == (2, 0.0, pytest.approx(0.5))
    assert mql["win_by_30_high"] > 0
    for row in (created, mql):
        assert row["win_eventually_low"] <= row["win_eventually"] <= row["win_eventually_high"]


def test_spells_after_a_reopening_begin_in_a_stage_of_their_own():
    history = make_history(VISITS)
    visits, spells = history.paths
    # Lead 2 comes back: a visit and a spell more.
    columns = [
        np.insert(c, 5, v)
        for c, v in zip(vars(visits).values(), (2, OFFER, 0, 0, WON), strict=True)
    ]
    start, end = int(20 * 864e8), int(50 * 864e8)
    columns[2][5], columns[3][5] = start, end
    again = [
        np.insert(c, 3, v) for c, v in zip(vars(spells).values(), (2, start, end, WON), strict=True)
    ]
    paths = type(history.paths)(type(visits)(*columns), type(spells)(*again))
    history = type(history)(**{**vars(history), "paths": paths})
    rows = {row["stage"]: row for row in build_entry_table(history).to_pylist()}
    assert {name: row["n"] for name, row in rows.items()} == {"created": 3, "mql": 2, "offer": 1}
    assert rows["offer"]["win_eventually"] == 1.0


def test_leads_that_were_never_observed_have_no_share():
    history = make_history([(0, CREATED, 98, None, None)], delay=5)
    (row,) = build_entry_table(history).to_pylist()
    assert (row["n"], row["share"]) == (1, 1.0)
    assert row["win_by_30"] is row["win_by_30_high"] is row["win_eventually_low"] is None
