"""Entities that come back: reopened, with a revoked outcome, or with outcomes that recur.

Spines and labels are compared with plain loops over entities, cutoffs and events.
"""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.targets import ColumnOutcome, Cutoffs, Population, Target
from features.contracts import EVENTS, LEADS, Dataset
from features.labels import compute_labels, find_outcome_values
from features.spine import build_scoring_spine, build_training_spine
from tests.features import population_oracle as oracle
from tests.features.logs import HOUR, START, spine_of
from tests.features.population_oracle import World

AS_OF = 15 * 24
TYPES = ("won", "paid", "lost", "back", "undone", "visit")
DELAYS = (0, 0, 0, 1, 24, 120)

# A clock of half days makes ties, and events exactly at a cutoff, common.
times = st.integers(0, 2 * 14).map(lambda half: 12 * half)
knowledge = st.sampled_from(DELAYS)
events = st.lists(
    st.tuples(st.integers(0, 1), times, knowledge, st.sampled_from(TYPES)), max_size=18
)
worlds = st.builds(
    lambda leads, log: World(
        [(time, time + late) for time, late in leads],
        [(entity, time, time + late, kind) for entity, time, late, kind in log],
    ),
    st.lists(st.tuples(times, knowledge), min_size=2, max_size=2),
    events,
)
targets = st.builds(
    lambda after, until, reopen, revoked, recurring, closed, age, cutoffs, outcome: Target(
        population=Population(
            after=after,
            until=tuple(name for name in until if not (recurring and name in outcome)),
            reopen=reopen,
            recurring=recurring,
            closed_by=closed,
            max_age=age,
        ),
        outcome=outcome,
        outcome_revoked_by=revoked,
        horizon="60h",
        cutoffs=cutoffs,
    ),
    st.sampled_from(["created", "created", "visit", "won"]),
    st.sampled_from([(), ("lost",), ("lost", "won")]),
    st.sampled_from([(), ("back",), ("back", "undone")]),
    st.sampled_from([(), ("undone",), ("undone", "lost")]),
    st.booleans(),
    st.sampled_from([(), ("visit",), ("visit", "won")]),
    st.sampled_from([None, None, "5d"]),
    st.sampled_from(
        [Cutoffs(every="12h"), Cutoffs(every="18h"), Cutoffs(delay="24h"), Cutoffs(delay="60h")]
    ),
    st.sampled_from([("won",), ("won", "paid")]),
)


def hours(duration):
    return duration // HOUR


def instant(hour):
    return START + hour * HOUR


def data_of(world):
    """Return the Dataset of a world, without a second copy of equal events."""
    leads = [
        [f"e{number}" for number in range(len(world.leads))],
        [None] * len(world.leads),
        [instant(created) for created, _ in world.leads],
        [instant(known) for _, known in world.leads],
    ]
    rows = sorted(set(world.events))
    log = [
        [f"e{row[0]}" for row in rows],
        [instant(row[1]) for row in rows],
        [instant(row[2]) for row in rows],
        [row[3] for row in rows],
        [None] * len(rows),
        [float(row[1]) for row in rows],
    ]
    return Dataset(table(leads, LEADS), table(log, EVENTS), counts=(), fingerprint="test")


