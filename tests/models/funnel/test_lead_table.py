"""Each lead's stage, its age in it, and when it closes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.paths.visits import OPEN
from features.tools.instants import NEVER_US, US_PER_DAY
from models.funnel.funnel_table import P80, estimate_stages, find_stuck_visits
from models.funnel.lead_table import LEAD_PLACES, build_place_table
from models.survival import landmarks
from tests.models.funnel.histories import (
    CREATED,
    LOST,
    MQL,
    OFFER,
    WON,
    all_leads,
    make_history,
)

AS_OF = 100
DAY = timedelta(days=1)
PAST = [
    # 25 offers each were won after 10, 20, 30 and 40 days.
    *[(lead, OFFER, 0, 10 + 10 * (lead % 4), WON) for lead in range(100)],
    (100, CREATED, 0, 30, MQL),
    (100, MQL, 30, 35, LOST),
]
LEAD = 101
CLOSES = ("expected_close_p20", "expected_close_p50", "expected_close_p80")


@pytest.fixture(autouse=True)
def _every_age(monkeypatch):
    monkeypatch.setattr(landmarks, "MIN_AT_RISK", 1)


def places_of(history):
    return build_place_table(history, estimate_stages(history, all_leads(history))).to_pylist()


def day(number):
    return datetime(1970, 1, 1, tzinfo=UTC) + number * DAY


def test_open_lead_by_hand():
    row = places_of(make_history([*PAST, (LEAD, OFFER, 80, None, None)]))[LEAD]
    assert (row["stage"], row["stage_age"], row["stuck"], row["overdue"]) == (
        "offer",
        20.0,
        False,
        False,
    )
    # Of those that lasted for more than 20 days half were won after 30, half after 40 days.
    assert [row[name] for name in CLOSES] == [day(110), day(110), day(120)]


def test_old_lead_is_stuck_and_overdue():
    for age, late in ((39, False), (40, False), (41, True)):
        row = places_of(make_history([*PAST, (LEAD, OFFER, AS_OF - age, None, None)]))[LEAD]
        assert (row["stuck"], row["overdue"]) == (late, late)
    # It has lasted longer than any that was won, so that none like it is known.
    assert [row[name] for name in CLOSES] == [None] * 3


def test_unknown_limits_are_null_and_not_false():
    # From mql one lead was lost, and none has advanced or was won.
    row = places_of(make_history([*PAST, (LEAD, MQL, 60, None, None)]))[LEAD]
    assert (row["stage"], row["stage_age"]) == ("mql", 40.0)
    assert [row[name] for name in ("stuck", "overdue", *CLOSES)] == [None] * 5


def test_closed_leads_have_their_end_and_no_age():
    rows = places_of(make_history(PAST))
    assert [row.pop("stage") for row in rows] == ["won"] * 100 + ["lost"]
    assert {value for row in rows for value in row.values()} == {None}


def test_lead_that_became_another_one_has_no_place():
    history = make_history([*PAST, (LEAD, CREATED, 50, None, None)])
    merged = replace(history, created=np.append(history.created, 0))
    table = build_place_table(merged, estimate_stages(merged, all_leads(merged)))
    assert table.schema == LEAD_PLACES
    assert set(table.slice(LEAD + 1).to_pylist()[0].values()) == {None}


def test_reopened_lead_begins_anew():
    """Its age counts from the reopening, and its first spell was lost."""
    history = make_history([*PAST, (LEAD, OFFER, 10, 20, LOST), (LEAD, OFFER, 90, None, None)])
    spells = history.paths.spells
    reopened = type(spells)(
        lead=np.append(spells.lead, LEAD),
        start=np.append(spells.start, 90 * US_PER_DAY),
        end=np.append(np.where(spells.lead == LEAD, 20 * US_PER_DAY, spells.end), NEVER_US),
        exit=np.append(np.where(spells.lead == LEAD, LOST, spells.exit), OPEN),
    )
    history = replace(history, paths=history.paths._replace(spells=reopened))
    row = places_of(history)[LEAD]
    assert (row["stage"], row["stage_age"], row["stuck"]) == ("offer", 10.0, False)
    assert row["expected_close_p50"] == day(120)


def test_stuck_is_what_the_table_of_the_stuck_holds():
    rng = np.random.default_rng(2)
    visits = []
    for lead in range(300):
        start, wait = int(rng.integers(0, 100)), int(rng.integers(0, 60))
        end = start + wait if start + wait < AS_OF and rng.random() < 0.7 else None
        ending = None if end is None else int(rng.choice([MQL, OFFER, WON, LOST]))
        visits.append((lead, CREATED, start, end, ending))
        if ending in (MQL, OFFER):
            visits.append((lead, ending, end, None, None))
    history = make_history(visits)
    staged = estimate_stages(history, all_leads(history))
    stuck = find_stuck_visits(history, history.paths.visits.stage, staged.moves.quantile[:, P80])
    table = build_place_table(history, staged).to_pylist()
    assert sum(bool(row["stuck"]) for row in table) == stuck.sum() > 0
    assert all(table[lead]["stuck"] for lead in history.paths.visits.lead[stuck])
