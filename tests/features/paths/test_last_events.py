"""The last event within a visit that is no state itself."""

import numpy as np

from features.paths.last_events import find_last_events
from features.paths.visits import find_paths
from tests.features.paths.test_visits import STATES, dataset_of, project_of, win_target


def last_events_of(*events, births=(0, 0)):
    dataset = dataset_of(list(births), list(events))
    visits = find_paths(dataset, project_of(win_target((), ())), STATES).visits
    rows = np.flatnonzero(visits.exit >= 0)
    last_events = find_last_events(dataset, STATES, visits, rows).to_pylist()
    return [
        (int(visits.lead[row]), STATES.names[visits.stage[row]], event)
        for row, event in zip(rows, last_events, strict=True)
    ]


def test_last_event_before_the_move_counts():
    events = [(0, 1, 0, "call"), (0, 2, 0, "page"), (0, 12, 0, "mql"), (0, 13, 0, "call")]
    assert last_events_of(*events, (0, 24, 0, "won")) == [
        (0, "created", "page"),
        (0, "mql", "call"),
    ]


def test_events_at_the_move_or_outside_the_visit_do_not_count():
    events = [(0, 1, 0, "page"), (0, 12, 0, "mql"), (0, 24, 0, "offer"), (0, 24, 0, "call")]
    assert last_events_of(*events) == [(0, "created", "page"), (0, "mql", None)]


def test_events_of_other_leads_do_not_count():
    events = [(0, 1, 0, "page"), (1, 2, 0, "call"), (1, 12, 0, "mql")]
    assert last_events_of(*events) == [(1, "created", "call")]


def test_ties_are_decided_by_name():
    events = [(0, 1, 0, "page"), (0, 1, 0, "call"), (0, 12, 0, "mql")]
    assert last_events_of(*events) == last_events_of(*events[::-1]) == [(0, "created", "page")]
