"""Computes the funnel of a project at an as-of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from configs.schema import Project
from features.paths.activities import find_activities
from features.paths.states import FunnelStates, list_funnel_states
from features.paths.visits import OPEN, find_paths
from features.tools.instants import (
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from features.tools.row_hash import hash_texts
from models.funnel.aging_table import build_aging_table
from models.funnel.curve_table import build_curve_table
from models.funnel.cycle_table import build_cycle_table, compute_naive_medians
from models.funnel.funnel_table import StageEstimates, build_funnel_table, estimate_stages
from models.funnel.history import FunnelHistory
from models.funnel.leaks import build_leak_table, find_leaks
from models.funnel.path_table import build_path_table
from models.funnel.result import FunnelResult, FunnelTables
from models.funnel.stage_cycle import build_stage_cycle
from models.funnel.stuck_table import build_stuck_table
from models.journey.entry_table import build_entry_table
from models.journey.silence_table import build_silence_table
from models.journey.state_order import compare_orders
from pipelines.funnel.amounts import value_history
from pipelines.funnel.segments import segment_funnel, take_all_leads
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.visitors.web_funnel import compute_web_funnel
from serve.scoring.weekly_lists import look_up_owners

LogLine = Callable[[str], None]


def compute_funnel(
    project: Project,
    as_of: str | None,
    by: Sequence[str] = (),
    target: str | None = None,
    log: LogLine = discard_line,
) -> FunnelResult:
    """Return the funnel as known at an as-of, by default at the end of the data.

    ``by`` names columns whose values divide the leads into segments. Raises ConfigError for a
    column that cannot, and for a project without an outcome that has a time.
    """
    states = list_funnel_states(project, target)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    result = build_funnel(snapshot, states, by)
    return replace(result, web=compute_web_funnel(snapshot, states.target))


def build_funnel(snapshot: Snapshot, states: FunnelStates, by: Sequence[str] = ()) -> FunnelResult:
    """Return the funnel of a company's data."""
    history = value_history(snapshot, build_history(snapshot, states)).history
    every = take_all_leads(snapshot.dataset.leads.num_rows)
    return summarize_funnel(snapshot, history, estimate_stages(history, every), by)


def summarize_funnel(
    snapshot: Snapshot, history: FunnelHistory, staged: StageEstimates, by: Sequence[str] = ()
) -> FunnelResult:
    """Return the funnel of a history; ``staged`` are the estimates of the stages of all leads."""
    spells, states = history.paths.spells, history.states
    naive = compute_naive_medians(history, np.zeros(len(spells.lead), np.int64), 1)
    return FunnelResult(
        as_of=snapshot.as_of,
        states=states,
        by=tuple(by),
        tables=_build_tables(snapshot, history, staged, by),
        outbound=snapshot.project.features.outbound,
        order=compare_orders(history),
        leads=len(np.unique(spells.lead)),
        won=int((spells.exit == states.won).sum()),
        lost=int((spells.exit > states.won).sum()),
        open=int((spells.exit == OPEN).sum()),
        naive_median_days=float(naive[0]),
    )


def _build_tables(
    snapshot: Snapshot, history: FunnelHistory, staged: StageEstimates, by: Sequence[str]
) -> FunnelTables:
    dataset, project = snapshot.dataset, snapshot.project
    rows = dataset.leads.num_rows
    every = take_all_leads(rows)
    funnel = [build_funnel_table(history, every, staged)]
    cycle = [build_cycle_table(history, every), build_stage_cycle(history)]
    for column in dict.fromkeys(by):
        segments = segment_funnel(snapshot, column)
        own = estimate_stages(history, segments)
        funnel.append(build_funnel_table(history, segments, own))
        cycle.append(build_cycle_table(history, segments))
    activities = find_activities(dataset, project.features)
    owner = look_up_owners(dataset, project.capacity_config, pa.array(np.arange(rows)))
    return FunnelTables(
        funnel=pa.concat_tables(funnel),
        paths=build_path_table(history, staged.estimates),
        cycle=pa.concat_tables(cycle),
        stuck=build_stuck_table(history, staged, dataset, activities, owner),
        leaks=build_leak_table(find_leaks(staged)),
        curves=build_curve_table(history.states, staged.estimates),
        aging=build_aging_table(history, staged),
        entries=build_entry_table(history),
        silence=build_silence_table(history, activities),
    )


def build_history(snapshot: Snapshot, states: FunnelStates) -> FunnelHistory:
    """Return the paths of a company's leads; their amounts follow from them."""
    dataset, project = snapshot.dataset, snapshot.project
    target = project.target_config(states.target)
    ids = dataset.leads["entity_id"]
    clusters = dataset.find_clusters(ids)
    clusters = clusters if isinstance(clusters, pa.ChunkedArray) else pa.chunked_array([clusters])
    as_of = to_microseconds(snapshot.as_of)
    delay = duration_to_microseconds(project.sources.complete_after)
    recorded = target.observed_from
    return FunnelHistory(
        states=states,
        paths=find_paths(dataset, project, states),
        created=column_to_microseconds(dataset.leads["created_at"]),
        cluster=hash_texts(clusters)[:, 0],
        value=None,
        as_of=as_of,
        observed_from=np.iinfo(np.int64).min // 2
        if recorded is None
        else to_microseconds(recorded),
        observed_until=as_of - delay,
    )
