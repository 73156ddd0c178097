"""What wins of a company's leads are worth, for its funnel and its forecast alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.contracts import Dataset
from features.outcome_events import select_standing_outcomes
from features.tools.instants import column_to_microseconds
from models.encoding import encode_categories, rank_by_frequency
from models.forecast.activity import sort_by_lead
from models.forecast.amounts import DealAmounts, LeadValues, learn_amounts, take_known_amounts
from models.forecast.deal_model import DealAttributes
from models.funnel.history import FunnelHistory
from pipelines.training_data import Snapshot
from serve.scoring.scoring import look_up_amounts

# Categories of an attribute that are codes of their own, those with most leads.
MAX_CATEGORIES = 30
# Types of events whose newest value may show what a win is worth.
MAX_VALUE_TYPES = 5


@dataclass(frozen=True)
class ValuedHistory:
    """Paths of leads, and what their wins are worth.

    Attributes:
        history: Paths of the leads, with the amount of each.
        attributes: Attributes of the leads.
        amounts: What wins are worth; None where no amount can be known.
        win_amount: What each spell's win was worth, float64 (spells,), NaN where none.
    """

    history: FunnelHistory
    attributes: DealAttributes
    amounts: DealAmounts | None
    win_amount: np.ndarray


def value_history(snapshot: Snapshot, history: FunnelHistory) -> ValuedHistory:
    """Return a history with amounts: what a win was worth, or is expected to bring at the as-of."""
    attributes = collect_attributes(snapshot.project, snapshot.dataset)
    matched = _match_win_amounts(snapshot, history)
    amounts = _find_amounts(snapshot, history, attributes, matched)
    win_amount = _complete_win_amounts(history, amounts, matched)
    if amounts is not None:
        history = replace(history, value=_value_leads(history, amounts, win_amount))
    return ValuedHistory(history, attributes, amounts, win_amount)


def find_win_amounts(
    snapshot: Snapshot, history: FunnelHistory, amounts: DealAmounts | None
) -> np.ndarray:
    """Return what each spell's win was worth, float64 (spells,), NaN where none.

    ``amounts`` say what is expected of a win without an amount of its own.
    """
    return _complete_win_amounts(history, amounts, _match_win_amounts(snapshot, history))


def collect_attributes(project: Project, dataset: Dataset) -> DealAttributes:
    """Return the attributes of the leads source as numbers and codes; personal ones are left out.

    Attributes with a history are left out too: here a lead has one value for all times.
    """
    columns, categorical = [], []
    for name in dataset.attributes:
        if name in project.privacy.personal or name in project.features.exclude:
            continue
        column = dataset.leads[name]
        if pa.types.is_floating(column.type):
            columns.append(pc.fill_null(column, np.nan).to_numpy())
        elif pa.types.is_string(column.type):
            categorical.append(len(columns))
            columns.append(_encode_column(column))
    rows = dataset.leads.num_rows
    joined = np.column_stack(columns) if columns else np.empty((rows, 0))
    return DealAttributes(joined.astype(float), tuple(categorical))


def _encode_column(column: pa.ChunkedArray) -> np.ndarray:
    """Return the rank of each category by its number of leads; the rarer ones share one code."""
    names = rank_by_frequency(column)[:MAX_CATEGORIES]
    codes = encode_categories(column, names)
    is_rare = np.isnan(codes) & column.is_valid().to_numpy()
    return np.where(is_rare, float(len(names)), codes)


def _find_amounts(
    snapshot: Snapshot, history: FunnelHistory, attributes: DealAttributes, matched: np.ndarray
) -> DealAmounts | None:
    """Return what wins of the leads are worth, None where no amount can be known."""
    spells = history.paths.spells
    won = np.flatnonzero(spells.exit == history.states.won)
    dataset, target = snapshot.dataset, snapshot.project.target_config(history.states.target)
    if target.learns_amount:
        values = _collect_event_values(snapshot, history)
        return learn_amounts(history, attributes, values, won, matched[won])
    known = look_up_amounts(dataset, target, pa.array(np.arange(dataset.leads.num_rows)))
    if known is None:
        return None
    value = pc.fill_null(known, np.nan).to_numpy()
    return take_known_amounts(history, attributes, value)


def _complete_win_amounts(
    history: FunnelHistory, amounts: DealAmounts | None, matched: np.ndarray
) -> np.ndarray:
    """Return amounts of wins; one without a value of its own counts with what is expected of it."""
    spells = history.paths.spells
    missing = np.flatnonzero((spells.exit == history.states.won) & np.isnan(matched))
    if amounts is None or not len(missing):
        return matched
    completed = matched.copy()
    completed[missing] = amounts.expect_amounts(spells.lead[missing], spells.end[missing]).amount
    return completed


def _value_leads(
    history: FunnelHistory, amounts: DealAmounts, win_amount: np.ndarray
) -> np.ndarray:
    """Return what the last win of each lead was worth; for open and lost ones, what it would be."""
    leads, spells = np.arange(len(history.created)), history.paths.spells
    value = amounts.expect_amounts(leads, history.as_of).amount
    # Spells are ordered by lead and time, so the last of several assignments stays.
    last = np.full(len(leads), -1)
    last[spells.lead] = np.arange(len(spells.lead))
    of_spell = np.where(last >= 0, win_amount[last], np.nan) if len(spells.lead) else value
    return np.where(np.isfinite(of_spell), of_spell, value)


def _match_win_amounts(snapshot: Snapshot, history: FunnelHistory) -> np.ndarray:
    """Return the value of the outcome event that ended each won spell.

    It is NaN where there is none, and where amounts are not those of outcomes.
    """
    spells = history.paths.spells
    amount = np.full(len(spells.lead), np.nan)
    target = snapshot.project.target_config(history.states.target)
    won = np.flatnonzero(spells.exit == history.states.won)
    if not target.learns_amount:
        return amount
    outcomes = select_standing_outcomes(snapshot.dataset, target)
    if not outcomes.num_rows:
        return amount
    lead = snapshot.dataset.find_leads(outcomes["entity_id"])
    time = column_to_microseconds(outcomes["event_time"])
    value = pc.fill_null(outcomes["value"], np.nan).to_numpy()
    order = np.lexsort((value, time, lead))
    key = np.rec.fromarrays([lead[order], time[order]])
    asked = np.rec.fromarrays([spells.lead[won], spells.end[won]], dtype=key.dtype)
    place = np.clip(np.searchsorted(key, asked), 0, len(key) - 1)
    amount[won] = np.where(key[place] == asked, value[order][place], np.nan)
    return amount


def _collect_event_values(snapshot: Snapshot, history: FunnelHistory) -> tuple[LeadValues, ...]:
    """Return the values of events by type, such as the amounts of proposals; outcomes have none."""
    dataset, target = snapshot.dataset, snapshot.project.target_config(history.states.target)
    events = dataset.events.filter(dataset.events["value"].is_valid())
    events = events.filter(
        pc.invert(pc.is_in(events["event_type"], value_set=pa.array(target.outcome_types)))
    )
    return tuple(
        _sort_values(dataset, events.filter(pc.equal(events["event_type"], name)))
        for name in rank_by_frequency(events["event_type"])[:MAX_VALUE_TYPES]
    )


def _sort_values(dataset: Dataset, events: pa.Table) -> LeadValues:
    lead = dataset.find_leads(events["entity_id"])
    # At an earlier instant, too, only what could be read then was known.
    time = column_to_microseconds(events["available_at"])
    value = events["value"].to_numpy()
    times, rows = sort_by_lead(lead, time, dataset.leads.num_rows, value)
    return LeadValues(times, value[rows])
