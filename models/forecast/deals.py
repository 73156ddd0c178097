"""Open deals at an instant, with their way so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.paths.visits import OPEN
from features.tools.instants import NEVER_US
from models.funnel.history import FunnelHistory
from models.funnel.win_times import number_spells

WON, LOST = 0, 1


@dataclass(frozen=True)
class VisitFacts:
    """Facts on each visit of a history that its table of visits does not hold.

    Attributes:
        spell: Row of its spell, int64.
        number: Number of visits before it in its spell.
        returns: Number of steps back before it in its spell.
        spells: Number of spells of the lead before its spell.
        spell_start: When the spell began, int64 microseconds.
        spell_end: When it ended; the end of the observation if it is open.
        ending: WON, LOST or OPEN, as far as observed.
    """

    spell: np.ndarray
    number: np.ndarray
    returns: np.ndarray
    spells: np.ndarray
    spell_start: np.ndarray
    spell_end: np.ndarray
    ending: np.ndarray


@dataclass(frozen=True)
class OpenDeals:
    """Deals that are open at an instant, one element per deal, in the order of leads.

    Attributes:
        visit: Row of the visit that lasts.
        lead: Row of the lead.
        stage: Number of the stage.
        age: Microseconds in the stage.
        way: Numbers that describe the way so far, float64 (deals, columns).
    """

    visit: np.ndarray
    lead: np.ndarray
    stage: np.ndarray
    age: np.ndarray
    way: np.ndarray


def collect_visit_facts(history: FunnelHistory) -> VisitFacts:
    """Return the facts on each visit as known at the end of the history."""
    visits, spells = history.paths
    spell = number_spells(history)
    first = np.searchsorted(spell, np.arange(len(spells.lead)))
    back = np.zeros(len(spell), np.int64)
    back[1:] = (np.diff(spell) == 0) & (np.diff(visits.stage) < 0)
    steps = np.cumsum(back)
    first_spell = np.searchsorted(spells.lead, spells.lead)
    seen = (spells.exit != OPEN) & (spells.end < history.observed_until)
    ending = np.where(seen, (spells.exit > history.states.won).astype(np.int64), OPEN)
    end = np.where(seen, spells.end, history.observed_until)
    return VisitFacts(
        spell,
        np.arange(len(spell)) - first[spell],
        steps - steps[first[spell]],
        (np.arange(len(spells.lead)) - first_spell)[spell],
        spells.start[spell],
        end[spell],
        ending[spell],
    )


def list_open_deals(history: FunnelHistory, facts: VisitFacts, at: int) -> OpenDeals:
    """Return the deals that were open just before an instant, which the history has seen."""
    visits = history.paths.visits
    is_known = np.maximum(visits.start, history.created[visits.lead]) < at
    rows = np.flatnonzero(is_known & (visits.end >= at))
    lead, stage, age = visits.lead[rows], visits.stage[rows], at - visits.start[rows]
    way = np.column_stack(
        [
            stage,
            age,
            at - facts.spell_start[rows],
            facts.number[rows],
            facts.returns[rows],
            facts.spells[rows],
        ]
    )
    return OpenDeals(rows, lead, stage, age, way.astype(float))


def cut_history(history: FunnelHistory, at: int) -> FunnelHistory:
    """Return the history as it would have been at an earlier as-of, by the times of its events."""
    visits, spells = history.paths
    own = (visits.start < at) & (history.created[visits.lead] < at)
    lasts = visits.end[own] >= at
    visits = replace(
        visits,
        lead=visits.lead[own],
        stage=visits.stage[own],
        start=visits.start[own],
        end=np.where(lasts, NEVER_US, visits.end[own]),
        exit=np.where(lasts, OPEN, visits.exit[own]),
    )
    own = (spells.start < at) & (history.created[spells.lead] < at)
    lasts = spells.end[own] >= at
    spells = replace(
        spells,
        lead=spells.lead[own],
        start=spells.start[own],
        end=np.where(lasts, NEVER_US, spells.end[own]),
        exit=np.where(lasts, OPEN, spells.exit[own]),
    )
    delay = history.as_of - history.observed_until
    paths = type(history.paths)(visits, spells)
    return replace(history, paths=paths, as_of=at, observed_until=at - delay)
