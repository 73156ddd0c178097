"""The buying groups of accounts, against a loop over the people of each."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.score_tables import GROUP_COLUMNS
from features.suppressed import SUPPRESSED, Suppression
from serve.scoring.buying_group import GroupRules, describe_groups
from tests.features.logs import of
from tests.serve.samples import MONDAY

TICK, DAY = timedelta(microseconds=1), timedelta(days=1)
ROLES = ("user", "finance", "legal")
RULES = GroupRules(ROLES, ("call",), ("legal", "finance"))
IDS = pa.array(["x", "y"])
# Both sides of each window's ends, as ages before the as-of.
AGES = st.sampled_from([TICK, 14 * DAY, 14 * DAY + TICK, 30 * DAY, 30 * DAY + TICK, 90 * DAY])
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["x", "y", "z", None]),
        st.sampled_from([*ROLES, "other", None]),
        AGES,
        st.sampled_from([None, 0.1, 0.5]),
    ),
    min_size=1,
    max_size=8,
)
EVENTS = st.lists(st.tuples(st.integers(0, 7), AGES, st.sampled_from(["call", "visit"])))


def build(people, events):
    leads = [
        {
            "entity_id": f"e{at}",
            "account_id": account,
            "created_at": MONDAY - 100 * DAY,
            "available_at": MONDAY - known,
            "role": role,
        }
        for at, (account, role, known, _) in enumerate(people)
    ]
    log = [
        {"entity_id": f"e{at}", "event_time": MONDAY - age, "available_at": MONDAY - age}
        | {"event_type": kind, "channel": None, "value": None}
        for at, age, kind in events
        if at < len(people)
    ]
    scored = [(f"e{at}", chance) for at, (*_, chance) in enumerate(people) if chance]
    scores = pa.table(
        {
            "entity_id": pa.array([name for name, _ in scored], pa.string()),
            "probability": pa.array([chance for _, chance in scored], pa.float64()),
        }
    )
    return of(leads, log), scores


def describe_by_loop(people, events, account):
    """Return the columns of an account by the definitions of docs/accounts.md."""
    own = [at for at, person in enumerate(people) if person[0] == account]
    acts = {
        at: sum(age <= 30 * DAY and kind != "call" for e, age, kind in set(events) if e == at)
        for at in own
    }
    engaged = [at for at in own if acts[at]]
    total = sum(acts.values())
    present = [role for role in ROLES if any(people[at][1] == role for at in own)]
    missing = [role for role in ROLES if role not in present]
    wanted = [r for r in RULES.winning if all(people[at][1] != r for at in engaged)]
    who = wanted[0] if wanted else None
    known = [at for at in own if who and people[at][1] == who]
    known.sort(key=lambda at: (-(people[at][3] or -1), people[at][2], at))
    return {
        "roles_present": ", ".join(present) or None,
        "roles_missing": ", ".join(missing) or None,
        "engaged_people_30d": len(engaged),
        "new_people_14d": sum(people[at][2] <= 14 * DAY for at in own),
        "concentration": pytest.approx(max(acts.values()) / total) if total else None,
        "single_threaded": len(engaged) == 1,
        "who_next": who,
        "next_contact": f"e{known[0]}" if known else None,
    }


@given(PEOPLE, EVENTS)
def test_groups_match_a_loop(people, events):
    data, scores = build(people, events)
    found = pa.table(describe_groups(data, scores, IDS, MONDAY, RULES)).to_pylist()
    assert found == [describe_by_loop(people, events, account) for account in ("x", "y")]
    assert tuple(found[0]) and set(found[0]) == set(GROUP_COLUMNS)


@given(PEOPLE, EVENTS, PEOPLE, st.lists(AGES, min_size=1))
def test_person_known_after_the_as_of_changes_nothing(people, events, later, delays):
    """Contacts are added as a deal advances: neither they nor what they did counts before."""
    data, scores = build(people, events)
    before = describe_groups(data, scores, IDS, MONDAY, RULES)
    everybody = [*people, *later]
    more, _ = build(everybody, [*events, *((len(people), age, "visit") for age in delays)])
    times = [
        row["available_at"]
        if int(row["entity_id"][1:]) < len(people)
        else MONDAY + delays[at % len(delays)] - TICK
        for at, row in enumerate(more.leads.to_pylist())
    ]
    place = more.leads.column_names.index("available_at")
    field = more.leads.schema.field("available_at")
    leads = more.leads.set_column(place, field, pa.array(times, field.type))
    after = describe_groups(replace(more, leads=leads).cut_at(MONDAY), scores, IDS, MONDAY, RULES)
    assert pa.table(after) == pa.table(before)


@given(PEOPLE, EVENTS)
def test_group_without_mapped_roles_has_no_roles(people, events):
    data, scores = build(people, events)
    found = describe_groups(data, scores, IDS, MONDAY, GroupRules(outbound=("call",)))
    for name in ("roles_present", "roles_missing", "who_next", "next_contact"):
        assert found[name].null_count == 2
    mapped = describe_groups(data, scores, IDS, MONDAY, RULES)
    assert found["engaged_people_30d"] == mapped["engaged_people_30d"]


def test_suppressed_person_is_nobody_to_reach():
    people = [("x", "legal", DAY, None), ("x", "user", DAY, 0.5)]
    data, scores = build(people, [(0, DAY, "call")])
    found = describe_groups(data, scores, IDS, MONDAY, RULES)
    assert found["next_contact"].to_pylist() == ["e0", None]
    rows = pa.Table.from_pylist([{"entity_id": "e0", "reason": "privacy.suppress"}], SUPPRESSED)
    objecting = replace(data, suppressed=Suppression(rows))
    found = describe_groups(objecting, scores, IDS, MONDAY, RULES)
    assert found["next_contact"].to_pylist() == [None, None]
    assert found["roles_present"].to_pylist() == ["user", None]


def test_data_without_times_has_no_group():
    data, scores = build([("x", "legal", DAY, None)], [])
    found = describe_groups(replace(data, timed=False), scores, IDS, MONDAY, RULES)
    assert set(found) == set(GROUP_COLUMNS)
    assert all(column.null_count == 2 for column in found.values())
