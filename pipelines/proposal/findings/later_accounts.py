"""Accounts that are filled in when a lead closes: who has one knows the outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import to_plain_text, to_text
from pipelines.proposal.findings.event_logs import LeadsTable
from pipelines.proposal.findings.outcomes import Outcome

# Difference of the shares of leads with an account, from which on it is filled later, and the
# number of leads without one that it takes.
MIN_FILL_GAP, MIN_EMPTY_LEADS = 0.05, 20


def drop_later_account(
    leads: LeadsTable | None, outcome: Outcome, events: pa.Table
) -> tuple[LeadsTable | None, str]:
    """Return the leads without an account that mostly won leads have, and a note.

    ``events`` as ``collect_events`` returns them. Features count the leads of an account, so they
    would know which leads have one.
    """
    if leads is None or leads.account_id is None or leads.entity_id is None:
        return leads, ""
    filled = leads.table.columns[leads.account_id].is_valid().to_numpy()
    won = _find_won(leads, outcome, events)
    if (~filled).sum() < MIN_EMPTY_LEADS or not (won.any() and (~won).any()):
        return leads, ""
    with_outcome, without = float(filled[won].mean()), float(filled[~won].mean())
    if with_outcome - without < MIN_FILL_GAP:
        return leads, ""
    note = (
        f"{leads.account_id} is no account_id: {with_outcome:.0%} of the leads with the outcome "
        f"have one, {without:.0%} of the others, so it is filled in when a lead closes"
    )
    return replace(leads, account_id=None), note


def _find_won(leads: LeadsTable, outcome: Outcome, events: pa.Table) -> np.ndarray:
    """Return which leads have the outcome, bool (rows,)."""
    if outcome.is_event:
        ids = to_plain_text(to_text(leads.table.columns[leads.entity_id or ""]))
        named = events.filter(pc.equal(events["type"], outcome.name))["entity"]
        return np.asarray(pc.is_in(ids, value_set=pc.unique(named)).to_numpy())
    states = pc.utf8_lower(to_plain_text(to_text(leads.table.columns[outcome.name])))
    values = pa.array([str(value).lower() for value in outcome.equals], pa.string())
    return np.asarray(pc.fill_null(pc.is_in(states, value_set=values), False).to_numpy())
