"""Labels: outcomes within the horizon, and which rows are mature."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.targets import ColumnOutcome, Target
from features.contracts import EVENTS, INSTANT, LABELS, Dataset
from features.outcome_events import select_standing_outcomes
from features.tools.instants import (
    NEVER_US,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)


def compute_labels(
    dataset: Dataset, spine: pa.Table, target: Target, observed: datetime
) -> pa.Table:
    """Return LABELS, one row per spine row in the spine's order.

    The label is 1 if an outcome event has its time in ``[cutoff, cutoff + horizon)`` and no row of
    the data set revokes it (``outcome_revoked_by``); ``outcome_at`` is the first of these, too. A
    row with
    ``cutoff + horizon > observed`` is immature: its label is null even if an outcome has been
    observed already, since a missing outcome could not have been. Of a lead that became another one
    by a merge, the outcomes are those of that one. Rows of an outcome column are
    mature if the column is filled, with any value, and ``created_at + mature_after <= observed``;
    they have no outcome time. Without times they are mature as soon as the column is filled.
    """
    if isinstance(target.outcome, ColumnOutcome):
        is_positive, mature = _read_column_outcome(dataset, spine, target.outcome)
        if dataset.timed:
            final = find_column_maturity(dataset, spine, target)
            mature = mature & (final <= to_microseconds(observed))
        outcome = np.full(spine.num_rows, NEVER_US)
    else:
        cutoff = column_to_microseconds(spine["cutoff"])
        horizon = duration_to_microseconds(target.horizon)
        events = select_standing_outcomes(dataset, target)
        position = find_next_event(dataset, spine, events)
        # The appended NEVER_US is the time of rows without a next event.
        outcome = np.append(column_to_microseconds(events["event_time"]), NEVER_US)[position]
        is_positive = outcome < cutoff + horizon
        mature = cutoff + horizon <= to_microseconds(observed)
    label = pa.array(is_positive.astype(np.int8), mask=~mature)
    outcome_at = pa.array(outcome, mask=outcome == NEVER_US).cast(INSTANT)
    return pa.table(
        [spine["entity_id"], spine["cutoff"], pa.array(mature), label, outcome_at], schema=LABELS
    )


def find_outcome_values(dataset: Dataset, spine: pa.Table, target: Target) -> np.ndarray:
    """Return the value of the first outcome event at or after each row's cutoff, float64 (rows,).

    NaN if there is no such event, or it has no value. Revoked outcomes do not count. Of events at
    the same instant the first counts, ordered by the other columns of EVENTS from left to right,
    missing values first.
    """
    events = select_standing_outcomes(dataset, target)
    keys = [(name, "ascending", "at_start") for name in EVENTS.names]
    events = events.take(pc.sort_indices(events, keys))
    # The appended NaN is the value of rows without a next event.
    values = np.append(pc.fill_null(events["value"], np.nan).to_numpy(), np.nan)
    return values[find_next_event(dataset, spine, events)]


def find_column_maturity(dataset: Dataset, spine: pa.Table, target: Target) -> np.ndarray:
    """Return when the outcome column of each row becomes final, int64 microseconds UTC (rows,)."""
    created = column_to_microseconds(dataset.leads["created_at"])
    rows = dataset.find_final_leads(spine["entity_id"])
    return created[rows] + duration_to_microseconds(target.maturity)


def match_outcome_values(values: pa.ChunkedArray, outcome: ColumnOutcome) -> np.ndarray:
    """Return a mask of the values that count as the outcome, bool (rows,); false where null.

    Raises ConfigError if the column is numeric and a value of the outcome is a text.
    """
    return pc.is_in(values, value_set=cast_outcome_values(outcome, values.type)).to_numpy()


def cast_outcome_values(outcome: ColumnOutcome, kind: pa.DataType) -> pa.Array:
    """Return the outcome's values in the column's type, in the config's order.

    In a numeric column true and false are 1 and 0. Raises ConfigError for a text in one.
    """
    if not pa.types.is_floating(kind):
        return pa.array([str(value) for value in outcome.values], kind)
    numbers = []
    for value in outcome.values:
        try:
            numbers.append(float({"true": 1, "false": 0}.get(str(value).lower(), value)))
        except ValueError as error:
            raise ConfigError(
                "the outcome is text, but its column is numeric",
                where=f"outcome.column: {outcome.column}",
                found=f"equals: {value!r}",
                fix="give the number that represents the outcome",
            ) from error
    return pa.array(numbers, kind)


def _read_column_outcome(
    dataset: Dataset, spine: pa.Table, outcome: ColumnOutcome
) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the rows whose outcome column has the outcome's value, and is filled."""
    values = dataset.leads[outcome.column].take(
        pa.array(dataset.find_final_leads(spine["entity_id"]))
    )
    return match_outcome_values(values, outcome), pc.is_valid(values).to_numpy()


def find_next_event(dataset: Dataset, spine: pa.Table, events: pa.Table) -> np.ndarray:
    """Return the position in ``events`` of the first event at or after each row's cutoff.

    ``spine`` needs entity_id and cutoff, ``events`` entity_id and event_time.

    Of events at the same instant this is the first in ``events``. It is ``len(events)`` if there is
    no such event.
    """
    entity = np.concatenate(
        [dataset.find_final_leads(spine["entity_id"]), dataset.find_leads(events["entity_id"])]
    )
    time = np.concatenate(
        [column_to_microseconds(spine["cutoff"]), column_to_microseconds(events["event_time"])]
    )
    is_event = np.arange(len(time)) >= spine.num_rows
    # At a tie the spine row is sorted before the event, so it sees an event at its own cutoff.
    order = np.lexsort((is_event, time, entity))
    position = np.where(is_event[order], np.arange(len(order)), len(order))
    # The position in sorted order of the next event at or after each element.
    following = np.minimum.accumulate(position[::-1])[::-1]
    has_event = following < len(order)
    event = order[np.where(has_event, following, 0)]
    has_event &= entity[event] == entity[order]
    result = np.empty(len(order), np.int64)
    result[order] = np.where(has_event, event, len(order)) - spine.num_rows
    return result[: spine.num_rows]