def table(columns, schema):
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def pairs(spine):
    cutoffs = [(at - START) // HOUR for at in spine["cutoff"].to_pylist()]
    return [(at, int(e[1:])) for at, e in zip(cutoffs, spine["entity_id"].to_pylist(), strict=True)]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(worlds, targets, st.integers(0, 72))
def test_spines_follow_their_definitions(world, target, first_night):
    data = data_of(world)
    assert pairs(build_training_spine(data, target, instant(AS_OF))) == oracle.training_rows(
        world, target, AS_OF, hours
    )
    for now in range(first_night, AS_OF, 72):
        assert pairs(build_scoring_spine(data, target, instant(now))) == oracle.rows_to_score(
            world, target, now, hours
        )


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(worlds, targets)
def test_labels_are_those_of_outcomes_that_stand(world, target):
    data = data_of(world)
    rows = [(cutoff, entity) for cutoff in range(0, AS_OF, 24) for entity in (0, 1)]
    spine = spine_of([(f"e{entity}", instant(cutoff)) for cutoff, entity in rows])
    labels = compute_labels(data, spine, target, instant(AS_OF))
    first = [oracle.outcome_after(world, target, entity, cutoff) for cutoff, entity in rows]
    horizon = hours(target.horizon)
    assert labels["label"].to_pylist() == [
        None if cutoff + horizon > AS_OF else int(at is not None and at < cutoff + horizon)
        for at, (cutoff, _) in zip(first, rows, strict=True)
    ]
    assert labels["outcome_at"].to_pylist() == [None if at is None else instant(at) for at in first]
    values = find_outcome_values(data, spine, target).tolist()
    # The value of each event is its hour, so that each value says which event it is from.
    assert [None if value != value else value for value in values] == first


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(worlds, targets, events, st.integers(0, 29 * 12))
def test_later_knowledge_changes_no_earlier_spine_row(world, target, others, cutoff):
    """Replace all that became known at or after a cutoff."""
    earlier = [event for event in world.events if event[2] < cutoff]
    later = [(entity, time, max(time + late, cutoff), kind) for entity, time, late, kind in others]
    leads = [lead if lead[1] < cutoff else (lead[0], lead[1] + 30) for lead in world.leads]
    before, after = (
        [
            *(
                row
                for row in pairs(build_training_spine(data, target, instant(AS_OF)))
                if row[0] <= cutoff
            ),
            *pairs(build_scoring_spine(data, target, instant(cutoff))),
        ]
        for data in (data_of(world), data_of(World(leads, earlier + later)))
    )
    assert before == after


def of(log, **changes):
    """Return spans of eligible days and the label by day, of one lead created on day 1."""
    world = World([(0, 0)], [(0, 24 * day, 24 * (late or day), name) for day, name, late in log])
    target = Target(
        population=Population(until=("lost",), **changes.pop("population", {})),
        **{"outcome": "won", "horizon": "2d", "cutoffs": Cutoffs(every="1d")} | changes,
    )
    return data_of(world), target


def days(spine):
    return [cutoff // 24 for cutoff, _ in pairs(spine)]


def test_restored_lead_is_eligible_again_until_it_is_lost_again():
    log = [(2, "lost", None), (4, "back", None), (6, "lost", None)]
    data, target = of(log, population={"reopen": ("back",)})
    assert days(build_training_spine(data, target, instant(240))) == [1, 2, 5, 6]
    data, target = of(log)
    assert days(build_training_spine(data, target, instant(240))) == [1, 2]


def test_revoked_outcome_ends_eligibility_only_until_its_revocation_is_known():
    log = [(2, "won", None), (3, "undone", 5), (8, "won", None)]
    data, target = of(log, outcome_revoked_by=("undone",))
    spine = build_training_spine(data, target, instant(240))
    assert days(spine) == [1, 2, 6, 7, 8]
    labels = compute_labels(data, spine, target, instant(240))
    assert labels["label"].to_pylist() == [0, 0, 0, 1, 1]
    assert labels["outcome_at"].to_pylist() == [instant(8 * 24)] * 5


def test_label_counts_an_outcome_until_its_revocation_is_known():
    data, target = of([(2, "won", None), (3, "undone", 5)], outcome_revoked_by=("undone",))
    spine = spine_of([("e0", instant(24))])
    as_known = [
        compute_labels(data.cut_at(instant(24 * day)), spine, target, instant(72))["label"][0]
        for day in (5, 6)
    ]
    assert [label.as_py() for label in as_known] == [1, 0]


def test_reopen_opens_after_the_outcome_too_but_keeps_the_label():
    data, target = of([(2, "won", None), (3, "back", None)], population={"reopen": ("back",)})
    spine = build_training_spine(data, target, instant(6 * 24))
    assert days(spine) == [1, 2, 4, 5]
    label = compute_labels(data, spine, target, instant(240))["label"].to_pylist()
    assert label == [1, 1, 0, 0]


def test_late_loss_from_before_the_reopening_ends_nothing():
    log = [(3, "lost", 6), (4, "back", None)]
    data, target = of(log, population={"reopen": ("back",)})
    assert days(build_training_spine(data, target, instant(8 * 24))) == [1, 2, 3, 4, 5, 6, 7]


def test_revocation_takes_back_the_latest_outcome_alone():
    log = [(2, "won", None), (4, "won", None), (5, "undone", None)]
    data, target = of(log, outcome_revoked_by=("undone",), population={"recurring": True})
    spine = build_training_spine(data, target, instant(6 * 24))
    assert days(spine) == [1, 2, 3, 4, 5]
    assert compute_labels(data, spine, target, instant(240))["label"].to_pylist() == [1, 1, 0, 0, 0]


def test_recurring_outcome_is_labelled_after_each_one_and_after_entry_by_it():
    log = [(2, "won", None), (4, "won", None)]
    data, target = of(log, population={"recurring": True, "after": "won"})
    spine = build_training_spine(data, target, instant(6 * 24))
    assert days(spine) == [3, 4, 5]
    assert compute_labels(data, spine, target, instant(240))["label"].to_pylist() == [1, 1, 0]
    data, target = of(log, population={"after": "won"})
    assert build_training_spine(data, target, instant(6 * 24)).num_rows == 0


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("population.reopen", {"population": {"reopen": ["lost"], "until": ["lost"]}}),
        ("population.reopen", {"population": {"reopen": ["won"]}}),
        ("outcome_revoked_by", {"outcome_revoked_by": ["won"]}),
        ("population.until", {"population": {"until": ["won"], "recurring": True}}),
    ],
)
def test_event_type_with_contradictory_roles_is_refused(key, changes):
    with pytest.raises(ValueError, match=key):
        Target(outcome="won", horizon="2d", cutoffs=Cutoffs(every="1d"), **changes)


def test_outcome_column_takes_no_revoking_events():
    with pytest.raises(ValueError, match="outcome_revoked_by"):
        Target(outcome=ColumnOutcome(column="x", equals=1), outcome_revoked_by=("undone",))
