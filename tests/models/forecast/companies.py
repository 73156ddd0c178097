"""A small made-up company whose deals move on working days only."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from features.paths.states import FunnelStates
from features.paths.visits import OPEN, LeadPaths, Spells, Visits
from features.tools.instants import NEVER_US, US_PER_DAY, from_microseconds
from models.forecast.days.working_time import build_day_grid
from models.forecast.deal_model import DealAttributes
from models.funnel.history import FunnelHistory

STATES = FunnelStates("win", ("created", "offer"), ("won",), ("lost",), ())
OFFER, WON, LOST = 1, 2, 3
# A Monday.
BEGIN = (date(2024, 1, 1) - date(1970, 1, 1)).days * US_PER_DAY


def simulate_company(deals=4000, days=360, seed=1, win_share=0.5, workdays_only=True):
    """Return a history: a deal gets an offer after some working days, then is won or lost.

    Each working day 15 % of the deals without an offer get one, and 10 % of the offers end.
    """
    rng = np.random.default_rng(seed)
    start = np.sort(rng.integers(0, days, deals))
    offer = _add_working_days(start, rng.geometric(0.15, deals), workdays_only)
    end = _add_working_days(offer, rng.geometric(0.10, deals), workdays_only)
    won = rng.random(deals) < win_share
    starts = BEGIN + start * US_PER_DAY + rng.integers(0, US_PER_DAY // 4, deals)
    offers = BEGIN + offer * US_PER_DAY + US_PER_DAY // 3
    ends = BEGIN + end * US_PER_DAY + US_PER_DAY // 2
    return build_history(starts, offers, ends, np.where(won, WON, LOST), BEGIN + days * US_PER_DAY)


def build_history(starts, offers, ends, exits, as_of):
    """Return the history of deals as known at an as-of."""
    known = starts < as_of
    starts, offers, ends, exits = (column[known] for column in (starts, offers, ends, exits))
    lead = np.arange(len(starts))
    has_offer, is_over = offers < as_of, ends < as_of
    rows = [
        (lead, np.zeros_like(lead), starts, np.where(has_offer, offers, NEVER_US)),
        (lead[has_offer], np.ones(int(has_offer.sum()), int), offers[has_offer], None),
    ]
    end_of_offer = np.where(is_over, ends, NEVER_US)[has_offer]
    first_exit = np.where(has_offer, OFFER, OPEN)
    last_exit = np.where(is_over, exits, OPEN)[has_offer]
    columns = [
        np.concatenate([rows[0][0], rows[1][0]]),
        np.concatenate([rows[0][1], rows[1][1]]),
        np.concatenate([rows[0][2], rows[1][2]]),
        np.concatenate([rows[0][3], end_of_offer]),
        np.concatenate([first_exit, last_exit]),
    ]
    order = np.lexsort((columns[2], columns[0]))
    visits = Visits(*(column[order].astype(np.int64) for column in columns))
    spells = Spells(lead, starts, np.where(is_over, ends, NEVER_US), np.where(is_over, exits, OPEN))
    return FunnelHistory(
        states=STATES,
        paths=LeadPaths(visits, spells),
        created=starts,
        cluster=lead.astype(np.uint64),
        value=None,
        as_of=int(as_of),
        observed_from=np.iinfo(np.int64).min // 2,
        observed_until=int(as_of),
    )


def make_grid(history, days=90):
    """Return the days of a company's history, and some more."""
    first = from_microseconds(int(history.created.min())).date()
    last = from_microseconds(history.as_of + days * US_PER_DAY).date()
    return build_day_grid(ZoneInfo("UTC"), first, last, [])


def no_attributes(history):
    return DealAttributes(np.empty((len(history.created), 0)), ())


def _add_working_days(day, count, workdays_only):
    if not workdays_only:
        return day + count
    week, weekday = np.divmod(day, 7)
    # At a weekend the next working day is the first of the next week.
    total = week * 5 + np.minimum(weekday, 4) + count
    return total // 5 * 7 + total % 5
