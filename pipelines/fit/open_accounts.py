"""Accounts that are open at the as-of: no customer yet, and with an open lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.paths.activities import Activities
from features.paths.visits import OPEN
from features.spine import build_scoring_spine
from features.tools.instants import US_PER_DAY
from models.funnel.history import FunnelHistory
from pipelines.fit.units import EntryUnits, UnitWins
from pipelines.training_data import Snapshot


@dataclass(frozen=True)
class OpenAccounts:
    """Open accounts, ordered by unit; one element per account.

    Attributes:
        unit: The unit, int64.
        lead: Row of its open lead that was active last, int64; of several the first by id.
        leads: Number of its open leads, int64.
        silent_days: Days since its last activity, or since its newest open lead came, int64; None
            without times.
    """

    unit: np.ndarray
    lead: np.ndarray
    leads: np.ndarray
    silent_days: np.ndarray | None


def find_open_accounts(
    snapshot: Snapshot,
    units: EntryUnits,
    wins: UnitWins,
    history: FunnelHistory,
    activities: Activities,
) -> OpenAccounts:
    """Return the open accounts of a company whose outcomes have times."""
    spells, dataset = history.paths.spells, snapshot.dataset
    is_open = (spells.exit == OPEN) & select_scorable(dataset)[spells.lead]
    has_won = np.bincount(wins.unit, minlength=len(units)) > 0
    is_open &= ~has_won[units.of_lead[spells.lead]]
    lead, start = spells.lead[is_open], spells.start[is_open]
    # An activity after the begin of the spell is later than it.
    last = np.maximum(start, _find_last_activities(activities)[lead])
    order = np.lexsort((lead, -last, units.of_lead[lead]))
    unit, first, count = np.unique(
        units.of_lead[lead][order], return_index=True, return_counts=True
    )
    # Any lead of the account may have been active last, also a lost one.
    latest = np.full(len(units), np.iinfo(np.int64).min)
    np.maximum.at(latest, units.of_lead, _find_last_activities(activities))
    silent = (history.as_of - np.maximum(last[order][first], latest[unit])) // US_PER_DAY
    return OpenAccounts(unit, lead[order][first], count, silent)


def find_undecided_accounts(
    snapshot: Snapshot, units: EntryUnits, target: str, customers: np.ndarray
) -> OpenAccounts:
    """Return the accounts with a lead whose outcome column is empty; ``customers`` are units."""
    dataset = snapshot.dataset
    spine = build_scoring_spine(dataset, snapshot.project.target_config(target), snapshot.as_of)
    lead = np.sort(dataset.find_leads(spine["entity_id"]))
    lead = lead[select_scorable(dataset)[lead] & ~np.isin(units.of_lead[lead], customers)]
    order = np.lexsort((lead, units.of_lead[lead]))
    unit, first, count = np.unique(
        units.of_lead[lead][order], return_index=True, return_counts=True
    )
    return OpenAccounts(unit, lead[order][first], count, None)


def select_scorable(dataset: Dataset) -> np.ndarray:
    """Return the leads that do not object to being scored, bool (leads,)."""
    suppressed = pc.is_in(dataset.leads["entity_id"], value_set=dataset.suppressed.entity_ids)
    return ~suppressed.to_numpy()


def _find_last_activities(activities: Activities) -> np.ndarray:
    """Return the time of each lead's last activity, int64; far in the past without any."""
    first, end = activities.first[:-1], activities.first[1:]
    time = np.append(activities.time, np.iinfo(np.int64).min)
    return np.where(end > first, time[end - 1], time[-1])


def take_lead_texts(dataset: Dataset, column: str, lead: np.ndarray) -> pa.Array:
    """Return a text column of some leads."""
    return dataset.leads[column].take(pa.array(lead)).combine_chunks()
