"""Open accounts at earlier cutoffs, with their activities before and what became of them after."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.tools.instants import US_PER_DAY, column_to_microseconds, duration_to_microseconds
from models.fit.grid import GridRows
from models.funnel.history import FunnelHistory
from models.survival.bootstrap import BUCKETS
from pipelines.fit.units import EntryUnits, MatureUnits, UnitWins

# Days of activities that make the engagement, and days from one cutoff to the next: each activity
# counts at one cutoff.
ENGAGEMENT_DAYS = 30
# Cutoffs that are taken, the latest ones: two years.
MAX_CUTOFFS = 24


def collect_past_rows(
    units: EntryUnits,
    mature: MatureUnits,
    wins: UnitWins,
    history: FunnelHistory,
    events: TouchlessEvents,
    fit_class: np.ndarray,
) -> GridRows:
    """Return the open accounts at the cutoffs whose horizon is observed.

    ``fit_class`` is that of each of the mature units, by a profile of others. An account is open at
    a cutoff if it was known before, has an open lead, and was no customer; rows of units that are
    not mature are left out.
    """
    horizon = duration_to_microseconds(mature.horizon)
    place = np.full(len(units), -1)
    place[mature.rows] = np.arange(len(mature.rows))
    first_win = wins.find_first(len(units))
    parts = []
    for cutoff in list_cutoffs(units, mature, history):
        is_open = find_open_units(units, history, cutoff)
        is_open &= (units.entry <= cutoff) & (first_win >= cutoff) & (place >= 0)
        rows = np.flatnonzero(is_open)
        start = np.full(len(units), cutoff)
        is_customer, value = wins.sum_within(len(units), start, horizon)
        activities = events.count_before(cutoff, len(units))
        parts.append(
            (
                fit_class[place[rows]],
                activities[rows],
                is_customer[rows],
                np.zeros(len(rows)) if value is None else value[rows],
                (units.cluster[rows] % np.uint64(BUCKETS)).astype(np.int64),
            )
        )
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool), np.empty(0))
    joined = [
        np.concatenate(columns)
        for columns in zip((*empty, np.empty(0, np.int64)), *parts, strict=True)
    ]
    value = None if wins.amount is None else joined[3]
    return GridRows(joined[0], joined[1], joined[2], value, joined[4])


def list_cutoffs(units: EntryUnits, mature: MatureUnits, history: FunnelHistory) -> list[int]:
    """Return the cutoffs, microseconds since 1970, the latest first."""
    last = history.observed_until - duration_to_microseconds(mature.horizon)
    begin = max(int(units.entry[mature.rows].min()), history.observed_from)
    step = ENGAGEMENT_DAYS * US_PER_DAY
    return [last - number * step for number in range(MAX_CUTOFFS) if last - number * step >= begin]


def find_open_units(units: EntryUnits, history: FunnelHistory, cutoff: int) -> np.ndarray:
    """Return which units have a lead that is open at a cutoff, bool (units,)."""
    spells = history.paths.spells
    is_open = (spells.start < cutoff) & (spells.end >= cutoff)
    open_units = np.bincount(units.of_lead[spells.lead[is_open]], minlength=len(units))
    return np.asarray(open_units > 0)


class TouchlessEvents:
    """Events of units that are no touches of ours, in the order of time."""

    def __init__(self, dataset: Dataset, units: EntryUnits, outbound: tuple[str, ...]) -> None:
        """Select and sort the events."""
        is_own = np.zeros(dataset.events.num_rows, bool)
        if outbound:
            value_set = pa.array(outbound, pa.string())
            is_own = pc.is_in(dataset.events["event_type"], value_set=value_set).to_numpy()
        lead = dataset.event_leads
        kept = np.flatnonzero(~is_own & (lead >= 0))
        time = column_to_microseconds(dataset.events["event_time"])[kept]
        order = np.argsort(time, kind="stable")
        self._time = time[order]
        self._known = column_to_microseconds(dataset.events["available_at"])[kept][order]
        self._unit = units.of_lead[lead[kept][order]]

    def count_before(self, cutoff: int, units: int) -> np.ndarray:
        """Return the events of each unit in the ENGAGEMENT_DAYS before a cutoff that were known.

        The window is ``[cutoff − 30 days, cutoff)``, int64 (units,).
        """
        begin = cutoff - ENGAGEMENT_DAYS * US_PER_DAY
        rows = slice(*np.searchsorted(self._time, [begin, cutoff]))
        is_known = self._known[rows] < cutoff
        return np.bincount(self._unit[rows][is_known], minlength=units)
