"""What happened within the horizon, and which rows are old enough to know."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.targets import ColumnOutcome, Target
from features.contracts import EVENTS, INSTANT, LABELS, Dataset, to_us
from features.spine import FOREVER, instants


def observation_date(dataset: Dataset, as_of: datetime, complete_after: timedelta) -> datetime:
    """Return the instant through which outcomes are complete: the last row known before ``as_of``, less the lag."""
    return min(dataset.upto(as_of).last_known() or as_of, as_of) - complete_after


def labels(dataset: Dataset, spine: pa.Table, target: Target, observed: datetime) -> pa.Table:
    """Return LABELS, one row a spine row in the spine's order.

    The label is 1 if an outcome event has its time in ``[cutoff, cutoff + horizon)``. A row with
    ``cutoff + horizon > observed`` is immature: its label is null even when an outcome has been seen already,
    since its failures could not have been. An outcome column is mature as soon as it is filled, and has no time.
    """
    if isinstance(target.outcome, ColumnOutcome):
        happened, mature = _column_outcome(dataset, spine, target.outcome)
        outcome = np.full(spine.num_rows, FOREVER)
    else:
        cutoff = instants(spine["cutoff"])
        horizon = (target.horizon or timedelta(0)) // timedelta(microseconds=1)
        events = _outcome_events(dataset, target)
        place = _next_event(dataset, spine, events)
        outcome = np.append(instants(events["event_time"]), FOREVER)[place]
        happened = outcome < cutoff + horizon
        mature = cutoff + horizon <= to_us(observed)
    label = pa.array(happened.astype(np.int8), mask=~mature)
    outcome_at = pa.array(outcome, mask=outcome == FOREVER).cast(INSTANT)
    return pa.table(
        [spine["entity_id"], spine["cutoff"], pa.array(mature), label, outcome_at], schema=LABELS
    )


def outcome_values(dataset: Dataset, spine: pa.Table, target: Target) -> np.ndarray:
    """Return the value (rows,) that the first outcome event at or after each row's cutoff carries, in its unit.

    NaN where there is no such event or it carries none. Of events of one instant the first counts by the other columns
    of EVENTS from left to right, missing values first.
    """
    events = _outcome_events(dataset, target)
    keys = [(name, "ascending", "at_start") for name in EVENTS.names]
    events = events.take(pc.sort_indices(events, keys))
    return np.append(pc.fill_null(events["value"], np.nan).to_numpy(), np.nan)[
        _next_event(dataset, spine, events)
    ]


def _column_outcome(
    dataset: Dataset, spine: pa.Table, outcome: ColumnOutcome
) -> tuple[np.ndarray, np.ndarray]:
    values = dataset.leads[outcome.column].take(pa.array(dataset.lead_of(spine["entity_id"])))
    happened = pc.fill_null(pc.equal(values, _wanted(outcome, values.type)), False)
    return happened.to_numpy(), pc.is_valid(values).to_numpy()


def _wanted(outcome: ColumnOutcome, kind: pa.DataType) -> pa.Scalar:
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


def _outcome_events(dataset: Dataset, target: Target) -> pa.Table:
    return dataset.events.filter(
        pc.is_in(dataset.events["event_type"], value_set=pa.array(target.outcomes, pa.string()))
    )


def _next_event(dataset: Dataset, spine: pa.Table, events: pa.Table) -> np.ndarray:
    """Return the place in ``events`` of the first at or after each row's cutoff, of one instant the first of them.

    Where there is none, the place is one beyond the last.
    """
    entity = np.concatenate(
        [dataset.lead_of(spine["entity_id"]), dataset.lead_of(events["entity_id"])]
    )
    time = np.concatenate([instants(spine["cutoff"]), instants(events["event_time"])])
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
