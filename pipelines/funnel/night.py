"""The funnel of a night: computed once, beside the scores, which never wait for its success."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from configs.schema import Project
from features.contracts import Dataset
from features.paths.states import list_funnel_states
from models.funnel.funnel_table import estimate_stages
from models.funnel.lead_table import LEAD_PLACES, build_place_table
from models.funnel.result import FunnelResult
from pipelines.funnel.amounts import ValuedHistory, value_history
from pipelines.funnel.funnel import build_history, summarize_funnel
from pipelines.funnel.segments import take_all_leads
from pipelines.training_data import Snapshot
from serve.failure import describe_failed_part
from serve.night_tables import prepare_night_table, select_group
from serve.scoring.trends import append_columns


@dataclass(frozen=True)
class NightFunnel:
    """The funnel of a night, as far as it could be computed.

    Attributes:
        leads: LEAD_PLACES, one row per lead of the data; None if there is no funnel.
        valued: The paths of the leads with their amounts; None if there is no funnel.
        result: The funnel; None if there is none.
        reason: Why there is none although the config wants it; None if there is one, or none is
            wanted.
        problem: The same, where something failed.
    """

    leads: pa.Table | None = None
    valued: ValuedHistory | None = None
    result: FunnelResult | None = None
    reason: str | None = None
    problem: str | None = None


def compute_night_funnel(snapshot: Snapshot) -> NightFunnel:
    """Return the funnel of a night's data, divided by the columns of ``publish.funnel_by``.

    Never raises for a failure: the scores are worth more than their funnel.
    """
    project = snapshot.project
    if not project.publish.funnel:
        return NightFunnel()
    if not has_funnel(project):
        return NightFunnel(reason="no target has an outcome event")
    funnel = NightFunnel()
    try:
        history = build_history(snapshot, list_funnel_states(project))
        staged = estimate_stages(history, take_all_leads(snapshot.dataset.leads.num_rows))
        funnel = NightFunnel(build_place_table(history, staged))
        valued = value_history(snapshot, history)
        funnel = replace(funnel, valued=valued)
        result = summarize_funnel(snapshot, valued.history, staged, project.publish.funnel_by)
        tables = result.tables.by_name()
        # Rows that the database would refuse must not be found while the scores are written.
        for table in select_group("funnel"):
            prepare_night_table(table, tables[table.name])
        return replace(funnel, result=result)
    except (KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in a library written in Rust is no Exception.
    except BaseException as error:  # noqa: BLE001
        return replace(funnel, problem=describe_failed_part(error))


def add_funnel_columns(frame: pa.Table, dataset: Dataset, funnel: NightFunnel) -> pa.Table:
    """Append FUNNEL_COLUMNS to scores of leads of a data set; null where there is no funnel."""
    if funnel.leads is None:
        return append_columns(frame, {f.name: pa.nulls(len(frame), f.type) for f in LEAD_PLACES})
    place = pa.array(dataset.find_leads(frame["entity_id"]))
    own = funnel.leads.take(place)
    return append_columns(frame, {name: own[name] for name in LEAD_PLACES.names})


def has_funnel(project: Project) -> bool:
    """Return whether a target has an outcome that happens at a time."""
    return any(target.outcome_types for target in project.targets.values())
