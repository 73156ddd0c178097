"""Silence: how likely an open lead is to return after some days without an activity.

A silence begins with the spell or with an activity. It ends with the next activity, or with the win
or the loss of the lead: two exits that compete. Otherwise it lasts, at least until the as-of. Ages
are whole days; of a day in which the observation ends nothing counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from features.paths.activities import Activities
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel
from models.funnel.history import FunnelHistory
from models.funnel.schemas import SILENCE
from models.survival.bootstrap import (
    REPLICATES,
    draw_weights,
    find_interval,
    widen_at_bounds,
)
from models.survival.stays import BUCKETS

# Days of silence that are shown, besides the threshold.
SILENT_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
RETURN_DAYS = 30
# A lead counts as silent once silence has halved its chance to return, compared with a lead that
# was active a day ago. One limit for all companies would be passed by every lead where leads seldom
# return, and by none where they nearly always do.
LIMIT_SHARE = 0.5
# From fewer silences no threshold is read.
MIN_AT_RISK = 50
# Silences that last longer are followed for as many days: two years and the 30 days after.
MAX_DAYS = 761
# Columns of counts by day. The last two are exits.
BEGIN, UNSEEN, RETURNED, ENDED = range(4)


class Silences(NamedTuple):
    """Silences of the leads.

    Attributes:
        counts: Number by bucket of clusters, day, and what happened, int32 (buckets, days, 4).
        days_now: Days without an activity of each open spell, int64.
    """

    counts: np.ndarray
    days_now: np.ndarray


class SilenceCurve(NamedTuple):
    """What follows after each number of silent days, with the days as the last axis.

    Attributes:
        at_risk: Silences that lasted as long and were observed on.
        returning: Share of them that ends with an activity within RETURN_DAYS; NaN where that was
            not observed.
    """

    at_risk: np.ndarray
    returning: np.ndarray


def build_silence_table(history: FunnelHistory, activities: Activities) -> pa.Table:
    """Return SILENCE: one row per number of silent days that was observed, and the threshold."""
    silences = count_silences(history, activities)
    weights = np.concatenate([np.ones((1, BUCKETS)), draw_weights(REPLICATES)])
    curve = estimate_returns(weights, silences.counts)
    at_risk, share = curve.at_risk[0].astype(np.int64), curve.returning[0]
    threshold = find_threshold(at_risk, share)
    days = np.unique([*SILENT_DAYS, *([] if threshold is None else [threshold])])
    days = days[~np.isnan(share[days])]
    low, high = find_interval(curve.returning[1:, days])
    low, high = widen_at_bounds(share[days], low, high, at_risk[days])
    columns = [
        days,
        share[days],
        low,
        high,
        at_risk[days],
        (silences.days_now >= days[:, None]).sum(axis=1),
        pa.array([threshold] * len(days), pa.int64()),
    ]
    return pa.table(columns, schema=SILENCE)


def measure_threshold(history: FunnelHistory, activities: Activities) -> int | None:
    """Return the days of silence from which on a lead counts as silent; None if from none."""
    counts = count_silences(history, activities).counts
    curve = estimate_returns(np.ones((1, BUCKETS)), counts)
    return find_threshold(curve.at_risk[0].astype(np.int64), curve.returning[0])


def count_silences(history: FunnelHistory, activities: Activities) -> Silences:
    """Return the silences within the spells, by bucket of clusters and day."""
    spells = history.paths.spells
    counts = np.zeros((BUCKETS, MAX_DAYS, ENDED + 1), np.int32)
    days_now = np.full(len(spells.lead), -1, np.int64)
    _count_silences(
        (spells.lead, spells.start, spells.end),
        (activities.first, activities.time),
        (history.observed_from, history.observed_until, history.as_of),
        (history.cluster % np.uint64(BUCKETS)).astype(np.int64),
        (counts, days_now),
    )
    return Silences(counts, days_now[days_now >= 0])


def estimate_returns(weights: np.ndarray, counts: np.ndarray) -> SilenceCurve:
    """Return the curve under each row of weights of the buckets: Aalen and Johansen by day."""
    size = counts.shape
    drawn = (weights @ counts.reshape(size[0], -1).astype(float)).reshape(-1, *size[1:])
    exits = drawn[..., RETURNED] + drawn[..., ENDED]
    change = drawn[..., BEGIN] - drawn[..., UNSEEN]
    change[:, 1:] -= exits[:, :-1]
    at_risk = np.cumsum(change, axis=1)
    share = np.divide(1.0, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    # Element d is that at the begin of day d, the last one that after all days.
    staying = np.cumprod(np.pad(1.0 - exits * share, ((0, 0), (1, 0)), constant_values=1), axis=1)
    returned = np.cumsum(
        np.pad(drawn[..., RETURNED] * share * staying[:, :-1], ((0, 0), (1, 0))), 1
    )
    days = size[1] - RETURN_DAYS + 1
    before = staying[:, :days]
    gain = returned[:, RETURN_DAYS:] - returned[:, :days]
    # The last of the days must be observed, unless all had ended before.
    is_known = (at_risk[:, RETURN_DAYS - 1 :] > 0) | (staying[:, RETURN_DAYS - 1 : -1] <= 0)
    is_known &= at_risk[:, :days] > 0
    returning = np.divide(gain, before, out=np.full_like(gain, np.nan), where=is_known)
    return SilenceCurve(at_risk[:, :days], np.clip(returning, 0.0, 1.0))


def find_threshold(at_risk: np.ndarray, share: np.ndarray) -> int | None:
    """Return the days of silence from which on the share that returns stays below its limit.

    The limit is LIMIT_SHARE of the share after one day. None where it does not stay below, as far
    as MIN_AT_RISK silences were observed.
    """
    is_enough = (at_risk >= MIN_AT_RISK) & ~np.isnan(share)
    days = np.flatnonzero(is_enough[1:]) + 1
    above = days[share[days] >= LIMIT_SHARE * share[1]]
    after = days[days > above[-1]] if len(above) else days
    return int(after[0]) if len(after) else None


@jit_kernel
def _count_silences(spells: Any, activities: Any, limits: Any, bucket: Any, result: Any) -> None:
    """Count the silences of each spell, and write how long those of the open ones last."""
    lead_of, starts, ends = spells
    first, time = activities
    since, until, as_of = limits
    counts, days_now = result
    row = 0
    for spell in range(len(lead_of)):
        lead, last, end = lead_of[spell], starts[spell], ends[spell]
        # Spells of one lead follow each other in time, so that no activity comes twice.
        row = max(row, first[lead])
        while row < first[lead + 1] and time[row] < min(end, until):
            if time[row] > last:
                _add_silence(counts[bucket[lead]], last, time[row], since, RETURNED)
                last = time[row]
            row += 1
        if end < until:
            _add_silence(counts[bucket[lead]], last, end, since, ENDED)
        elif last < until:
            _add_silence(counts[bucket[lead]], last, until, since, UNSEEN)
        if end >= as_of:
            while row < first[lead + 1] and time[row] < as_of:
                last = max(last, time[row])
                row += 1
            days_now[spell] = (as_of - last) // US_PER_DAY


@jit_kernel
def _add_silence(counts: np.ndarray, last: int, end: int, since: int, kind: int) -> None:
    """Count a silence by the days after which its observation begins and ends."""
    day = (end - last) // US_PER_DAY
    # Of a silence that was not observed from its begin on, only whole days count.
    begin = 0 if since <= last else (since - last - 1) // US_PER_DAY + 1
    if day >= len(counts):
        day, kind = len(counts) - 1, UNSEEN
    if end >= since and begin <= day:
        counts[begin, BEGIN] += 1
        counts[day, kind] += 1
