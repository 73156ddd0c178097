"""Why one lead is scored or not, in words."""

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.targets import Cutoffs, Population, Target
from features.spine import build_scoring_spine
from pipelines.lead.standing import describe_standing
from tests.features import population_oracle as oracle
from tests.features.population_oracle import World
from tests.features.test_reopening import data_of, hours, instant, targets, worlds

# Instants are days from 2024-03-25.
DAY = 24


def describe(life, as_of, population=None, **changes):
    """Return the lines on a lead created on day 0, with events (day, type[, day known])."""
    log = [(0, DAY * day, DAY * (late[0] if late else day), name) for day, name, *late in life]
    keys = {"outcome": "won", "horizon": "9d", "cutoffs": Cutoffs(every="1d")} | changes
    target = Target(population=Population(**{"until": ["lost"]} | (population or {})), **keys)
    data, moment = data_of(World([(0, 0)], log)), instant(DAY * as_of)
    lines = describe_standing(data, target, "e0", moment, UTC)
    is_scored = build_scoring_spine(data.cut_at(moment), target, moment).num_rows > 0
    # The reason and the spine never contradict each other.
    assert is_scored == (not lines or lines[-1].startswith("to score"))
    return lines


RESTORED = [(2, "lost"), (4, "back")]
WITHDRAWN = [(2, "won"), (3, "undone", 5)]


@pytest.mark.parametrize(
    ("life", "as_of", "changes", "expected"),
    [
        ([], 3, {}, []),
        ([(2, "lost")], 3, {}, ["not scored as of 2024-03-28: ended by lost at 2024-03-27"]),
        ([(2, "won", 4)], 4, {}, []),
        (
            [(2, "won", 4)],
            5,
            {},
            ["not scored as of 2024-03-30: ended by won at 2024-03-27 (known 2024-03-29)"],
        ),
        (
            RESTORED,
            5,
            {"population": {"reopen": ["back"]}},
            [
                "ended by lost at 2024-03-27, eligible again by back at 2024-03-29",
                "to score as of 2024-03-30",
            ],
        ),
        (
            [*RESTORED, (6, "lost")],
            7,
            {"population": {"reopen": ["back"]}},
            [
                "ended by lost at 2024-03-27, eligible again by back at 2024-03-29",
                "not scored as of 2024-04-01: ended by lost at 2024-03-31",
            ],
        ),
        (
            WITHDRAWN,
            6,
            {"outcome_revoked_by": ["undone"]},
            [
                "won at 2024-03-27 was revoked by undone at 2024-03-28 (known 2024-03-30)",
                "to score as of 2024-03-31",
            ],
        ),
        (
            WITHDRAWN,
            5,
            {"outcome_revoked_by": ["undone"]},
            ["not scored as of 2024-03-30: ended by won at 2024-03-27"],
        ),
        ([(2, "won")], 3, {"population": {"recurring": True}}, []),
        (
            [(1, "won"), (4, "won")],
            5,
            {"cutoffs": Cutoffs(delay="2d"), "population": {"recurring": True}},
            ["not scored as of 2024-03-30: ended by won at 2024-03-29"],
        ),
        (
            [],
            9,
            {"population": {"max_age": "5d"}},
            [
                "not scored as of 2024-04-03: older than population.max_age (5d), counted from "
                "2024-03-25"
            ],
        ),
        (
            [],
            9,
            {"population": {"after": "visit"}},
            ["not scored as of 2024-04-03: no event visit so far"],
        ),
        (
            [],
            1,
            {"cutoffs": Cutoffs(delay="2d")},
            ["not scored as of 2024-03-26: its cutoff is 2024-03-27"],
        ),
        (
            [],
            12,
            {"cutoffs": Cutoffs(delay="2d")},
            ["not scored as of 2024-04-06: its horizon ended at 2024-04-05"],
        ),
        (
            [(1, "lost"), (4, "back")],
            5,
            {"cutoffs": Cutoffs(delay="2d"), "population": {"reopen": ["back"]}},
            [
                "ended by lost at 2024-03-26, eligible again by back at 2024-03-29",
                "not scored as of 2024-03-30: not eligible at its cutoff 2024-03-27",
            ],
        ),
    ],
)
def test_standing_names_ends_reopenings_and_revocations(life, as_of, changes, expected):
    assert describe(life, as_of, **changes) == expected


def test_unknown_lead_is_not_in_the_data():
    data = data_of(World([(0, 0)], []))
    target = Target(outcome="won", horizon="9d", cutoffs=Cutoffs(every="1d"))
    (line,) = describe_standing(data, target, "e7", instant(DAY), UTC)
    assert line == "not scored as of 2024-03-26: not in the data by then"


@settings(max_examples=200, deadline=None)
@given(worlds, targets, st.integers(0, 360))
def test_reason_names_an_end_if_and_only_if_the_lead_has_ended(world, target, now):
    """Compare the reason with the loops of the population's oracle."""
    data = data_of(world)
    for entity, (_, row_known) in enumerate(world.leads):
        lines = describe_standing(data, target, f"e{entity}", instant(now), UTC)
        if row_known >= now or not lines or lines[-1].startswith("to score"):
            continue
        # Events that are not known yet are not part of the reason, nor of the entry.
        known = World(world.leads, [event for event in world.events if event[2] < now])
        delay = target.cutoffs.delay
        entry = oracle.entry_of(known, target, entity)[0]
        own = None if delay is None else entry + hours(delay)
        has_ended = not oracle.is_open(known, target, entity, now, published_from=own)
        assert has_ended == (": ended by " in lines[-1])
        assert "not known before" not in lines[-1]


def test_outcome_that_recurs_and_closes_is_the_reason():
    data = data_of(World([(0, 0)], [(0, 0, 0, "won")]))
    population = Population(recurring=True, closed_by=("won",))
    target = Target(population=population, outcome="won", horizon="9d", cutoffs=Cutoffs(delay="1d"))
    (line,) = describe_standing(data, target, "e0", instant(DAY + 2), UTC)
    assert ": ended by won" in line


def test_closing_event_is_no_reason_on_a_grid():
    """``closed_by`` holds for targets with one cutoff a lead only."""
    data = data_of(World([(0, 0)], [(0, 0, 0, "visit")]))
    target = Target(
        population=Population(closed_by=("visit",), max_age="5d"),
        outcome="won",
        horizon="9d",
        cutoffs=Cutoffs(every="12h"),
    )
    (line,) = describe_standing(data, target, "e0", instant(5 * DAY + 1), UTC)
    assert "older than population.max_age" in line
