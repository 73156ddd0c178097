"""Spines against a loop over all entities and all cutoffs, straight from the rule."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from configs.targets import Cutoffs, Population, Target
from features.spine import build_scoring_spine, build_training_spine
from tests.features.logs import START, dataset, event, of

AS_OF = START + timedelta(days=18)
targets = st.builds(
    lambda after, until, closed, age, cutoffs, observed: Target(
        population=Population(after=after, until=until, closed_by=closed, max_age=age),
        outcome="won",
        horizon="3d",
        cutoffs=cutoffs,
        observed_from=observed,
    ),
    st.sampled_from(["created", "call"]),
    st.sampled_from([(), ("lost",)]),
    st.sampled_from([(), ("visit",), ("lost", "visit")]),
    st.sampled_from([None, "4d", "30d"]),
    st.sampled_from(
        [Cutoffs(every="1d"), Cutoffs(every="36h"), Cutoffs(delay="6h"), Cutoffs(delay="2d")]
    ),
    st.sampled_from([None, START + timedelta(days=5)]),
)


def eligible(data, target, entity, cutoff):
    """Return whether an entity is in the population at a cutoff, by a loop over all rows."""
    entry = _entry(data, target, entity)
    if entry is None or not entry[1] < cutoff:
        return False
    ends = (*target.population.until, *target.outcome_types)
    for row in data.events.to_pylist():
        same = (
            row["entity_id"] == entity
            and row["event_type"] in ends
            and row["event_time"] >= entry[0]
        )
        if same and row["available_at"] < cutoff:
            return False
    age = target.population.max_age
    return age is None or cutoff <= entry[0] + age


def _entry(data, target, entity):
    lead = next(row for row in data.leads.to_pylist() if row["entity_id"] == entity)
    if target.population.after == "created":
        return lead["created_at"], lead["available_at"]
    rows = [
        r
        for r in data.events.to_pylist()
        if r["entity_id"] == entity and r["event_type"] == target.population.after
    ]
    if not rows:
        return None
    first = min(rows, key=lambda r: (r["available_at"], r["event_time"]))
    return first["event_time"], max(first["available_at"], lead["available_at"])


def pairs(table):
    return list(zip(table["entity_id"].to_pylist(), table["cutoff"].to_pylist(), strict=True))


@settings(max_examples=300, deadline=None)
@given(dataset(), targets)
def test_training_spine_has_all_eligible_cutoffs(data, target):
    expected = []
    for entity in "abcd":
        if target.cutoffs.delay:
            entry = _entry(data, target, entity)
            cutoffs = [entry[0] + target.cutoffs.delay] if entry else []
        else:
            cutoffs = [AS_OF - k * target.cutoffs.every for k in range(1, 60)]
        expected += [
            (entity, c) for c in cutoffs if c < AS_OF and eligible(data, target, entity, c)
        ]
    if target.observed_from:
        expected = [row for row in expected if row[1] >= target.observed_from]
    assert pairs(build_training_spine(data, target, AS_OF)) == sorted(
        expected, key=lambda r: (r[1], r[0])
    )


@settings(max_examples=300, deadline=None)
@given(dataset(), targets)
def test_scoring_spine_has_all_open_entities(data, target):
    expected = []
    for entity in "abcd":
        if not target.cutoffs.delay:
            expected += [(entity, AS_OF)] if eligible(data, target, entity, AS_OF) else []
            continue
        entry = _entry(data, target, entity)
        cutoff = entry[0] + target.cutoffs.delay if entry else None
        open_now = (
            cutoff
            and cutoff <= AS_OF < cutoff + target.horizon
            and _still_open(data, target, entity, entry[0])
        )
        expected += (
            [(entity, cutoff)] if open_now and eligible(data, target, entity, cutoff) else []
        )
    assert pairs(build_scoring_spine(data, target, AS_OF)) == sorted(
        expected, key=lambda r: (r[1], r[0])
    )


def _still_open(data, target, entity, entry):
    ends = (*target.population.until, *target.population.closed_by, *target.outcome_types)
    rows = [
        r for r in data.events.to_pylist() if r["entity_id"] == entity and r["event_type"] in ends
    ]
    return not any(r["available_at"] < AS_OF and r["event_time"] >= entry for r in rows)


@settings(max_examples=100, deadline=None)
@given(dataset(), st.lists(event(), max_size=5), targets)
def test_future_rows_change_no_spine_row(data, later, target):
    """Check that rows known at or after a cutoff do not change its population."""
    cutoff = START + timedelta(days=7)
    unknown = [{**e, "available_at": max(e["event_time"], cutoff)} for e in later]
    more = of(data.leads.to_pylist(), data.events.to_pylist() + unknown)
    before = [row for row in pairs(build_training_spine(data, target, AS_OF)) if row[1] <= cutoff]
    after = [row for row in pairs(build_training_spine(more, target, AS_OF)) if row[1] <= cutoff]
    assert before == after
