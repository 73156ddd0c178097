"""Paths of leads, against a plain loop over each lead's events, and against who is scored."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.targets import Cutoffs, Population, Target
from features.contracts import EVENTS, LEADS, Dataset
from features.merges import Merges
from features.paths.states import FunnelStates
from features.paths.visits import OPEN, find_paths
from features.spine import build_scoring_spine
from features.tools.instants import NEVER_US, US_PER_HOUR, to_microseconds
from tests.features.logs import HOUR, START
from tests.features.paths.oracle import list_visits

AS_OF = 15 * 24
TYPES = ("mql", "offer", "won", "lost", "gone", "back", "undone", "page")
STATES = FunnelStates("win", ("created", "mql", "offer"), ("won",), ("lost", "gone"), ("back",))

times = st.integers(0, 2 * 14).map(lambda half: 12 * half)
delays = st.sampled_from([0, 0, 0, 1, 24, 500])
logs = st.lists(st.tuples(st.integers(0, 1), times, delays, st.sampled_from(TYPES)), max_size=16)
births = st.lists(times, min_size=2, max_size=2)
reopenings = st.sampled_from([(), ("back",), ("back", "mql")])
revocations = st.sampled_from([(), ("undone",)])


def instant(hour):
    return START + hour * HOUR


def win_target(reopen, revoked):
    return Target(
        population=Population(until=("lost", "gone"), reopen=reopen),
        outcome="won",
        outcome_revoked_by=revoked,
        horizon="60h",
        cutoffs=Cutoffs(every="12h"),
    )


def project_of(target):
    return SimpleNamespace(targets={"win": target})


def dataset_of(births, events):
    born = [instant(hour) for hour in births]
    ids = [f"e{number}" for number in range(len(births))]
    leads = pa.table([ids, [None] * len(ids), born, born], schema=LEADS)
    rows = list(dict.fromkeys(events))
    columns = [
        [f"e{entity}" for entity, *_ in rows],
        [instant(time) for _, time, _, _ in rows],
        [instant(time + late) for _, time, late, _ in rows],
        [kind for *_, kind in rows],
        [None] * len(rows),
        [None] * len(rows),
    ]
    log = pa.table([pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], EVENTS)
    return Dataset(leads, log, (), "generated").cut_at(instant(AS_OF))


def read_paths(dataset, target, states):
    """Return the visits and spells of each lead, as the oracle lists them."""
    paths = find_paths(dataset, project_of(target), states)

    def hour(us):
        return None if us == NEVER_US else (us - to_microseconds(START)) // US_PER_HOUR

    def name(state):
        return None if state == OPEN else states.names[state]

    visits, spells = ({row: [] for row in range(dataset.leads.num_rows)} for _ in range(2))
    for lead, stage, start, end, ending in zip(
        *(getattr(paths.visits, c).tolist() for c in ("lead", "stage", "start", "end", "exit")),
        strict=True,
    ):
        visits[lead].append([states.names[stage], hour(start), hour(end), name(ending)])
    for lead, start, end, ending in zip(
        *(getattr(paths.spells, c).tolist() for c in ("lead", "start", "end", "exit")), strict=True
    ):
        spells[lead].append([hour(start), hour(end), name(ending)])
    return visits, spells


@settings(max_examples=100)
@given(births, logs, reopenings, revocations)
def test_paths_equal_a_plain_loop(born, log, reopen, revoked):
    target, states = win_target(reopen, revoked), replace(STATES, reopens=reopen)
    dataset = dataset_of(born, log)
    kept = dict(zip(dataset.leads["entity_id"].to_pylist(), range(2), strict=False))
    visits, spells = read_paths(dataset, target, states)
    events = [(e, time, time + late, kind) for e, time, late, kind in dict.fromkeys(log)]
    for name, row in kept.items():
        own = [e for e in events if f"e{e[0]}" == name and e[2] < AS_OF]
        expected = list_visits(born[int(name[1:])], own, states, target)
        assert (visits[row], spells[row]) == expected


@settings(max_examples=50)
@given(births, logs, reopenings, revocations)
def test_open_leads_are_those_that_are_scored(born, log, reopen, revoked):
    target, states = win_target(reopen, revoked), replace(STATES, reopens=reopen)
    dataset = dataset_of(born, log)
    _, spells = read_paths(dataset, target, states)
    ids = dataset.leads["entity_id"].to_pylist()
    is_open = {ids[row] for row, own in spells.items() if own[-1][1] is None}
    scored = build_scoring_spine(dataset, target, instant(AS_OF))["entity_id"].to_pylist()
    assert is_open == set(scored)


@settings(max_examples=25)
@given(births, logs, st.randoms(use_true_random=False))
def test_order_of_events_changes_nothing(born, log, random):
    target = win_target(("back",), ("undone",))
    shuffled = list(dict.fromkeys(log))
    random.shuffle(shuffled)
    one, other = (read_paths(dataset_of(born, rows), target, STATES) for rows in (log, shuffled))
    assert one == other


def paths_of(*events, born=0, states=STATES, target=None):
    target = target or win_target(states.reopens, ("undone",))
    rows = [(0, time, 0, kind) for time, kind in events]
    visits, spells = read_paths(dataset_of([born], rows), target, states)
    return visits[0], spells[0]


def test_skips_and_returns():
    visits, spells = paths_of((12, "offer"), (24, "mql"), (36, "mql"), (48, "offer"))
    assert [visit[0] for visit in visits] == ["created", "offer", "mql", "offer"]
    assert visits[2] == ["mql", 24, 48, "offer"]
    assert spells == [[0, None, None]]


def test_lead_created_in_the_middle():
    """The stage before the creation began then; a lost lead would not have been created."""
    visits, _ = paths_of((0, "lost"), (12, "mql"), (24, "offer"), (60, "won"), born=48)
    assert visits == [["offer", 24, 60, "won"]]


def test_stage_at_the_creation_leaves_no_visit_outside():
    visits, _ = paths_of((48, "mql"), (60, "offer"), born=48)
    assert [visit[:2] for visit in visits] == [["mql", 48], ["offer", 60]]


def test_win_by_mistake_leaves_the_lead_where_it_was():
    visits, spells = paths_of((12, "offer"), (24, "won"), (36, "undone"), (60, "won"))
    assert visits[-1] == ["offer", 12, 60, "won"]
    assert spells == [[0, 60, "won"]]


@pytest.mark.parametrize(("kind", "stage"), [("back", "offer"), ("mql", "mql")])
def test_reopened_lead_begins_a_new_spell(kind, stage):
    states = replace(STATES, reopens=("back", "mql"))
    visits, spells = paths_of((12, "offer"), (24, "lost"), (36, "offer"), (48, kind), states=states)
    assert visits[1:] == [["offer", 12, 24, "lost"], [stage, 48, None, None]]
    assert spells == [[0, 24, "lost"], [48, None, None]]


def test_merged_records_have_one_path():
    dataset = dataset_of([0, 0], [(1, 12, 0, "mql")])
    merges = Merges({"e0": ("e1", to_microseconds(instant(5)))}).to_leads(dataset.leads)
    visits, spells = read_paths(replace(dataset, merges=merges), win_target((), ()), STATES)
    assert (visits[0], spells[0]) == ([], [])
    assert len(visits[1]) == 2
