"""Expected wins by the ends of periods: from the deals that are open, and from those to come."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.forecast.days.arrivals import forecast_arrivals
from models.forecast.days.working_time import (
    DayGrid,
    WorkingTime,
    fit_working_time,
    move_to_working_time,
)
from models.forecast.deal_model import DealAttributes, fit_deal_model
from models.forecast.deals import OpenDeals, collect_visit_facts, list_open_deals
from models.funnel.history import FunnelHistory
from models.survival.incidence import IncidenceCurve, estimate_curve
from models.survival.stays import count_stays

# Spells that are learned from, at most; with more, chance has hardly less part in what is learned.
MAX_SPELLS = 200_000


@dataclass(frozen=True)
class WinPrediction:
    """Wins to expect from an as-of to each of some ends, the earliest first.

    Attributes:
        spans: Calendar time to each end, int64 microseconds.
        deals: Deals that are open at the as-of, in working time.
        chances: Chance of each deal of a win by each end, float64 (deals, ends).
        base_chances: The same by stage and age alone.
        new_wins: Expected wins by each end of deals that are not created yet, float64 (ends,).
        new_chances: Chance by each end of a deal created at the as-of, float64 (ends,).
        arrivals: Expected number of deals created by each end, float64 (ends,).
    """

    spans: np.ndarray
    deals: OpenDeals
    chances: np.ndarray
    base_chances: np.ndarray
    new_wins: np.ndarray
    new_chances: np.ndarray
    arrivals: np.ndarray


def predict_wins(
    history: FunnelHistory, attributes: DealAttributes, grid: DayGrid, ends: np.ndarray
) -> WinPrediction:
    """Return the wins to expect, as known at the history's end.

    ``ends`` are instants after it, ascending, within the grid.
    """
    time = fit_working_time(history.sample_accounts(MAX_SPELLS), grid)
    moved = move_to_working_time(history, time)
    spans = time.convert(ends) - moved.as_of
    deals = list_open_deals(moved, collect_visit_facts(moved), moved.as_of)
    sample = moved.sample_accounts(MAX_SPELLS)
    model = fit_deal_model(sample, collect_visit_facts(sample), attributes, time, spans)
    curve = _estimate_new_wins(sample)
    arrivals = _count_arrivals(history, grid)
    return WinPrediction(
        spans=ends - history.as_of,
        deals=deals,
        chances=model.find_chances(deals, moved.as_of, spans),
        base_chances=replace(model, trees=()).find_chances(deals, moved.as_of, spans),
        new_wins=np.array([_add_new_wins(arrivals, curve, time, history, end) for end in ends]),
        new_chances=_find_incidence(curve, spans),
        arrivals=np.array([arrivals[grid.edges[:-1] < end].sum() for end in ends]),
    )


def _count_arrivals(history: FunnelHistory, grid: DayGrid) -> np.ndarray:
    starts = history.paths.spells.start
    begin = max(int(starts.min(initial=history.as_of)), history.observed_from)
    return forecast_arrivals(grid, starts, begin, history.as_of)


def _estimate_new_wins(history: FunnelHistory) -> IncidenceCurve:
    """Return the share of deals that is won by each age, counted from their begin."""
    stays = history.list_spell_stays(np.zeros(len(history.paths.spells.lead), np.int64))
    return estimate_curve(count_stays(stays.select_observed()), 0, 2)


def _find_incidence(curve: IncidenceCurve, age: np.ndarray) -> np.ndarray:
    """Return the share that is won before each age."""
    won = np.concatenate([[0.0], curve.incidence[:, 0]])
    return won[np.searchsorted(curve.age, age, side="left")]


def _add_new_wins(
    arrivals: np.ndarray,
    curve: IncidenceCurve,
    time: WorkingTime,
    history: FunnelHistory,
    end: int,
) -> float:
    """Return the wins by an end of the deals that arrive before it."""
    days = np.flatnonzero((arrivals > 0) & (time.edges[:-1] < end))
    begin = np.maximum(time.edges[days], history.as_of)
    middle = (begin + np.minimum(time.edges[days + 1], end)) // 2
    remaining = time.convert_instant(int(end)) - time.convert(middle)
    # Of the last day only the part before the end counts.
    whole = time.edges[days + 1] - begin
    part = (np.minimum(time.edges[days + 1], end) - begin) / np.maximum(whole, 1)
    return float((arrivals[days] * part) @ _find_incidence(curve, remaining))
