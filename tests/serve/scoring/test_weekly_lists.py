"""Weekly lists against a loop over nights and leads."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from configs.night import Capacity
from features.contracts import EVENTS, Dataset
from features.score_tables import SCORES
from serve.scoring.weekly_lists import (
    Week,
    _draw_order,
    add_weekly_list,
    look_up_owners,
    make_draw_seed,
    total_weekly_capacity,
)
from serve.store.reader import LISTED_COLUMNS
from serve.store.store import Store
from tests.serve.samples import DAY, MONDAY, a_run, ask, publish, some_scores

BERLIN = ZoneInfo("Europe/Berlin")
FRAME = pa.schema([SCORES.field(name) for name in ("entity_id", "owner")])
GIVEN = pa.schema([SCORES.field(name) for name in LISTED_COLUMNS])
NOBODY = GIVEN.empty_table()


def frame(ids, owners=None):
    """Return leads by rank."""
    return pa.table([ids, owners or [None] * len(ids)], schema=FRAME)


def listed(found):
    return dict(zip(found["entity_id"].to_pylist(), found["listed"].to_pylist(), strict=True))


def given(rows):
    return pa.table(list(zip(*rows, strict=True)), schema=GIVEN)


def test_picks_are_the_most_probable_of_each_owner():
    ids, owners = list("abcdefgh"), ["x", "x", "y", None, "x", None, None, "y"]
    found = listed(add_weekly_list(frame(ids, owners), NOBODY, Capacity(per_week=2), "s"))
    assert [name for name in ids if found[name]] == ["a", "b", "c", "d", "f", "h"]
    assert set(found.values()) == {"pick", None}


def test_weekly_list_without_capacity_is_empty():
    assert listed(add_weekly_list(frame(["a"]), NOBODY, None, "s")) == {"a": None}


@pytest.mark.parametrize(
    ("per_week", "explore", "drawn"), [(20, 0.05, 1), (10, 0.04, 0), (10, 0.25, 3), (4, 0.5, 2)]
)
def test_explored_share_is_drawn_from_the_others(per_week, explore, drawn):
    ids = [f"L{n:03}" for n in range(200)]
    found = listed(
        add_weekly_list(frame(ids), NOBODY, Capacity(per_week=per_week, explore=explore), "s")
    )
    counts = Counter(found.values())
    assert (counts["pick"], counts["explore"]) == (per_week - drawn, drawn)
    assert all(found[name] == "pick" for name in ids[: per_week - drawn])


def test_draw_is_repeatable_and_fair_over_weeks():
    ids = [f"L{n:03}" for n in range(110)]
    capacity, hits = Capacity(per_week=20, explore=0.5), Counter()
    for week in range(400):
        seed = make_draw_seed("p", "t", Week(f"2025-W{week}", MONDAY))
        found = listed(add_weekly_list(frame(ids), NOBODY, capacity, seed))
        assert week % 50 or found == listed(add_weekly_list(frame(ids), NOBODY, capacity, seed))
        hits.update(name for name, kind in found.items() if kind == "explore")
    drawn = np.array([hits[name] for name in ids[10:]])
    assert not any(hits[name] for name in ids[:10]) and drawn.sum() == 4000
    chi = ((drawn - 40) ** 2 / (40 * 0.9)).sum()  # 99 degrees of freedom: 99 ± 14
    assert 50 < chi < 160


def test_places_are_given_once_a_week():
    capacity = Capacity(per_week=3)
    before = given([("a", None, "pick"), ("gone", None, "pick"), ("a", "later", "pick")])
    found = listed(add_weekly_list(frame(["new", "b", "a"]), before, capacity, "s"))
    assert found == {"new": "pick", "b": None, "a": "pick"}
    moved = given([("a", "x", "pick"), ("b", "x", "pick"), ("c", "x", "pick")])
    found = listed(add_weekly_list(frame(["a", "d", "e"], ["y", "x", "y"]), moved, capacity, "s"))
    assert found == {"a": "pick", "d": None, "e": "pick"}  # the place of a was one of x


def by_hand(night, ranked, history, capacity, seed):
    """Return the list of a night from ranked (lead, owner) and the places given this week."""
    explored = int(capacity.per_week * capacity.explore + 0.5)
    room = defaultdict(lambda: {"pick": capacity.per_week - explored, "explore": explored})
    for owner, kind in history.values():
        room[owner][kind] -= 1
    found = {lead: history[lead][1] for lead, _ in ranked if lead in history}
    draw = dict(
        zip((lead for lead, _ in ranked), _hashed([lead for lead, _ in ranked], seed), strict=True)
    )
    for kind, order in (
        ("pick", ranked),
        ("explore", sorted(ranked, key=lambda one: draw[one[0]])),
    ):
        for lead, owner in order:
            if lead not in found and room[owner][kind] > 0:
                found[lead] = kind
                room[owner][kind] -= 1
    return found


def _hashed(ids, seed):
    place = np.empty(len(ids), int)
    place[_draw_order(pa.chunked_array([ids], pa.string()), seed)] = np.arange(len(ids))
    return place


@pytest.mark.parametrize("seed", range(3))
def test_weekly_lists_of_five_weeks_match_a_loop(tmp_path, seed):
    store, rng = Store(tmp_path / "scores.db"), np.random.default_rng(seed)
    capacity, history, week = Capacity(per_week=4, owner="o", explore=0.25), {}, None
    nights = sorted(rng.choice(35, 22, replace=False).tolist())
    for place, night in enumerate([*nights, nights[11], nights[4]]):
        at, again = MONDAY + night * DAY, place >= len(nights)
        draws = np.random.default_rng(1000 * seed + night)
        ids = [f"L{n:02}" for n in draws.permutation(30) if draws.random() < 0.6]
        owners = [[None, "x", "y"][int(draws.integers(3))] for _ in ids]
        now = Week.containing(at, BERLIN)
        if now != week and not again:
            history, week = {}, now
        before = store.listed_leads("acme", "close", now.start, at)
        found = listed(
            add_weekly_list(
                frame(ids, owners), before, capacity, make_draw_seed("acme", "close", now)
            )
        )
        if again:
            kept = store.scores("acme", at)
            assert found == listed(kept)
            continue
        ranked = list(zip(ids, owners, strict=True))
        hand = by_hand(night, ranked, history, capacity, make_draw_seed("acme", "close", now))
        assert {lead: kind for lead, kind in found.items() if kind} == hand
        history |= {
            lead: (dict(ranked)[lead], kind) for lead, kind in hand.items() if lead not in history
        }
        run = a_run(f"r{night}", at)
        rows = some_scores(run, ids, owner=owners, listed=[found[name] for name in ids])
        publish(store, run, rows)


def test_listed_leads_are_read_by_index(store, url):
    for night in range(3):
        run = a_run(f"r{night}", MONDAY + night * DAY)
        ids = [f"L{n:04}" for n in range(500)]
        publish(
            store, run, some_scores(run, ids, listed=["pick"] * 3 + [None] * 497, owner=["x"] * 500)
        )
    found = store.listed_leads(
        "acme", "close", MONDAY, MONDAY + 2 * DAY, (*LISTED_COLUMNS, "as_of")
    )
    assert found["as_of"].to_pylist() == [MONDAY] * 3 + [MONDAY + DAY] * 3 and set(
        found["owner"].to_pylist()
    ) == {"x"}
    assert store.listed_leads("acme", "close", MONDAY + DAY, MONDAY + DAY).num_rows == 0
    if url.startswith("sqlite"):
        plan = ask(
            url,
            "EXPLAIN QUERY PLAN SELECT entity_id, owner, listed, as_of FROM scores "
            "WHERE project = 'acme' AND target = 'close' AND as_of >= '2025' AND as_of < '2026' "
            "AND listed IS NOT NULL",
        )
        assert "scores_listed" in str(plan)


@pytest.mark.parametrize(
    ("at", "name", "begin"),
    [
        (
            datetime(2024, 12, 29, 23, 30, tzinfo=UTC),
            "2025-W01",
            datetime(2024, 12, 29, 23, tzinfo=UTC),
        ),
        (
            datetime(2024, 12, 29, 22, 30, tzinfo=UTC),
            "2024-W52",
            datetime(2024, 12, 22, 23, tzinfo=UTC),
        ),
        (datetime(2025, 4, 6, 12, tzinfo=UTC), "2025-W14", datetime(2025, 3, 30, 22, tzinfo=UTC)),
    ],
)
def test_week_starts_on_local_monday_midnight(at, name, begin):
    assert Week.containing(at, BERLIN) == Week(name, begin)


def test_owners_are_texts_and_capacities_add_up():
    leads = pa.table({"who": ["Ann", None, "Ann"], "number": [12.0, 1234567.0, None]})
    data = Dataset(leads, EVENTS.empty_table(), (), "x")
    rows = pa.array([2, 1, 0])
    assert look_up_owners(data, Capacity(per_week=5, owner="who"), rows).to_pylist() == [
        "Ann",
        None,
        "Ann",
    ]
    assert look_up_owners(data, Capacity(per_week=5, owner="number"), rows).to_pylist() == [
        None,
        "1234567",
        "12",
    ]
    assert look_up_owners(data, Capacity(per_week=5), rows).to_pylist() == [None] * 3
    assert [
        total_weekly_capacity(data, one)
        for one in (None, Capacity(per_week=5), Capacity(per_week=5, owner="who"))
    ] == [
        None,
        5,
        10,
    ]
