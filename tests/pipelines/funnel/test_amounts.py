"""Amounts of the funnel: what a win of each lead is expected to bring, as in the forecast."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from configs.schema import load_project
from features.contracts import EVENTS, Dataset
from features.paths.states import list_funnel_states
from pipelines.forecast.forecast import build_forecast
from pipelines.funnel.amounts import value_history
from pipelines.funnel.funnel import build_funnel, build_history
from pipelines.runner import read_clock
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot, load_snapshot
from tests.pipelines.funnel import company

PROJECT = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml")
STATES = list_funnel_states(PROJECT)
AS_OF = datetime(2025, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def snapshot():
    """Return a company whose amounts are known only with the win."""
    leads, events, *_ = simulate_block(5, 0, 1000)
    dataset = Dataset(leads, events.select(EVENTS.names), (), "simulated").cut_at(AS_OF)
    return Snapshot(PROJECT, dataset, AS_OF, AS_OF, AS_OF)


def test_stuck_lead_has_the_amount_of_its_deal_in_the_forecast(snapshot):
    """One lead has one amount on the page, and none stands for the mean of all."""
    stuck = build_funnel(snapshot, STATES).tables.stuck.to_pylist()
    valued = value_history(snapshot, build_history(snapshot, STATES))
    deals = build_forecast(snapshot, valued, "month", None).deals.to_pylist()
    amount = {row["entity_id"]: row["amount"] for row in deals}
    values = [row["value"] for row in stuck]
    assert values == [amount[row["entity_id"]] for row in stuck]
    assert len(set(values)) > len(values) / 4
    brings = [row["expected_value"] for row in stuck]
    assert brings == sorted(brings, reverse=True)


def test_won_lead_has_what_its_win_was_worth(snapshot):
    history = value_history(snapshot, build_history(snapshot, STATES)).history
    events = snapshot.dataset.events.to_pylist()
    worth = {row["entity_id"]: row["value"] for row in events if row["event_type"] == "won"}
    spells = history.paths.spells
    lead = spells.lead[spells.exit == STATES.won]
    ids = snapshot.dataset.leads["entity_id"].to_pylist()
    assert history.value[lead].tolist() == [worth[ids[row]] for row in lead] != []


def test_amount_that_nothing_tells_is_not_shown(snapshot):
    """Without any win that has a value, nobody knows what a win brings."""
    events = snapshot.dataset.events
    kept = np.array([kind != "won" for kind in events["event_type"].to_pylist()])
    poor = replace(snapshot, dataset=replace(snapshot.dataset, events=events.filter(kept)))
    tables = build_funnel(poor, STATES).tables
    for rows, name in ((tables.funnel, "value_open"), (tables.stuck, "value")):
        assert rows.num_rows and rows[name].null_count == rows.num_rows


def test_unknown_amount_is_the_one_of_the_forecast(tmp_path, monkeypatch):
    """Where amounts are a column, a lead without one counts in both with the same amount."""
    people, _ = company.write(tmp_path)
    for row in people[::3]:
        row[4] = ""
    company.write_rows(tmp_path / "leads.csv", company.LEADS_HEADER, people)
    monkeypatch.chdir(tmp_path)
    taken = load_snapshot(load_project("steps.yaml"), "2024-09-14", read_clock())
    states = list_funnel_states(taken.project)
    stuck = build_funnel(taken, states).tables.stuck.to_pylist()
    valued = value_history(taken, build_history(taken, states))
    deals = build_forecast(taken, valued, "month", None).deals.to_pylist()
    amount = {row["entity_id"]: row["amount"] for row in deals}
    assert [row["value"] for row in stuck] == [amount[row["entity_id"]] for row in stuck]
    own = {row[0]: row[4] for row in people if row[4] != ""}
    assert any(row["entity_id"] not in own for row in stuck)
    assert all(row["value"] == own.get(row["entity_id"], row["value"]) for row in stuck)
