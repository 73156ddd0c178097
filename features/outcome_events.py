"""Events of a target's outcome that stand: those that no event of the same entity has revoked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import Target
from features.contracts import Dataset
from features.tools.instants import column_to_microseconds


class MatchedRevocations(NamedTuple):
    """Outcome events and revoking events of the same entities.

    Attributes:
        outcomes: EVENTS rows of the outcome, in the order of the data set.
        revocations: EVENTS rows of the revoking types, in the order of the data set.
        revoked_by: For each outcome the row of ``revocations`` that revokes it first, -1 for none.
    """

    outcomes: pa.Table
    revocations: pa.Table
    revoked_by: np.ndarray


def select_standing_outcomes(dataset: Dataset, target: Target) -> pa.Table:
    """Return the EVENTS rows of the outcome that no row of the data set revokes."""
    if not target.outcome_revoked_by:
        return _filter_types(dataset.events, target.outcome_types)
    matched = match_revocations(dataset, target)
    return matched.outcomes.filter(pa.array(matched.revoked_by < 0))


def match_revocations(dataset: Dataset, target: Target) -> MatchedRevocations:
    """Find the first event of ``outcome_revoked_by`` that revokes each outcome event.

    A revoking event revokes the latest outcome of its entity at or before it, and all outcomes of
    that instant. Which rows are known is decided by the data set, which is cut at the as-of.
    """
    events = _filter_types(dataset.events, (*target.outcome_types, *target.outcome_revoked_by))
    outcomes = _filter_types(events, target.outcome_types)
    revocations = _filter_types(events, target.outcome_revoked_by)
    both = pa.concat_tables([outcomes, revocations])
    lead, time = dataset.find_leads(both["entity_id"]), column_to_microseconds(both["event_time"])
    is_revocation = np.arange(len(time)) >= outcomes.num_rows
    # At a tie the outcome comes first: a revocation revokes what was there before it.
    order = np.lexsort((is_revocation, time, lead))
    ordered = lead[order], time[order], is_revocation[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = np.any([column[1:] != column[:-1] for column in ordered], axis=0)
    # Elements that are equal in all three are one group; the next group decides on all of them.
    group = np.cumsum(is_new) - 1
    first = np.append(np.flatnonzero(is_new), len(order) - 1)
    following = first[group + 1]
    is_revoked = ~ordered[2] & ordered[2][following] & (ordered[0] == ordered[0][following])
    # Events of unknown leads are never labels; their lead is -1 for all of them.
    is_revoked &= ordered[0] >= 0
    revoked_by = np.full(len(order), -1)
    revoked_by[order] = np.where(is_revoked, order[following] - outcomes.num_rows, -1)
    return MatchedRevocations(outcomes, revocations, revoked_by[: outcomes.num_rows])


def _filter_types(events: pa.Table, types: tuple[str, ...]) -> pa.Table:
    return events.filter(pc.is_in(events["event_type"], value_set=pa.array(types, pa.string())))
