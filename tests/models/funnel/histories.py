"""Small histories for the funnel's tables, in whole days."""

import numpy as np

from features.paths.states import FunnelStates
from features.paths.visits import OPEN, LeadPaths, Spells, Visits
from features.tools.instants import NEVER_US, US_PER_DAY
from models.funnel.history import FunnelHistory, Segmentation

STATES = FunnelStates("win", ("created", "mql", "offer"), ("won",), ("lost", "gone"), ())
CREATED, MQL, OFFER, WON, LOST, GONE = range(6)
ALWAYS = -10_000_000


def make_history(visits, as_of=100, value=None, observed_from=None, delay=0, created=None):
    """Return the history of visits (lead, stage, start, end, exit), in days; end None is open.

    A spell goes from a lead's first visit to its win or loss.
    """
    rows = [(v[0], v[1], v[2], v[3], OPEN if v[4] is None else v[4]) for v in visits]
    lead, stage, start, _, ending = (np.array(column, object) for column in zip(*rows, strict=True))
    end = np.array([NEVER_US if row[3] is None else row[3] * US_PER_DAY for row in rows])
    start = np.array([int(day * US_PER_DAY) for day in start])
    columns = (lead.astype(np.int64), stage.astype(np.int64), start, end.astype(np.int64))
    visits = Visits(*columns, ending.astype(np.int64))
    leads = int(lead.max()) + 1
    first, spell = np.zeros(leads, np.int64), []
    for number in range(leads):
        own = [row for row in rows if row[0] == number]
        first[number] = own[0][2] * US_PER_DAY
        last = own[-1]
        is_over = last[4] >= WON
        spell.append(
            (number, first[number], last[3] * US_PER_DAY if is_over else NEVER_US)
            + ((last[4],) if is_over else (OPEN,))
        )
    spells = Spells(*(np.array(column, np.int64) for column in zip(*spell, strict=True)))
    return FunnelHistory(
        states=STATES,
        paths=LeadPaths(visits, spells),
        created=first if created is None else np.array(created) * US_PER_DAY,
        cluster=np.arange(leads).astype(np.uint64),
        value=None if value is None else np.array(value, float),
        as_of=as_of * US_PER_DAY,
        observed_from=ALWAYS * US_PER_DAY if observed_from is None else observed_from * US_PER_DAY,
        observed_until=(as_of - delay) * US_PER_DAY,
    )


def all_leads(history):
    return Segmentation(("all",), np.zeros(len(history.created), np.int64))
