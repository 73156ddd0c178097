"""Which target's outcome is the win, what comes before it, and what is a loss."""

import pytest

from configs.errors import ConfigError
from configs.schema import Project
from features.paths.states import list_funnel_states

EVENTS = [{"path": "e.csv", "entity_id": "lead", "event_time": "at", "event_type": "what"}]
LEADS = {"path": "l.csv", "entity_id": "id", "created_at": "born", "attributes": ["Converted"]}


def target(outcome, **population):
    revoked = {"outcome_revoked_by": population.pop("revoked")} if "revoked" in population else {}
    cutoffs = {"delay": "1d"} if "closed_by" in population else {"every": "7d"}
    times = {"horizon": "30d", "cutoffs": cutoffs}
    return {"outcome": outcome, "population": population, **times, **revoked}


def project(targets, stages=(), ends=()):
    features = {"stages": list(stages), "ends": list(ends)}
    sources = {"leads": LEADS, "events": EVENTS}
    raw = {"project": "p", "sources": sources, "targets": targets, "features": features}
    return Project.model_validate(raw)


TWO = {
    "propensity": target("opportunity", until=["disqualified"]),
    "close": target("won", after="opportunity", until=["lost"], reopen=["back"]),
}


def test_last_target_is_the_one_that_begins_no_other():
    states = list_funnel_states(project(TWO))
    assert (states.target, states.wins) == ("close", ("won",))
    # Without stages in the config, the outcome of the target before is one.
    assert states.stages == ("created", "opportunity")
    assert states.losses == ("disqualified", "lost")
    assert states.reopens == ("back",)


def test_order_of_targets_does_not_choose_the_win():
    assert list_funnel_states(project(dict(reversed(TWO.items())))).target == "close"


def test_stages_end_at_the_win():
    stages = ["mql", "opportunity", "won", "delivered"]
    states = list_funnel_states(project(TWO, stages, ends=["delivered", "gone"]))
    assert states.names == ("created", "mql", "opportunity", "won", "disqualified", "lost", "gone")
    assert states.state_of_type["won"] == states.won == 3


def test_chosen_target_gives_a_shorter_funnel():
    states = list_funnel_states(project(TWO, ["mql", "opportunity"]), "propensity")
    assert (states.stages, states.wins) == (("created", "mql"), ("opportunity",))
    # What can only end a lead after this win is no loss.
    assert states.losses == ("disqualified",)


def test_targets_after_the_win_are_not_part_of_the_funnel():
    again = {
        "again": target("order", after="won", recurring=True, until=["closed"]),
        **TWO,
    }
    states = list_funnel_states(project(again))
    assert states.target == "close"
    assert "closed" not in states.names


def test_scores_closed_by_an_end_count_it_as_a_loss():
    closed = {"win": target("won", closed_by=["declined"], revoked=["undone"])}
    assert list_funnel_states(project(closed, ends=["undone"])).losses == ("declined",)


def test_outcome_column_has_no_funnel():
    column = {"win": {"outcome": {"column": "Converted", "equals": 1}}}
    with pytest.raises(ConfigError, match="outcome with a time"):
        list_funnel_states(project(column))
    with pytest.raises(ConfigError, match="unknown target"):
        list_funnel_states(project(TWO), "clsoe")
