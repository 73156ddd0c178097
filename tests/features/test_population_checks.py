"""Messages about a population that nobody is in, and doubts about outcomes that come back."""

import re
from datetime import timedelta

import pytest

from configs.targets import Cutoffs, Population, Target
from features.population_checks import explain_empty_spine, list_population_doubts
from tests.features.population_oracle import World
from tests.features.test_reopening import data_of, instant

DAY = 24
AS_OF = instant(20 * DAY)


def of(*lives):
    """Return the data of leads created on day 0, each with (day, type) or (day, type, known)."""
    log = [
        (number, DAY * day, DAY * (late[0] if late else day), name)
        for number, life in enumerate(lives)
        for day, name, *late in life
    ]
    return data_of(World([(0, 0)] * len(lives), log))


def target(population=None, **changes):
    keys = {"outcome": "won", "horizon": "2d", "cutoffs": Cutoffs(every="1d")} | changes
    return Target(population=Population(**population or {}), **keys)


@pytest.mark.parametrize(
    ("population", "changes", "cause", "key"),
    [
        ({"after": "won"}, {}, r"but for the outcome \(won\)", "recurring: true"),
        ({"after": "won", "until": ["won"]}, {}, r"but for the outcome \(won\)", "recurring: true"),
        (
            {"until": ["lost"]},
            {"cutoffs": Cutoffs(delay="6d")},
            "but for population.until",
            "reopen",
        ),
        ({"max_age": "1h"}, {}, "but for population.max_age", "max_age"),
        ({}, {"observed_from": instant(21 * DAY)}, "but for observed_from", "observed_from"),
    ],
)
def test_empty_population_names_its_cause_and_the_key(population, changes, cause, key):
    data = of([(5, "lost"), (7, "won"), (9, "won")], [(5, "lost"), (7, "won")])
    found, fix = explain_empty_spine(data, "buy", target(population, **changes), AS_OF)
    assert found.startswith("2 entities known before") and "2 would be eligible" in found
    assert re.search(cause, found) and key in fix


def test_empty_population_without_a_single_cause_has_the_general_fix():
    data = of([])
    found, fix = explain_empty_spine(data, "buy", target({"after": "visit"}), AS_OF)
    assert "but for" not in found and "cutoffs" in fix


def doubts(data, config, complete_after=timedelta(0)):
    return list_population_doubts(data, "buy", config, complete_after)


def test_outcome_that_recurs_is_named_until_the_key_is_set():
    data = of([(1, "won"), (5, "won")], [(2, "won")], [])
    (line,) = doubts(data, target())
    assert "1 of 2 entities with the outcome have won more than once" in line
    assert not doubts(data, target({"recurring": True}))
    assert not doubts(data, target({"recurring": False}))
    assert not doubts(of([(1, "won")], [(1, "won")]), target())


def test_revocation_later_than_complete_after_is_named_with_the_delay():
    data = of(*([(1, "won"), (1 + days, "undone")] for days in (1, 2, 3, 4)))
    config = target(outcome_revoked_by=["undone"])
    (line,) = doubts(data, config, timedelta(days=2))
    assert "2 of 4 revocations became known more than sources.complete_after (2d)" in line
    assert "90 % are known after 4d" in line
    assert not doubts(data, config, timedelta(days=4))


def test_win_recorded_twice_and_revoked_once_is_named():
    data = of([(1, "won"), (2, "won"), (3, "undone")], [(1, "won"), (2, "undone")])
    config = target({"recurring": False}, outcome_revoked_by=["undone"])
    (line,) = doubts(data, config, timedelta(days=9))
    assert "1 of 2 entities with a revoked outcome have an earlier one that stands" in line


def test_revoking_events_without_any_outcome_are_named():
    data = of([(1, "undone")])
    assert "no outcome before any" in doubts(data, target(outcome_revoked_by=["undone"]))[0]
