"""Accounts, or leads without one, from their entry on: when each came, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.targets import ColumnOutcome, Target
from features.contracts import Dataset
from features.labels import compute_labels
from features.spine import build_training_spine
from features.tools.instants import NEVER_US, column_to_microseconds, duration_to_microseconds
from features.tools.row_hash import hash_texts
from models.fit.cohort import EntryCohort
from models.funnel.history import FunnelHistory
from pipelines.funnel.amounts import ValuedHistory
from pipelines.training_data import Snapshot
from serve.scoring.scoring import look_up_amounts

# Horizons that are tried where the config gives none, the longest first.
HORIZONS = tuple(timedelta(days=days) for days in (365, 180, 90, 30))
# The horizon is one for which this share of the units has been followed.
FOLLOWED_SHARE = 0.5


@dataclass(frozen=True)
class EntryUnits:
    """Units of a data set, ordered by the text that names their cluster.

    Attributes:
        of_lead: Unit of each lead, int64 (leads,).
        lead: Row of the lead with which each unit entered, int64 (units,).
        entry: First instant at which that lead could be read, int64 microseconds (units,);
            attributes are those that were available before it.
        cluster: Hash of each unit, uint64 (units,).
    """

    of_lead: np.ndarray
    lead: np.ndarray
    entry: np.ndarray
    cluster: np.ndarray

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.lead)


@dataclass(frozen=True)
class UnitWins:
    """Wins of units, one element per win.

    Attributes:
        unit: The unit, int64.
        time: When it was won, int64 microseconds.
        amount: Its amount, float64, NaN where it is missing; None where no amount can be known.
    """

    unit: np.ndarray
    time: np.ndarray
    amount: np.ndarray | None

    def sum_within(
        self, units: int, start: np.ndarray, horizon: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return which units win in ``[start, start + horizon)``, and the amounts they bring.

        ``start`` is int64 (units,). Amounts are None where none can be known.
        """
        begin = start[self.unit]
        own = (self.time >= begin) & (self.time < begin + horizon)
        wins = np.bincount(self.unit[own], minlength=units) > 0
        if self.amount is None:
            return wins, None
        return wins, np.bincount(self.unit[own], self.amount[own], units)

    def find_first(self, units: int) -> np.ndarray:
        """Return when each unit was first won, int64 (units,); NEVER_US if it was not."""
        first = np.full(units, NEVER_US)
        np.minimum.at(first, self.unit, self.time)
        return first


@dataclass(frozen=True)
class MatureUnits:
    """The units that a profile is learned on.

    Attributes:
        rows: Their numbers, int64, ascending.
        cohort: What each brought.
        horizon: How long each was followed; None where outcomes have no times.
        young: Number of units that have not been followed for as long.
        earlier: Number of units that were customers before they entered.
    """

    rows: np.ndarray
    cohort: EntryCohort
    horizon: timedelta | None
    young: int
    earlier: int


def find_units(dataset: Dataset) -> EntryUnits:
    """Return the units of a data set."""
    clusters = dataset.find_clusters(dataset.leads["entity_id"])
    clusters = clusters if isinstance(clusters, pa.ChunkedArray) else pa.chunked_array([clusters])
    names = pc.unique(clusters)
    names = names.take(pc.sort_indices(names))
    of_lead = pc.index_in(clusters, value_set=names).to_numpy().astype(np.int64)
    known = column_to_microseconds(dataset.leads["available_at"])
    # Leads are ordered by id, so of several that came together it is the first by id.
    order = np.lexsort((known, of_lead))
    first = order[np.searchsorted(of_lead[order], np.arange(len(names)))]
    # A row that became available at an instant can be read from the next one on.
    cluster = hash_texts(pa.chunked_array([names]))[:, 0]
    return EntryUnits(of_lead, first, known[first] + 1, cluster)


def list_wins(units: EntryUnits, valued: ValuedHistory) -> UnitWins:
    """Return the wins of units from the paths of the leads."""
    spells = valued.history.paths.spells
    won = np.flatnonzero(spells.exit == valued.history.states.won)
    amount = None if valued.amounts is None else valued.win_amount[won]
    return UnitWins(units.of_lead[spells.lead[won]], spells.end[won], amount)


def select_mature(
    units: EntryUnits, wins: UnitWins, history: FunnelHistory, horizon: timedelta | None
) -> MatureUnits:
    """Return the units whose whole horizon is observed; without one it is chosen from HORIZONS.

    Units that were customers before they entered are left out. Raises DataError where no unit has
    been followed for as long.
    """
    is_seen = units.entry >= history.observed_from
    followed = history.observed_until - units.entry
    if horizon is None:
        horizon = _choose_horizon(followed[is_seen])
    is_mature = is_seen & (followed >= duration_to_microseconds(horizon))
    had_won = wins.find_first(len(units)) < units.entry
    rows = np.flatnonzero(is_mature & ~had_won)
    if not len(rows):
        longest = followed[is_seen].max(initial=0) / duration_to_microseconds(timedelta(days=1))
        raise DataError(
            "no account has been followed for the whole horizon of the profile",
            where="fit.horizon",
            found=f"{horizon.days} days; the longest followed account: {longest:.0f} days",
            fix="give a shorter fit.horizon, or wait",
        )
    is_customer, value = wins.sum_within(len(units), units.entry, duration_to_microseconds(horizon))
    cohort = EntryCohort(
        units.cluster[rows], is_customer[rows], None if value is None else value[rows]
    )
    return MatureUnits(
        rows, cohort, horizon, int((is_seen & ~is_mature).sum()), int((is_mature & had_won).sum())
    )


def select_decided(
    snapshot: Snapshot, units: EntryUnits, target: str, config: Target
) -> MatureUnits:
    """Return the units of which a lead has a mature outcome column."""
    dataset = snapshot.dataset
    spine = build_training_spine(dataset, config, snapshot.as_of)
    labels = compute_labels(dataset, spine, config, snapshot.observed)
    label = labels["label"]
    lead = dataset.find_leads(spine["entity_id"])[label.is_valid().to_numpy()]
    is_positive = label.drop_null().to_numpy() > 0
    unit = units.of_lead[lead]
    rows = np.unique(unit)
    if not len(rows):
        raise DataError(
            "no lead has a mature outcome",
            where=f"targets.{target}.outcome",
            found=f"0 of {dataset.leads.num_rows:,} leads",
            fix="wait until outcomes are filled in, or take a later --as-of",
        )
    wins = np.bincount(unit[is_positive], minlength=len(units))
    amount = None if config.learns_amount else look_up_amounts(dataset, config, pa.array(lead))
    value = None
    if amount is not None:
        won = pc.fill_null(amount, np.nan).to_numpy()[is_positive]
        value = np.bincount(unit[is_positive], won, len(units))[rows]
    cohort = EntryCohort(units.cluster[rows], wins[rows] > 0, value)
    return MatureUnits(rows, cohort, config.maturity, len(units) - len(rows), 0)


def is_column_target(config: Target) -> bool:
    """Return whether the outcome of a target is a column of the leads."""
    return isinstance(config.outcome, ColumnOutcome)


def _choose_horizon(followed: np.ndarray) -> timedelta:
    """Return the longest horizon for which enough of the units have been followed."""
    for horizon in HORIZONS:
        is_followed = followed >= duration_to_microseconds(horizon)
        if len(followed) and is_followed.mean() >= FOLLOWED_SHARE:
            return horizon
    return HORIZONS[-1]
