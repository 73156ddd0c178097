"""What happened within the horizon, and which rows are old enough to know."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.targets import ColumnOutcome, Target
from features.contracts import EVENTS, INSTANT, LABELS, Dataset
from features.tools.instants import (
    NEVER_US,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)


def compute_observation_date(dataset: Dataset, as_of: datetime, complete_after: timedelta) -> datetime:
    """Return the instant through which outcomes are complete: the last row known before ``as_of``, less the lag."""
    return min(dataset.cut_at(as_of).last_available_at() or as_of, as_of) - complete_after


def compute_labels(dataset: Dataset, spine: pa.Table, target: Target, observed: datetime) -> pa.Table:
    """Return LABELS, one row a spine row in the spine's order.

    The label is 1 if an outcome event has its time in ``[cutoff, cutoff + horizon)``. A row with
    ``cutoff + horizon > observed`` is immature: its label is null even when an outcome has been seen already,
    since its failures could not have been. An outcome column is mature as soon as it is filled, and has no time.
    """
    if isinstance(target.outcome, ColumnOutcome):
        happened, mature = _read_column_outcome(dataset, spine, target.outcome)
        outcome = np.full(spine.num_rows, NEVER_US)
    else:
        cutoff = column_to_microseconds(spine["cutoff"])
        horizon = duration_to_microseconds(target.horizon)
        events = _select_outcome_events(dataset, target)
        place = _find_next_event(dataset, spine, events)
        outcome = np.append(column_to_microseconds(events["event_time"]), NEVER_US)[place]
        happened = outcome < cutoff + horizon
        mature = cutoff + horizon <= to_microseconds(observed)
    label = pa.array(happened.astype(np.int8), mask=~mature)
    outcome_at = pa.array(outcome, mask=outcome == NEVER_US).cast(INSTANT)
    return pa.table(
        [spine["entity_id"], spine["cutoff"], pa.array(mature), label, outcome_at], schema=LABELS
    )


def find_outcome_values(dataset: Dataset, spine: pa.Table, target: Target) -> np.ndarray:
    """Return the value (rows,) that the first outcome event at or after each row's cutoff carries, in its unit.

    NaN where there is no such event or it carries none. Of events of one instant the first counts by the other columns
    of EVENTS from left to right, missing values first.
    """
    events = _select_outcome_events(dataset, target)
    keys = [(name, "ascending", "at_start") for name in EVENTS.names]
    events = events.take(pc.sort_indices(events, keys))
    return np.append(pc.fill_null(events["value"], np.nan).to_numpy(), np.nan)[
        _find_next_event(dataset, spine, events)
    ]


def _read_column_outcome(
    dataset: Dataset, spine: pa.Table, outcome: ColumnOutcome
) -> tuple[np.ndarray, np.ndarray]:
    values = dataset.leads[outcome.column].take(pa.array(dataset.find_leads(spine["entity_id"])))
    happened = pc.fill_null(pc.equal(values, _cast_outcome_value(outcome, values.type)), False)
    return happened.to_numpy(), pc.is_valid(values).to_numpy()


def _cast_outcome_value(outcome: ColumnOutcome, kind: pa.DataType) -> pa.Scalar:
    """Return the outcome's value in the column's type: true and false are 1 and 0 where the column is a number."""
    if not pa.types.is_floating(kind):
        return pa.scalar(str(outcome.equals), kind)
    try:
        return pa.scalar(
            float({"true": 1, "false": 0}.get(str(outcome.equals).lower(), outcome.equals)), kind
        )
    except ValueError as error:
        raise ConfigError(
            "the outcome is a text and its column holds numbers",
            where=f"outcome.column: {outcome.column}",
            found=f"equals: {outcome.equals!r}",
            fix="give the number that stands for the outcome",
        ) from error


def _select_outcome_events(dataset: Dataset, target: Target) -> pa.Table:
    return dataset.events.filter(
        pc.is_in(dataset.events["event_type"], value_set=pa.array(target.outcome_types, pa.string()))
    )


def _find_next_event(dataset: Dataset, spine: pa.Table, events: pa.Table) -> np.ndarray:
    """Return the place in ``events`` of the first at or after each row's cutoff, of one instant the first of them.

    Where there is none, the place is one beyond the last.
    """
    entity = np.concatenate(
        [dataset.find_leads(spine["entity_id"]), dataset.find_leads(events["entity_id"])]
    )
    time = np.concatenate(
        [column_to_microseconds(spine["cutoff"]), column_to_microseconds(events["event_time"])]
    )
    is_event = np.arange(len(time)) >= spine.num_rows
    order = np.lexsort(
        (is_event, time, entity)
    )  # at a tie the row comes first, so it sees the event at its cutoff
    place = np.where(is_event[order], np.arange(len(order)), len(order))
    following = np.minimum.accumulate(place[::-1])[
        ::-1
    ]  # position of the next event at or after each position
    found = following < len(order)
    event = order[np.where(found, following, 0)]
    found &= entity[event] == entity[order]
    result = np.empty(len(order), np.int64)
    result[order] = np.where(found, event, len(order)) - spine.num_rows
    return result[: spine.num_rows]
