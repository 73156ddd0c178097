"""Computes the web funnel of a company's data."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.visitors.web_visits import (
    VISITOR_MARK,
    iter_visited_sources,
    read_web_visits,
)
from features.outcome_events import select_standing_outcomes
from features.tools.instants import column_to_microseconds, to_microseconds
from models.visitors.schemas import WEB_FUNNEL
from models.visitors.web_funnel import LeadOutcomes, build_web_funnel
from pipelines.training_data import Snapshot


def compute_web_funnel(snapshot: Snapshot, target: str) -> pa.Table:
    """Return WEB_FUNNEL as known at the snapshot's as-of; empty without web visitors.

    A customer is a lead with the outcome of ``target``. Raises the errors of reading a source.
    """
    if not any(iter_visited_sources(snapshot.project)):
        return WEB_FUNNEL.empty_table()
    dataset = snapshot.dataset
    visits = read_web_visits(snapshot.project, dataset, snapshot.as_of)
    anonymous = pc.starts_with(visits["unit"], VISITOR_MARK).to_numpy()
    lead = np.where(anonymous, -1, dataset.find_leads(visits["unit"]))
    outcomes = _sort_outcomes(snapshot, target)
    instants = to_microseconds(snapshot.as_of), to_microseconds(snapshot.observed)
    return build_web_funnel(visits, lead, outcomes, *instants)


def _sort_outcomes(snapshot: Snapshot, target: str) -> LeadOutcomes:
    events = select_standing_outcomes(snapshot.dataset, snapshot.project.target_config(target))
    lead = snapshot.dataset.find_final_leads(events["entity_id"])
    time = column_to_microseconds(events["event_time"])
    value = pc.fill_null(events["value"], np.nan).to_numpy()
    order = np.lexsort((value, time, lead))
    return LeadOutcomes(lead[order], time[order], value[order])
