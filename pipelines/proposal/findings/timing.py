"""Horizon, cutoffs and ages of a target, taken from the times in the data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from features.tools.instants import US_PER_DAY, from_microseconds
from pipelines.proposal.findings.event_logs import EventFacts, list_gaps, measure_repeat_share

# Horizons that people use, in days.
COMMON_DAYS = (1, 2, 3, 7, 14, 30, 60, 90, 120, 180, 270, 365)
# The horizon covers this share of the outcomes that are seen at all.
COVERED_SHARE = 0.85
# The data must span several horizons: one to learn from, one to test on, one to mature.
MIN_HORIZONS = 4
# A lead that is open for so many horizons is not scored any more; usual durations are shared.
AGE_HORIZONS = 3
# An outcome that this share of its leads has again recurs.
RECURRING_SHARE = 0.1
# Rows of a training spine that are quickly computed.
MAX_ROWS = 400_000
GRID_DAYS = (7, 14, 30)
# Outcomes that begin late were not recorded before: so many leads would have had one by chance.
MIN_UNRECORDED_OUTCOMES = 5.0
# With fewer outcomes in all their rate is too uncertain for that.
MIN_OUTCOMES = 20


@dataclass(frozen=True)
class Timing:
    """When a target looks, and how far.

    Attributes:
        horizon: Days that the label looks ahead.
        covered: Share of the outcomes within the horizon of the entry, or of the one before.
        every: Days between cutoffs; None for a single cutoff.
        delay: Delay of the single cutoff, such as ``1h``; empty with ``every``.
        max_age: Days after the entry from which a lead is not scored; None for no limit.
        recurring: Whether the outcome recurs.
        observed_from: First day on which outcomes were recorded; None if all were.
    """

    horizon: int
    covered: float
    every: int | None = None
    delay: str = ""
    max_age: int | None = None
    recurring: bool = False
    observed_from: date | None = None


def choose_timing(
    events: pa.Table,
    outcome: EventFacts,
    *,
    has_touches: bool,
    daily: bool,
    horizon: int | None = None,
) -> Timing:
    """Return the timing of a target.

    ``events`` are all events of the leads; ``has_touches`` says that some of them are neither the
    outcome nor an end, ``daily`` that creations have no time of day. ``horizon`` replaces that of
    the data.
    """
    recurring = measure_repeat_share(events, outcome.name) >= RECURRING_SHARE
    lags = outcome.lags[outcome.lags >= 0]
    if recurring:
        # A customer buys again after a gap, whose end is unknown for many: the next one counts.
        lags = np.concatenate([list_gaps(events, outcome.name), lags[lags > 0]])
    lags = np.sort(lags)
    first, last = _find_span(events)
    days = horizon or round_horizon(lags, (last - first) / US_PER_DAY)
    covered = float((lags <= days).mean()) if len(lags) else 0.0
    observed_from = None if recurring else find_recording_start(events, outcome, days)
    if not (has_touches or recurring):
        # Nothing happens to a lead between its creation and the outcome: one cutoff says it all.
        delay = "1d" if daily else "1h"
        return Timing(days, covered, delay=delay, observed_from=observed_from)
    age = None if recurring else _choose_age(lags, days)
    every = _choose_grid(events, age, (last - first) / US_PER_DAY)
    return Timing(days, covered, every, "", age, recurring, observed_from)


def round_horizon(lags: np.ndarray, span_days: float) -> int:
    """Return the usual number of days that covers most lags, bounded by the span of the data.

    ``lags`` (days) ascend.
    """
    if not len(lags):
        return 30
    quantile = float(np.quantile(lags, COVERED_SHARE))
    needed = next((days for days in COMMON_DAYS if days >= 0.95 * quantile), COMMON_DAYS[-1])
    limit = span_days / MIN_HORIZONS
    possible = [days for days in COMMON_DAYS if days <= min(needed, max(limit, COMMON_DAYS[0]))]
    return possible[-1] if possible else COMMON_DAYS[0]


def find_recording_start(events: pa.Table, outcome: EventFacts, horizon: int) -> date | None:
    """Return the day of the first outcome if earlier ones were not recorded; None otherwise.

    The leads that entered at least a horizon before the first outcome would have had several.
    """
    created = _list_entries(events)
    if not len(created) or outcome.entities < MIN_OUTCOMES:
        return None
    start = outcome.first_us
    early = float((created < start - horizon * US_PER_DAY).sum())
    later = created[created >= start]
    rate = outcome.entities / max(len(later), 1)
    if early * min(rate, 1.0) < MIN_UNRECORDED_OUTCOMES:
        return None
    return from_microseconds(int(start)).date()


def parse_horizon(text: str) -> int:
    """Return the days of a duration; raise ValueError for less than a day or no duration."""
    from configs.durations import parse_duration

    days = parse_duration(text) / timedelta(days=1)
    if days < 1 or days != int(days):
        raise ValueError(f"{text!r} is not a number of whole days")
    return int(days)


def _choose_age(lags: np.ndarray, horizon: int) -> int:
    """Return the age until which outcomes come, at least that of a few horizons."""
    latest = float(np.quantile(lags, 0.99)) if len(lags) else 0.0
    needed = max(latest, AGE_HORIZONS * horizon)
    return next((days for days in COMMON_DAYS if days >= needed), 2 * COMMON_DAYS[-1])


def _choose_grid(events: pa.Table, max_age: int | None, span_days: float) -> int:
    """Return the smallest step of a grid with few enough rows, at most one for each open week."""
    leads = len(_list_entries(events))
    open_days = min(max_age or span_days, span_days)
    return next((step for step in GRID_DAYS if leads * open_days / step <= MAX_ROWS), GRID_DAYS[-1])


def _list_entries(events: pa.Table) -> np.ndarray:
    """Return the time of each lead's creation, or first event, in microseconds."""
    from features.tools.duckdb_sql import run_query

    entries = run_query(
        "SELECT coalesce(min(us) FILTER (type = ''), min(us)) AS us FROM rows GROUP BY entity",
        rows=events,
    )
    return np.asarray(entries["us"].to_numpy(), np.float64)


def _find_span(events: pa.Table) -> tuple[float, float]:
    """Return the times between which nearly all events lie."""
    us = events["us"].to_numpy()
    first, last = np.quantile(us, [0.001, 0.999])
    return float(first), float(last)
