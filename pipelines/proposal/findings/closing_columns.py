"""Columns of the leads that are filled in when a lead ends, by the events of the logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import to_plain_text, to_text
from pipelines.proposal.findings.attributes import AttributeChoice
from pipelines.proposal.findings.event_logs import LeadsTable
from pipelines.proposal.findings.verdicts import is_lost

# So many open leads would have a value by chance, and hardly any has one.
MIN_EXPECTED_LEADS, MAX_OPEN_SHARE = 5.0, 0.02


def drop_closing_columns(
    choice: AttributeChoice, leads: LeadsTable | None, events: pa.Table, ends: Sequence[str]
) -> AttributeChoice:
    """Return the attributes without those that only leads with an end have.

    ``ends`` are the event types after which a lead is decided, with the outcome; ``events`` as
    ``collect_events`` returns them.
    """
    if leads is None or leads.entity_id is None or not events.num_rows:
        return choice
    closed = _find_closed(leads, events, ends)
    is_open = 1 - float(closed.mean())
    reasons = {}
    for name in choice.used:
        filled = leads.table.columns[name].is_valid().to_numpy()
        if filled.sum() * is_open < MIN_EXPECTED_LEADS:
            continue
        if (filled & ~closed).sum() <= MAX_OPEN_SHARE * filled.sum():
            share = float(filled[closed].mean())
            reasons[name] = (
                f"filled in for {share:.0%} of the closed leads and for hardly any open one, "
                "so it is written when a lead closes"
            )
    used = tuple(name for name in choice.used if name not in reasons)
    return replace(choice, used=used, left_out={**choice.left_out, **reasons})


def _find_closed(leads: LeadsTable, events: pa.Table, ends: Sequence[str]) -> np.ndarray:
    """Return which leads have an event that decides them, bool (rows,)."""
    lost = [name for name in pc.unique(events["type"]).to_pylist() if is_lost(name)]
    deciding = pa.array([*ends, *lost], pa.string())
    named = events.filter(pc.is_in(events["type"], value_set=deciding))["entity"]
    ids = to_plain_text(to_text(leads.table.columns[leads.entity_id or ""]))
    return np.asarray(pc.is_in(ids, value_set=pc.unique(named)).to_numpy())
