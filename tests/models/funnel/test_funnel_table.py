"""The funnel's counts and shares, by hand and on generated histories."""

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.funnel.funnel_table import build_funnel_table, estimate_stages
from models.funnel.history import Segmentation
from models.funnel.schemas import FUNNEL
from tests.models.funnel.histories import (
    CREATED,
    GONE,
    LOST,
    MQL,
    OFFER,
    STATES,
    WON,
    all_leads,
    make_history,
)

COUNTS = ("entered", "advanced", "skipped", "lost", "returned", "open")


def table_of(history, segments=None):
    segments = segments or all_leads(history)
    return build_funnel_table(history, segments, estimate_stages(history, segments))


def rows_of(history, segments=None):
    return {(row["segment"], row["stage"]): row for row in table_of(history, segments).to_pylist()}


EXAMPLE = [
    (0, CREATED, 0, 10, MQL),
    (0, MQL, 10, 15, OFFER),
    (0, OFFER, 15, 20, MQL),
    (0, MQL, 20, 30, OFFER),
    (0, OFFER, 30, 50, WON),
    (1, CREATED, 5, 45, OFFER),
    (1, OFFER, 45, None, None),
    (2, CREATED, 10, 12, LOST),
    (3, CREATED, 20, 26, WON),
    (4, CREATED, 90, None, None),
    (5, CREATED, 30, None, None),
    (6, CREATED, 40, 41, MQL),
    (6, MQL, 41, 43, GONE),
]


def test_counts_by_hand():
    rows = rows_of(make_history(EXAMPLE, value=[1, 10, 100, 1000, 10000, 100000, 1000000]))
    counts = {stage: [row[name] for name in COUNTS] for (_, stage), row in rows.items()}
    assert counts == {
        "created": [7, 2, 2, 1, 0, 2],
        "mql": [3, 2, 0, 1, 0, 0],
        "offer": [3, 1, 0, 0, 1, 1],
    }
    created = rows["all", "created"]
    assert (created["mature"], created["open_too_young"]) == (6, 1)
    # Two thirds move on in the end: a seventh within a day, one more within 6 days, 4/7 · 1/3
    # within ten, which is more than half of them, and the rest within 40.
    assert (created["median_days"], created["p80_days"]) == (10.0, 40.0)
    # Lead 4 has been there for ten days and not longer, lead 5 for 70.
    assert (created["stuck"], created["value_stuck"]) == (1, 100000.0)
    assert created["value_open"] == 110000.0


def test_shares_by_hand():
    row = rows_of(make_history(EXAMPLE))["all", "created"]
    # Seven at risk; at day 1 one advances, at 2 one is lost, at 6 one is won, at 10 one advances
    # among the three that are left: lead 4 was observed for ten days, to day 10 and not at it.
    # At 40 one of two skips a stage, which is to move on as well.
    assert row["advanced_30d"] == pytest.approx(2 / 7 + 4 / 7 * 1 / 3)
    assert row["advanced_30d_low"] <= row["advanced_30d"] <= row["advanced_30d_high"]
    assert row["advanced_eventually"] == pytest.approx(2 / 3)
    assert row["value_open"] is None


def test_outcomes_that_may_be_missing_are_no_evidence():
    """An exit in the last days before the as-of counts, but in no share: others may come late."""
    visits = [(0, CREATED, 0, 5, MQL), (0, MQL, 5, None, None), (1, CREATED, 90, 99, MQL)]
    visits.append((1, MQL, 99, None, None))
    sure = rows_of(make_history(visits, delay=3))["all", "created"]
    assert (sure["advanced"], sure["advanced_30d"]) == (2, 0.5)
    assert rows_of(make_history(visits))["all", "created"]["advanced_30d"] == 1.0


def test_visits_from_before_the_recording_are_late_entries():
    """A win that was not recorded must not pass for a lead that was never won."""
    visits = [(0, CREATED, 0, None, None), (1, CREATED, 80, 85, MQL), (1, MQL, 85, None, None)]
    all_recorded = rows_of(make_history(visits))["all", "created"]["advanced_30d"]
    later = rows_of(make_history(visits, observed_from=75))["all", "created"]["advanced_30d"]
    assert (all_recorded, later) == (0.5, 1.0)


