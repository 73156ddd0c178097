"""Open deals at an instant, with their way so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.funnel.history import FunnelHistory
from models.funnel.win_times import number_spells

# Numbers that describe the way of a deal.
WAY_COLUMNS = 6


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
        ending: WIN, LOSS or CENSORED, as far as observed.
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
    stays = history.list_spell_stays(np.zeros(len(spells.lead), np.int64))
    return VisitFacts(
        spell,
        np.arange(len(spell)) - first[spell],
        steps - steps[first[spell]],
        (np.arange(len(spells.lead)) - first_spell)[spell],
        spells.start[spell],
        (spells.start + stays.end)[spell],
        stays.exit[spell],
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
