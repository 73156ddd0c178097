"""Facts on single leads equal those of a plain loop, and nothing later changes them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import Project
from features.contracts import VALUES, EventLeadRows
from features.suppressed import SUPPRESSED, Suppression
from pipelines.page.lead_facts import MAX_TIMELINE, collect_lead_facts
from tests.features.logs import START, TICK, crowd, crowds, dataset, examples

AS_OF = START + timedelta(days=8)
TIMELINE_COLUMNS = ("event_time", "event_type", "channel", "value")


@pytest.fixture(scope="module")
def project():
    """Return a project whose leads have the attributes of the histories."""
    leads = {"path": "leads.csv", "entity_id": "id", "created_at": "at", "attributes": ["size"]}
    events = {"path": "events.csv", "entity_id": "id", "event_time": "at", "event_type": "type"}
    target = {"outcome": "won", "horizon": "7d", "cutoffs": {"every": "7d"}}
    return Project.model_validate(
        {
            "project": "acme",
            "timezone": "UTC",
            "workspace": "workspace",
            "sources": {"leads": leads, "events": [events]},
            "targets": {"close": target},
        }
    )


def list_facts(data, ids, as_of):
    """Return timeline, number of events and unknown attributes of each lead, by a plain loop."""
    leads = {row["entity_id"]: row for row in data.leads.to_pylist()}
    known = {name for name in ids if name in leads and leads[name]["available_at"] < as_of}
    facts = {}
    for name in known:
        own = [
            row
            for row in data.events.to_pylist()
            if row["entity_id"] == name and row["available_at"] < as_of
        ]
        own.sort(key=lambda row: (row["event_time"], row["available_at"]), reverse=True)
        times = [row["event_time"] for row in own]
        unknown = [n for n in data.attributes if leads[name][n] is None]
        facts[name] = (times[:MAX_TIMELINE], len(own), unknown)
    return facts


def read_facts(found):
    """Return collected facts in the form of ``list_facts``."""
    rows = found.timeline.to_pylist()
    return {
        name: (
            [row["event_time"] for row in rows if row["entity_id"] == name],
            count,
            found.unknown[name],
        )
        for name, count in found.events.items()
    }


def with_lead_rows(data):
    """Return the data as it is read, with the lead of each event."""
    rows = pa.chunked_array([data.find_leads(data.events["entity_id"]).astype(np.int32)])
    return replace(data, event_lead_rows=EventLeadRows(data.leads, data.events, rows))


def in_pieces(data, rows):
    """Return the data with its events in batches, as of a file."""
    batches = data.events.to_batches(rows)
    return replace(data, events=pa.Table.from_batches(batches, data.events.schema))


@given(data=st.one_of(dataset(), crowds), wanted=st.integers(1, 9), piece=st.integers(1, 99))
@examples(25)
def test_facts_equal_those_of_a_plain_loop(project, data, wanted, piece):
    data = in_pieces(data, piece)
    ids = [*data.leads["entity_id"].to_pylist()[::wanted], "nobody"]
    expected = list_facts(data, ids, AS_OF)
    found = collect_lead_facts(project, data, ids, AS_OF)
    assert read_facts(found) == expected
    faster = collect_lead_facts(project, with_lead_rows(data), ids, AS_OF)
    assert (faster.timeline, faster.events) == (found.timeline, found.events)
    cut = collect_lead_facts(project, data.cut_at(AS_OF), ids, AS_OF)
    assert (cut.timeline, cut.events, cut.unknown) == (found.timeline, found.events, found.unknown)


def test_timeline_holds_the_newest_known_events(project):
    data = crowd(3, leads=2, events=200)
    found = collect_lead_facts(project, data, ["e0000", "e0001"], AS_OF)
    for name, rows in by_entity(found.timeline).items():
        own = [
            row
            for row in data.events.to_pylist()
            if row["entity_id"] == name and row["available_at"] < AS_OF
        ]
        assert len(own) > MAX_TIMELINE == len(rows)
        times = [row["event_time"] for row in rows]
        assert times == sorted(times, reverse=True)
        # No event that was left out is newer than one that is shown.
        shown = {tuple(row[name] for name in TIMELINE_COLUMNS) for row in rows}
        left = [row for row in own if tuple(row[n] for n in TIMELINE_COLUMNS) not in shown]
        assert max(row["event_time"] for row in left) <= times[-1]


def by_entity(timeline):
    rows = {}
    for row in timeline.to_pylist():
        rows.setdefault(row["entity_id"], []).append(row)
    return rows


@given(seed=st.integers(0, 2**32 - 1))
@examples(12)
def test_rows_known_later_change_nothing(project, seed):
    data = crowd(seed)
    values = [
        {
            "entity_id": f"e{place:04d}",
            "attribute": "plan",
            "valid_from": AS_OF - TICK * 9,
            "available_at": AS_OF + TICK * (place % 2 - 1),
            "value": "pro",
        }
        for place in range(6)
    ]
    data = replace(data, values=pa.Table.from_pylist(values, VALUES))
    ids = data.leads["entity_id"].to_pylist()
    expected = collect_lead_facts(project, data, ids, AS_OF)
    # Known from the instant itself on: the as-of is the first at which a row may not count.
    assert {name for name in ids if "plan" not in expected.unknown.get(name, ["plan"])} <= {
        "e0000",
        "e0002",
        "e0004",
    }
    garbled = collect_lead_facts(project, garble_after(data, AS_OF), ids, AS_OF)
    assert garbled.timeline.equals(expected.timeline)
    assert (garbled.events, garbled.unknown) == (expected.events, expected.unknown)


def garble_after(data, as_of):
    """Return the data with nonsense in all rows known at the as-of or later, and more of them."""
    late = pc.field("available_at") >= pa.scalar(as_of)
    events = data.events.filter(late).to_pylist()
    nonsense = [row | {"event_type": "never", "channel": "x", "value": 7.0} for row in events]
    extra = [
        row | {"available_at": as_of, "event_time": row["event_time"] - timedelta(days=99)}
        for row in data.events.to_pylist()[:9]
    ]
    known = data.events.filter(~late)
    later = pa.Table.from_pylist([*nonsense, *extra], data.events.schema)
    other = [row | {"attribute": "later"} for row in data.values.filter(late).to_pylist()]
    values = pa.concat_tables([data.values.filter(~late), pa.Table.from_pylist(other, VALUES)])
    return replace(data, events=pa.concat_tables([later, known]), values=values)


def test_suppressed_and_personal_values_are_left_out(project):
    data = crowd(5)
    ids = data.leads["entity_id"].to_pylist()
    rows = pa.table({"entity_id": ["e0001"], "reason": ["privacy.suppress"]}, schema=SUPPRESSED)
    hidden = project.model_copy(
        update={"privacy": project.privacy.model_copy(update={"personal": ("role",)})}
    )
    data = replace(data, suppressed=Suppression(rows))
    found = collect_lead_facts(hidden, data, ids, AS_OF)
    assert "e0001" not in found.events
    assert "e0001" not in found.timeline["entity_id"].to_pylist()
    assert "e0001" not in found.unknown
    assert {name for names in found.unknown.values() for name in names} == {"size"}


def test_data_without_times_has_no_timeline(project):
    data = replace(crowd(5), timed=False)
    found = collect_lead_facts(project, data, ["e0000"], AS_OF)
    assert found.timeline.num_rows == 0
    assert set(found.events) == {"e0000"}
