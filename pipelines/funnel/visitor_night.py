"""The web funnel of a night."""

from __future__ import annotations

import pyarrow as pa

from features.intake.visitors.web_visits import iter_visited_sources
from features.paths.states import list_funnel_states
from pipelines.funnel.night import has_funnel
from pipelines.training_data import Snapshot
from pipelines.visitors.web_funnel import compute_web_funnel
from serve.night_part import NightPart, compute_night_part

NightVisitors = NightPart[pa.Table]


def compute_night_visitors(snapshot: Snapshot) -> NightVisitors:
    """Return the web funnel of a night's data; nothing where there are no web visitors."""
    project = snapshot.project
    if not project.publish.funnel or not has_funnel(project):
        return NightVisitors()
    if not any(iter_visited_sources(project)):
        return NightVisitors()
    return compute_night_part(
        "visitors",
        lambda: compute_web_funnel(snapshot, list_funnel_states(project).target),
        lambda table: {"web_funnel": table},
    )
