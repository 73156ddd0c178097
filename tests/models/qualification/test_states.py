"""Who is handed over and who goes back, against a loop over the nights of one lead."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import NEVER_US, to_microseconds
from models.qualification.states import (
    EXPLORED,
    PROBABILITY,
    STATES,
    LeadEvidence,
    StepRules,
    find_candidates,
    hand_over_leads,
    recycle_leads,
    set_due_dates,
)
from tests.serve.samples import DAY, MONDAY

RULES = StepRules("mql", 10 * DAY, 6 * DAY, 4 * DAY, 8 * DAY)
NIGHT = st.fixed_dictionaries(
    {
        "reaches": st.booleans(),
        "drawn": st.booleans(),
        "low": st.booleans(),
        "rejected": st.integers(0, 9).map(lambda n: n == 0),
        "active": st.booleans(),
        "scored": st.integers(0, 9).map(lambda n: n > 0),
    }
)


FRESH = ("none", None, None, None)


def run_night(previous, as_of, night, rules=RULES):
    """Return the states of one lead, whose row of the last night is ``previous``."""
    evidence = LeadEvidence(
        np.array([night["low"]]),
        np.array([night.get("rejected_us", NEVER_US)]),
        np.array([NEVER_US]),
        np.array([night["active_us"]]),
    )
    states = recycle_leads(previous, evidence, rules, as_of)
    for key, because, chance in (("reaches", PROBABILITY, 1.0), ("drawn", EXPLORED, 0.25)):
        rows = find_candidates(states, rules, as_of) & night[key]
        chances = np.where(rows, chance, np.nan)
        states = hand_over_leads(states, rows, because, chances, rules.step, as_of)
    return states


def run_by_hand(nights):
    """Return (qualification, since, because, reason) of each night, by the documented rules."""
    state, low_since, active, found = FRESH, None, MONDAY - DAY, []
    for number, night in enumerate(nights):
        now = MONDAY + number * DAY
        active = now - timedelta(hours=1) if night["active"] else active
        if not night["scored"]:
            state, low_since = FRESH, None
            found.append(None)
            continue
        if state[0] == "MQL":
            drawn_lately = state[2] == "explore" and now - state[1] < RULES.horizon
            low_since = (low_since or now) if night["low"] and not drawn_lately else None
            back = reason_by_hand(night, now, max(active, state[1]), low_since)
            state, low_since = (("none", now, None, back), None) if back else (state, low_since)
        if state[0] == "none" and (state[3] is None or now - state[1] >= RULES.wait):
            because = "probability" if night["reaches"] else "explore" if night["drawn"] else None
            state = ("MQL", now, because, None) if because else state
        found.append(state)
    return found


def reason_by_hand(night, now, last, low_since):
    if night["rejected"]:
        return "rejected"
    if now - last >= RULES.silent:
        return "silent"
    return "cooled" if low_since and now - low_since >= RULES.settle else None


@given(st.lists(NIGHT, min_size=1, max_size=30))
def test_states_of_many_nights_equal_a_loop_by_the_rules(nights):
    unscored = pa.Table.from_pylist([{}], schema=STATES)
    previous, active, found = unscored, to_microseconds(MONDAY - DAY), []
    for number, night in enumerate(nights):
        now = MONDAY + number * DAY
        if night["active"]:
            active = to_microseconds(now - timedelta(hours=1))
        if not night["scored"]:
            previous = unscored
            found.append(None)
            continue
        rejected = to_microseconds(now - timedelta(minutes=1)) if night["rejected"] else NEVER_US
        night = night | {"active_us": active, "rejected_us": rejected}
        previous = run_night(previous, now, night)
        (row,) = previous.to_pylist()
        names = ("qualification", "qualified_at", "qualified_because", "recycle_reason")
        found.append(tuple(row[name] for name in names))
    assert found == run_by_hand(nights)


def test_lead_near_the_threshold_does_not_flip():
    """A score that is too low every other night sends nobody back."""
    previous = pa.Table.from_pylist([{}], schema=STATES)
    for number in range(40):
        now = MONDAY + number * DAY
        night = {"reaches": number % 2 == 0, "low": number % 2 == 1, "drawn": False}
        previous = run_night(previous, now, night | {"active_us": to_microseconds(now)})
        (row,) = previous.to_pylist()
        assert (row["qualification"], row["qualified_at"]) == ("MQL", MONDAY)


def test_lead_that_sales_sends_back_stays_back_for_the_wait():
    previous = pa.Table.from_pylist([{}], schema=STATES)
    for number in range(20):
        now = MONDAY + number * DAY
        night = {"reaches": True, "low": False, "drawn": True, "active_us": to_microseconds(now)}
        if number == 3:
            night["rejected_us"] = to_microseconds(now) - 1
        previous = run_night(previous, now, night)
        (row,) = previous.to_pylist()
        assert row["qualification"] == ("none" if 3 <= number < 13 else "MQL")
        assert row["recycle_reason"] == ("rejected" if 3 <= number < 13 else None)


def test_rejection_at_the_as_of_is_not_known_yet():
    previous = pa.Table.from_pylist([{}], schema=STATES)
    night = {"reaches": True, "low": False, "drawn": False, "active_us": to_microseconds(MONDAY)}
    previous = run_night(previous, MONDAY, night)
    for shift, name in ((-1, "none"), (0, "MQL"), (1, "MQL")):
        later = night | {"rejected_us": to_microseconds(MONDAY + DAY) + shift, "reaches": False}
        assert run_night(previous, MONDAY + DAY, later)["qualification"].to_pylist() == [name]


def test_accepted_leads_are_sal_until_they_reach_the_second_threshold():
    rules = RULES._replace(step="sql")
    night = {"reaches": False, "low": False, "drawn": False, "active_us": to_microseconds(MONDAY)}
    previous = pa.Table.from_pylist([{}], schema=STATES)
    told = []
    for number, reaches in enumerate([False, False, True, True]):
        now = MONDAY + number * DAY
        previous = run_night(previous, now, night | {"reaches": reaches}, rules)
        told += previous.to_pylist()
    assert [row["qualification"] for row in told] == ["SAL", "SAL", "SQL", "SQL"]
    assert [row["qualified_at"] for row in told] == [MONDAY, MONDAY] + [MONDAY + 2 * DAY] * 2
    assert [row["qualified_because"] for row in told] == ["accepted"] * 2 + ["probability"] * 2
    back = night | {"rejected_us": to_microseconds(MONDAY + 4 * DAY) - 1}
    (row,) = run_night(previous, MONDAY + 4 * DAY, back, rules).to_pylist()
    assert (row["qualification"], row["recycle_reason"]) == ("SAL", "rejected")


def test_first_touch_is_due_after_the_agreed_time_until_it_happens():
    states = pa.Table.from_pylist(
        [
            {"qualification": "MQL", "qualified_at": MONDAY},
            {"qualification": "MQL", "qualified_at": MONDAY},
            {"qualification": "none", "qualified_at": MONDAY, "recycle_reason": "silent"},
        ],
        schema=STATES,
    )
    touched = np.array([False, True, False])
    due = set_due_dates(states, touched, timedelta(hours=30), "mql")["handover_due"].to_pylist()
    assert due == [MONDAY + timedelta(hours=30), None, None]
