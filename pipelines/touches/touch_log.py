"""Touches, replies, opt-outs and ends of leads, as known before an as-of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.touches.touches import Touches
from features.contracts import Dataset
from features.paths.states import list_funnel_states
from features.tools.instants import (
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from models.touches.hazard import TouchOutcomes
from models.touches.sequences import AnswerTimes, LeadAnswers, TouchSequences, build_sequences
from pipelines.event_names import count_event_types, require_occurrence
from pipelines.fit.units import EntryUnits, find_units
from pipelines.training_data import Snapshot

# The column of its chance is called p_reply_14d.
REPLY_HORIZON = timedelta(days=14)


@dataclass(frozen=True)
class TouchRoles:
    """Event types by role.

    Attributes:
        touches: Those that are touches.
        replies: Those that are replies.
        opt_outs: Those that are opt-outs.
        ends: Those that end the touches of a lead.
        reopens: Those that open an ended lead again.
    """

    touches: tuple[str, ...]
    replies: tuple[str, ...]
    opt_outs: tuple[str, ...]
    ends: tuple[str, ...]
    reopens: tuple[str, ...]


@dataclass(frozen=True)
class TouchLog:
    """Touches of a company, and what came of them.

    Attributes:
        roles: Event types by role.
        units: Accounts, or leads without one.
        channels: Names of the channels, ascending.
        sequences: The touches.
        answers: Replies, opt-outs and ends.
        outcomes: The mature touches at risk.
    """

    roles: TouchRoles
    units: EntryUnits
    channels: tuple[str, ...]
    sequences: TouchSequences
    answers: LeadAnswers
    outcomes: TouchOutcomes


def collect_touch_log(snapshot: Snapshot, config: Touches) -> TouchLog:
    """Return the touches of a snapshot.

    Raises ConfigError for an event type that never occurs, DataError where the data has no times
    or no touch.
    """
    dataset = snapshot.dataset
    if not dataset.timed:
        raise DataError(
            "touches need times",
            where="sources",
            found="the data has no times",
            fix="give sources.leads.created_at and an events source with event_time",
        )
    roles = list_touch_roles(snapshot, config)
    rows = _select_lead_events(dataset, roles.touches)
    if not len(rows):
        raise DataError(
            "no lead was touched",
            where=f"{snapshot.project.path}: touches.types",
            found=f"0 of {dataset.events.num_rows:,} events are touches of leads that are known",
            fix="name event types of own outreach in touches.types, or in features.outbound",
        )
    channels, channel = _name_channels(dataset, rows)
    answers = LeadAnswers(
        *(
            AnswerTimes.from_unordered(
                *_take_lead_times(dataset, _select_lead_events(dataset, types))
            )
            for types in (roles.replies, roles.opt_outs, roles.ends, roles.reopens)
        )
    )
    sequences = build_sequences(
        (*_take_lead_times(dataset, rows), channel),
        answers,
        duration_to_microseconds(REPLY_HORIZON),
        duration_to_microseconds(config.quiet_after),
        to_microseconds(snapshot.observed),
    )
    units = find_units(dataset)
    outcomes = TouchOutcomes.from_sequences(sequences, units.of_lead, config.max_number)
    return TouchLog(roles, units, channels, sequences, answers, outcomes)


def list_touch_roles(snapshot: Snapshot, config: Touches) -> TouchRoles:
    """Return the event types by role; raise ConfigError for those that never occur."""
    project = snapshot.project
    counts = count_event_types(snapshot.dataset)
    states = list_funnel_states(project)
    types = config.types or project.features.outbound
    roles = TouchRoles(
        types,
        config.replies,
        config.opt_outs,
        config.until or (*states.wins, *states.losses),
        states.reopens,
    )
    named = {"types": types, "replies": roles.replies, "until": config.until}
    for key, names in named.items():
        require_occurrence(project, counts, f"touches.{key}", names, snapshot.as_of)
    return roles


def _name_channels(dataset: Dataset, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the channels of events, ascending, and the number of that of each event."""
    place = pa.array(rows)
    names = pc.coalesce(
        dataset.events["channel"].take(place).cast(pa.string()),
        dataset.events["event_type"].take(place).cast(pa.string()),
    )
    channels = tuple(sorted(pc.unique(names).to_pylist()))
    number = pc.index_in(names, value_set=pa.array(channels)).to_numpy().astype(np.int64)
    return channels, number


def _select_lead_events(dataset: Dataset, types: tuple[str, ...]) -> np.ndarray:
    is_type = pc.is_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    return np.flatnonzero(is_type.to_numpy() & (dataset.event_leads >= 0))


def _take_lead_times(dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    time = column_to_microseconds(dataset.events["event_time"].take(pa.array(rows)))
    return dataset.event_leads[rows].astype(np.int64), time
