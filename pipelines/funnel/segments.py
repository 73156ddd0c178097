"""Segments of the leads by a column of theirs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.goals.goals import ALL, MISSING, OTHER, STAGE, name_segment_value
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.contracts import Dataset
from features.definitions.attributes import as_of_join, infer_attribute_kinds
from features.tools.instants import column_to_microseconds, to_microseconds
from models.encoding import rank_by_frequency
from models.funnel.history import Segmentation
from pipelines.training_data import Snapshot
from serve.scoring.weekly_lists import look_up_owners

# Segments that are shown on their own, those with most leads; the others are one.
MAX_SEGMENTS = 20
# Columns that every project may have, besides its attributes.
CHANNEL, OWNER = "channel", "owner"


def segment_leads(snapshot: Snapshot, column: str) -> Segmentation:
    """Return the segments of the leads by a column, those with most leads first.

    Values with a goal of their own are always segments. The column is a category among the
    attributes, with the value known at the as-of; ``owner``, if ``capacity.owner`` is set; or
    ``channel``, that of a lead's first event with one. Raises ConfigError for any other.
    """
    values = _look_up_column(snapshot, column)
    values = pc.if_else(
        pc.is_in(values, pa.array([ALL, OTHER, MISSING])), _quote_values(values), values
    )
    goals = snapshot.project.goals
    own_goals = goals.segments if column == goals.by else {}
    shown = _choose_shown(rank_by_frequency(values), own_goals)
    codes = pc.index_in(values, value_set=pa.array(shown, pa.string()))
    codes = pc.fill_null(codes, len(shown)).to_numpy(zero_copy_only=False).astype(np.int64)
    codes[values.is_null().to_numpy(zero_copy_only=False)] = len(shown) + 1
    return Segmentation((*shown, OTHER, MISSING), codes, column)


def segment_funnel(snapshot: Snapshot, column: str) -> Segmentation:
    """Return the segments of the leads by a column of the funnel, as ``segment_leads`` does.

    Raises ConfigError also for the name of the rows of stages.
    """
    if column == STAGE:
        raise ConfigError(
            f"cannot segment by the column {column}",
            where=_name_key(snapshot.project, column),
            found=f"{column!r} stands for the stages of the funnel",
            fix="rename the attribute",
        )
    return segment_leads(snapshot, column)


def require_funnel_columns(snapshot: Snapshot) -> None:
    """Raise ConfigError if a column of ``publish.funnel_by`` cannot divide the leads."""
    project = snapshot.project
    if not project.publish.funnel or not any(t.outcome_types for t in project.targets.values()):
        return
    for column in project.publish.funnel_by:
        segment_funnel(snapshot, column)


def _choose_shown(names: list[str], goals: Mapping[str, object]) -> list[str]:
    """Return the names that are segments of their own, in their order."""
    if len(names) <= MAX_SEGMENTS:
        return names
    kept = [name for name in names if name_segment_value(name) in goals]
    others = [name for name in names if name not in kept]
    chosen = {*kept, *others[: max(MAX_SEGMENTS - 1 - len(kept), 0)]}
    return [name for name in names if name in chosen]


def list_goal_warnings(snapshot: Snapshot) -> list[str]:
    """Return a line for each goal of the config that no lead can reach.

    Raises ConfigError if ``goals.by`` cannot divide the leads.
    """
    goals = snapshot.project.goals
    if goals.by is None:
        return []
    # The last two are OTHER and MISSING.
    known = {name_segment_value(name) for name in segment_leads(snapshot, goals.by).names[:-2]}
    lines = []
    for name in sorted(set(goals.segments) - known):
        hint = did_you_mean(name, known)
        line = f"goals.segments.{name}: no lead has this {goals.by}"
        lines.append(f"{line}; {hint}" if hint else line)
    return lines


def take_all_leads(leads: int) -> Segmentation:
    """Return the division of leads into one segment."""
    return Segmentation((ALL,), np.zeros(leads, np.int64))


def _quote_values(values: pa.Array) -> pa.Array:
    """Return values in quotation marks, since the words have another meaning here."""
    return pc.binary_join_element_wise('"', values, '"', "")


def _look_up_column(snapshot: Snapshot, column: str) -> pa.Array:
    """Return the text of each lead in a column, null where it is missing."""
    dataset, project = snapshot.dataset, snapshot.project
    kinds = infer_attribute_kinds(dataset.values, dataset.readings.columns)
    choices = [name for name in dataset.attributes if _is_text(dataset.leads[name])]
    choices += [name for name, kind in kinds.items() if kind == "category"]
    choices = [name for name in choices if name not in project.privacy.personal]
    if column in choices and column in dataset.attributes:
        return dataset.leads[column].combine_chunks()
    if column in choices:
        rows = np.arange(dataset.leads.num_rows)
        cutoff = np.full(len(rows), to_microseconds(snapshot.as_of))
        return as_of_join(dataset.values, column, "category", rows, cutoff, dataset.lead_ids)
    if dataset.events["channel"].null_count < dataset.events.num_rows:
        if column == CHANNEL:
            return _find_first_channels(dataset)
        choices.append(CHANNEL)
    capacity = project.capacity_config
    if capacity is not None and capacity.owner is not None:
        if column == OWNER:
            return look_up_owners(dataset, capacity, pa.array(np.arange(dataset.leads.num_rows)))
        choices.append(OWNER)
    is_number = column in dataset.attributes or column in kinds
    suggestion = "" if is_number else did_you_mean(column, choices)
    names = ", ".join(dict.fromkeys(choices))
    remedy = f"name one of {names}" if names else "leave it out: the leads have no category"
    raise ConfigError(
        f"cannot segment by the column {column}",
        where=_name_key(project, column),
        found=f"{column!r} is " + ("a number" if is_number else "no category of the leads"),
        fix=f"{suggestion} {remedy}".lstrip(),
    )


def _name_key(project: Project, column: str) -> str:
    """Return the key of the config, or the option, that names a column."""
    if column == project.goals.by:
        return "goals.by"
    return "publish.funnel_by" if column in project.publish.funnel_by else f"--by {column}"


def _is_text(column: pa.ChunkedArray) -> bool:
    return not pa.types.is_floating(column.type)


def _find_first_channels(dataset: Dataset) -> pa.Array:
    """Return the channel of each lead's first event with one; at a tie the first by name."""
    events = dataset.events.select(["entity_id", "event_time", "channel"])
    events = events.filter(events["channel"].is_valid())
    lead = dataset.find_leads(events["entity_id"])
    names = pc.unique(events["channel"])
    names = names.take(pc.sort_indices(names))
    code = pc.index_in(events["channel"], value_set=names).to_numpy()
    order = np.lexsort((code, column_to_microseconds(events["event_time"]), lead))
    order = order[lead[order] >= 0]
    first = np.full(dataset.leads.num_rows, -1)
    # Of several assignments to one element the last one stays: reversed, that is the first event.
    first[lead[order][::-1]] = code[order][::-1]
    return names.take(pa.array(np.maximum(first, 0), mask=first < 0))