def test_stage_from_before_the_creation_is_a_late_entry():
    visits = [(0, MQL, 0, 60, OFFER), (0, OFFER, 60, None, None), (1, MQL, 50, 55, OFFER)]
    visits.append((1, OFFER, 55, None, None))
    rows = rows_of(make_history(visits, created=[50, 50]))
    # At age 5 days only lead 1 is at risk: lead 0 was created at its 50th day in the stage.
    assert rows["all", "mql"]["advanced_30d"] == 1.0
    assert rows["all", "mql"]["median_days"] == 5.0


def test_change_compares_the_last_cohort_with_the_one_before():
    old = [(n, CREATED, 5, 6, MQL if n % 2 else LOST) for n in range(40)]
    new = [(40 + n, CREATED, 110, 112, MQL if n % 4 == 0 else LOST) for n in range(40)]
    row = rows_of(make_history([*old, *new], as_of=180))["all", "created"]
    assert row["change_vs_previous_cohort"] == pytest.approx(0.25 - 0.5)
    low, high = (row[f"change_vs_previous_cohort_{end}"] for end in ("low", "high"))
    assert low < -0.25 < high < 0


def test_stage_that_is_skipped_more_often_has_not_become_worse():
    """Fewer reach the next stage, and as many move on: nothing is lost."""
    old = [(n, CREATED, 5, 6, MQL if n % 2 else LOST) for n in range(40)]
    new = [(40 + n, CREATED, 110, 112, OFFER if n % 2 else LOST) for n in range(40)]
    row = rows_of(make_history([*old, *new], as_of=180))["all", "created"]
    assert row["change_vs_previous_cohort"] == pytest.approx(0.0)
    assert (row["advanced"], row["skipped"], row["advanced_30d"]) == (20, 20, 0.5)


def test_change_is_unknown_without_an_earlier_cohort():
    row = rows_of(make_history([(0, CREATED, 50, 52, MQL)]))["all", "created"]
    assert row["change_vs_previous_cohort"] is None
    assert row["change_vs_previous_cohort_low"] is None


def test_segments_are_estimated_apart():
    history = make_history(EXAMPLE)
    segments = Segmentation(("a", "b", "none"), np.array([0, 0, 1, 0, 1, 1, 0]))
    rows = rows_of(history, segments)
    assert {segment for segment, _ in rows} == {"a", "b"}
    assert rows["a", "created"]["entered"] == 4
    assert rows["b", "created"]["advanced_30d"] == 0.0
    # Of three leads none moved on: the interval says how little that means.
    assert rows["b", "created"]["advanced_30d_high"] == pytest.approx(1 - 0.05 ** (1 / 3))


@st.composite
def histories(draw):
    visits = []
    for lead in range(draw(st.integers(1, 6))):
        day, stage = draw(st.integers(0, 60)), draw(st.sampled_from([CREATED, MQL]))
        while True:
            step = draw(st.integers(0, 30))
            target = draw(st.sampled_from([None, CREATED, MQL, OFFER, WON, LOST, GONE]))
            if target is None or target == stage or day + step >= 100:
                visits.append((lead, stage, day, None, None))
                break
            visits.append((lead, stage, day, day + step, target))
            day, stage = day + step, target
            if target >= WON:
                break
    return visits


@settings(max_examples=10)
@given(histories(), st.randoms(use_true_random=False))
def test_counts_add_up_and_order_changes_no_bit(visits, random):
    history = make_history(visits)
    table = table_of(history)
    parts = [table[name] for name in COUNTS[1:]]
    total = parts[0]
    for part in parts[1:]:
        total = pc.add(total, part)
    assert total.equals(table["entered"])
    assert table.schema.equals(FUNNEL)
    leads = list({visit[0] for visit in visits})
    new = dict(zip(leads, random.sample(leads, len(leads)), strict=True))
    renamed = [(new[visit[0]], *visit[1:]) for visit in visits]
    shuffled = make_history([v for lead in sorted(leads) for v in renamed if v[0] == lead])
    # The cluster moves with its lead, as its hash does.
    back = np.argsort([new[lead] for lead in leads])
    moved = type(shuffled)(**{**vars(shuffled), "cluster": history.cluster[back]})
    assert table_of(moved).equals(table)
    assert STATES.won == WON
