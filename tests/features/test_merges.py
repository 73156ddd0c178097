"""Merged records: at a cutoff exactly the merges known before it hold, as if done by hand."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.targets import Target
from features.build import build_features
from features.eligibility import find_eligible_spans, find_entries
from features.intake.identity.merged_rows import move_events, move_values
from features.labels import compute_labels
from features.merges import ALWAYS_US, Merges
from features.spine import build_scoring_spine, build_training_spine
from features.tools.instants import from_microseconds, to_microseconds
from tests.features.agreement import same_bits
from tests.features.logs import (
    CATALOG,
    START,
    dataset,
    delays,
    event,
    examples,
    moments,
    of,
    spine_of,
)

DAY = timedelta(days=1)
# An id that is no lead, beside the leads a, b, c and d.
IDS = ("a", "b", "c", "d", "gone")
# How long others stayed is known from every record, merged or not.
COMPARED = CATALOG.select([f.name for f in CATALOG.features if f.aggregate != "stalled"])
WIN = Target.model_validate({"outcome": "won", "horizon": "3d", "cutoffs": {"every": "1d"}})


@st.composite
def some_merges(draw, ids=IDS):
    """Draw merges without a circle: each id may become one that is later in some order."""
    order = draw(st.permutations(ids))
    into = dict[str, tuple[str, int]]()
    for place, old in enumerate(order[:-1]):
        if draw(st.booleans()):
            instant = draw(st.none() | moments)
            new = draw(st.sampled_from(order[place + 1 :]))
            into[old] = new, ALWAYS_US if instant is None else to_microseconds(instant)
    return Merges(into)


@st.composite
def companies(draw):
    """Draw a data set in which some events are of an id without a lead, and its merges."""
    data, rows = draw(dataset()), []
    for row in data.events.to_pylist():
        rows.append(row | {"entity_id": "gone"} if draw(st.integers(0, 4)) == 0 else row)
    return of(data.leads.to_pylist(), rows), draw(some_merges())


def merged(data, merges):
    """Apply merges as the reader of the sources does."""
    found = merges.to_leads(data.leads)
    column = pa.array(data.find_leads(data.events["entity_id"]), pa.int32())
    log = move_events(data.events.append_column("lead", column), data.lead_ids, found, None)
    values = move_values(data.values, data.lead_ids, found)
    return replace(data, events=log.drop(["lead"]), values=values, merges=found)


def joined(data):
    return {r["entity_id"]: to_microseconds(r["available_at"]) for r in data.leads.to_pylist()}


def become(data, merges, entity, cutoff):
    """Return what an id is at a cutoff, and since when, by walking the merges known by then."""
    known, since, found = joined(data), ALWAYS_US, (entity, ALWAYS_US)
    while entity in merges.into and merges.into[entity][1] < cutoff:
        entity, instant = merges.into[entity]
        since = max(since, instant)
        if known.get(entity, cutoff) < cutoff:
            found = entity, max(since, known[entity])
    return found


def plain(data, merges, cutoff):
    """Return the data that someone has at the cutoff who applies all merges known by hand.

    Equal events of two records of one person are one, that became known first.
    """
    at = to_microseconds(cutoff)
    leads = [
        row
        for row in data.leads.to_pylist()
        if become(data, merges, row["entity_id"], at)[0] == row["entity_id"]
    ]
    rows = dict[tuple[object, ...], dict[str, object]]()
    for row in data.events.to_pylist():
        name, since = become(data, merges, row["entity_id"], at)
        known = max(to_microseconds(row["available_at"]), since)
        changed = row | {"entity_id": name, "available_at": from_microseconds(known)}
        same = tuple(repr(v) for k, v in changed.items() if k != "available_at")
        rows.setdefault((*same, row["entity_id"], len(rows)), changed)
    return of(leads, pair_equals(rows))


def pair_equals(rows):
    """Return for the n-th of equal rows of each record the one that became known first."""
    groups = dict[tuple[object, ...], dict[str, list[dict[str, object]]]]()
    for (*same, origin, _), row in rows.items():
        groups.setdefault(tuple(same), {}).setdefault(origin, []).append(row)
    kept = list[dict[str, object]]()
    for origins in groups.values():
        columns = [sorted(each, key=lambda row: row["available_at"]) for each in origins.values()]
        for place in range(max(map(len, columns))):
            same = [column[place] for column in columns if place < len(column)]
            kept.append(min(same, key=lambda row: row["available_at"]))
    return kept


def rows_alive(data, merges, cutoff):
    """Return a spine of all leads known at a cutoff that are still themselves."""
    at = to_microseconds(cutoff)
    return spine_of(
        [
            (name, cutoff)
            for name, known in joined(data).items()
            if known < at and become(data, merges, name, at)[0] == name
        ]
    )


def test_account_has_each_event_and_person_once():
    log = [did("a", "visit", 1), did("b", "visit", 2), did("a", "call", 5.5), did("c", "mail", 1)]
    data = of([lead(name, "x") for name in "abc"], log)
    merges = Merges(merge("a", "b", 5))
    for cutoff in (START + 3 * DAY, START + 5 * DAY, START + 6 * DAY):
        spine = rows_alive(data, merges, cutoff)
        expected = build_features(plain(data, merges, cutoff), spine, COMPARED)
        assert same_bits(build_features(merged(data, merges), spine, COMPARED), expected)


@examples(6)
@given(companies(), moments)
def test_features_are_those_of_data_merged_by_hand(company, cutoff):
    data, merges = company
    spine = rows_alive(data, merges, cutoff)
    expected = build_features(plain(data, merges, cutoff), spine, COMPARED)
    found = build_features(merged(data, merges), spine, COMPARED)
    differing = [
        n for n in found.column_names if not same_bits(found.select([n]), expected.select([n]))
    ]
    assert not differing


@examples(6)
@given(companies(), moments, st.data())
def test_later_rows_and_merges_change_no_bit(company, cutoff, draw):
    data, merges = company
    at = to_microseconds(cutoff)
    spine = rows_alive(data, merges, cutoff)
    known = [row for row in data.events.to_pylist() if row["available_at"] < cutoff]
    late = [
        row | {"available_at": max(row["available_at"], cutoff) + draw.draw(delays)}
        for row in draw.draw(st.lists(event(), max_size=8))
    ]
    leads = [
        row if row["available_at"] < cutoff else row | {"account_id": "x", "size": -1.0}
        for row in data.leads.to_pylist()
    ]
    # Merges known by then stay; all others become other ones.
    others = {
        old: (new, max(instant, at))
        for old, (new, instant) in draw.draw(some_merges()).into.items()
    }
    kept = {old: step for old, step in merges.into.items() if step[1] < at}
    mixed = Merges(others | kept)
    if has_circle(mixed.into):
        mixed = Merges(kept)
    expected = build_features(merged(data, merges), spine, CATALOG)
    assert same_bits(
        build_features(merged(of(leads, known + late), mixed), spine, CATALOG), expected
    )
    assert same_bits(build_features(merged(data, merges).cut_at(cutoff), spine, CATALOG), expected)


def has_circle(into):
    for start in into:
        seen, entity = set(), start
        while entity in into:
            if entity in seen:
                return True
            seen.add(entity)
            entity = into[entity][0]
    return False


@examples(6)
@given(companies(), moments)
def test_lead_is_eligible_until_it_became_another_one(company, cutoff):
    data, merges = company
    both = merged(data, merges)
    spans = find_eligible_spans(both, WIN, find_entries(both, WIN.population))
    names = data.leads["entity_id"].to_pylist()
    open_now = {names[row] for row in spans.lead[spans.select(to_microseconds(cutoff))]}
    alive = set(rows_alive(data, merges, cutoff)["entity_id"].to_pylist())
    assert open_now <= alive
    scored = build_scoring_spine(both.cut_at(cutoff), WIN, cutoff)
    assert set(scored["entity_id"].to_pylist()) == open_now


def lead(name, account=None, day=0):
    at = START + day * DAY
    row = {"entity_id": name, "account_id": account, "created_at": at, "available_at": at}
    return row | {"size": 1.0, "role": "buyer"}


def did(name, what, day):
    at = START + day * DAY
    row = {"entity_id": name, "event_time": at, "available_at": at, "event_type": what}
    return row | {"channel": None, "value": None}


def merge(old, new, day):
    return {old: (new, to_microseconds(START + day * DAY))}


@pytest.fixture
def company():
    """Lead a becomes b on day 5; b wins on day 6."""
    log = [did("a", "visit", 1), did("b", "visit", 2), did("a", "visit", 5.5), did("b", "won", 6)]
    return merged(of([lead("a"), lead("b"), lead("c")], log), Merges(merge("a", "b", 5)))


def test_outcome_of_the_new_record_is_that_of_the_old_one(company):
    spine = spine_of([(name, START + 4 * DAY) for name in "abc"])
    labels = compute_labels(company, spine, WIN, START + 9 * DAY)
    assert labels["label"].to_pylist() == [1, 1, 0]
    early = compute_labels(company.cut_at(START + 5 * DAY), spine, WIN, START + 9 * DAY)
    assert early["label"].to_pylist() == [0, 0, 0]


def test_training_has_both_records_before_the_merge_and_one_cluster(company):
    spine = build_training_spine(company, WIN, START + 7 * DAY).to_pylist()
    last = {name: max(r["cutoff"] for r in spine if r["entity_id"] == name) for name in "abc"}
    assert [(last[name] - START).days for name in "abc"] == [5, 6, 6]
    clusters = company.find_clusters(pa.chunked_array([["a", "b", "c"]])).to_pylist()
    assert clusters[0] == clusters[1] != clusters[2]


def test_equal_events_of_both_records_are_one():
    log = [did("a", "visit", 1), did("b", "visit", 1), did("b", "visit", 2)]
    data = merged(of([lead("a"), lead("b")], log), Merges(merge("a", "b", 5)))
    after = [r for r in data.events.to_pylist() if r["entity_id"] == "b"]
    assert sorted((r["event_time"] - START).days for r in after) == [1, 2]
    assert all(r["available_at"] < START + 5 * DAY for r in after)


def test_own_value_of_the_new_record_wins():
    def value(name, attribute, day, text):
        at = START + day * DAY
        row = {"entity_id": name, "attribute": attribute, "valid_from": at, "available_at": at}
        return row | {"value": text}

    values = [value("a", "size", 3, "9"), value("b", "size", 1, "2"), value("a", "city", 3, "Bonn")]
    values += [value("b", "city", 8, "Kiel")]
    data = of([lead("a"), lead("b")], [did("a", "visit", 1)], values)
    found = merged(data, Merges(merge("a", "b", 5))).values.to_pylist()
    own = [
        (r["attribute"], r["value"], (r["available_at"] - START).days)
        for r in found
        if r["entity_id"] == "b"
    ]
    assert sorted(own) == [("city", "Bonn", 5), ("city", "Kiel", 8), ("size", "2", 1)]
    assert len([r for r in found if r["entity_id"] == "a"]) == 2
