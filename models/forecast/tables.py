"""Tables of the forecast: periods by segment, and the deals that add most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.goals.periods import CalendarPeriod
from features.tools.instants import US_PER_DAY
from models.forecast.draws import PeriodDraws
from models.forecast.safe_goal import find_safe_needs
from models.forecast.schemas import AMOUNT, DEALS, FORECAST, LEVELS, WINS

# A new deal that closes by the period's end with a lower chance closes no gap.
MIN_NEW_CHANCE = 0.01
# Columns that only rows with a goal have.
GOAL_COLUMNS = (
    "p_goal",
    "gap",
    "needed_wins",
    "needed_new_deals",
    "safe_gap",
    "safe_wins",
    "safe_new_deals",
)

# Goal of a period in a unit, for a segment; None without one.
GoalFinder = Callable[[CalendarPeriod, str, str], float | None]


@dataclass(frozen=True)
class PeriodFacts:
    """What the rows of one unit are built from; arrays are (periods, segments).

    Attributes:
        unit: WINS or AMOUNT.
        won: Won in the period so far.
        open_draws: Draws of what open deals add, (draws, periods, segments).
        new_draws: Draws of what new deals add, of the same shape.
        new_value: What a deal that is created at the as-of adds to each period on average,
            (periods,).
        deal_chances: Chance in each draw that such a deal is won in each period, (draws, periods).
        win_amounts: What each of the past wins would add, (wins,).
        arrivals: Deals that are expected to be created in what is left of each period, (periods,).
    """

    unit: str
    won: np.ndarray
    open_draws: np.ndarray
    new_draws: np.ndarray
    new_value: np.ndarray
    deal_chances: np.ndarray
    win_amounts: np.ndarray
    arrivals: np.ndarray


def list_period_facts(
    won: dict[str, np.ndarray],
    draws: PeriodDraws,
    new_chances: np.ndarray,
    deal_chances: np.ndarray,
    arrivals: np.ndarray,
    past_amounts: np.ndarray | None,
) -> list[PeriodFacts]:
    """Return the facts by unit; amounts only where the draws have them.

    ``new_chances`` is the chance of a new deal of a win in each period, ``deal_chances`` the same
    in each draw, ``arrivals`` the number of deals to come in each, and ``past_amounts`` what the
    wins so far were worth.
    """
    chances = np.where(new_chances < MIN_NEW_CHANCE, 0.0, new_chances)
    parts = draws.open_wins, draws.new_wins
    facts = [PeriodFacts(WINS, won[WINS], *parts, chances, deal_chances, np.ones(1), arrivals)]
    if draws.open_amount is not None and draws.new_amount is not None and past_amounts is not None:
        parts = draws.open_amount, draws.new_amount
        value = chances * _find_mean(past_amounts)
        rest = deal_chances, past_amounts, arrivals
        facts.append(PeriodFacts(AMOUNT, won[AMOUNT], *parts, value, *rest))
    return facts


def _find_mean(amounts: np.ndarray) -> float:
    return float(amounts.mean()) if len(amounts) else 0.0


def list_forecast_rows(
    as_of: object,
    periods: Sequence[CalendarPeriod],
    segments: Sequence[str],
    facts: Sequence[PeriodFacts],
    find_goal: GoalFinder,
) -> pa.Table:
    """Return FORECAST; the last axis of the facts has ``segments``, the first of which is all."""
    rows = []
    for place, period in enumerate(periods):
        for fact in facts:
            for number, segment in enumerate(segments):
                goal = find_goal(period, fact.unit, segment)
                key = {
                    "as_of": as_of,
                    "period": period.name,
                    "period_start": period.start,
                    "period_end": period.end,
                    "segment": segment,
                    "unit": fact.unit,
                }
                to_come = {"expected_new_deals": None if number else float(fact.arrivals[place])}
                rows.append(key | _summarize_cell(fact, place, number, goal) | to_come)
    return pa.Table.from_pylist(rows, schema=FORECAST)


def _summarize_cell(
    fact: PeriodFacts, place: int, number: int, goal: float | None
) -> dict[str, float | None]:
    """Return the quantities of one row."""
    from_open, from_new = fact.open_draws[:, place, number], fact.new_draws[:, place, number]
    won = float(fact.won[place, number])
    total = won + from_open + from_new
    parts = {"from_open": from_open, "from_new": from_new, "total": total}
    row: dict[str, float | None] = {"goal": goal, "won": won}
    for name, values in parts.items():
        row[f"{name}_mean"] = float(values.mean())
        row |= {f"{name}_{level}": find_level(values, share) for level, share in LEVELS.items()}
    if goal is None:
        return row | dict.fromkeys(GOAL_COLUMNS)
    gap, new_value = goal - float(total.mean()), float(fact.new_value[place])
    # A total that is a sum of amounts misses its goal by no rounding.
    shortfall = goal * (1 - 1e-12) - total
    safe = find_safe_needs(
        shortfall, fact.win_amounts, fact.deal_chances[:, place] if new_value > 0 else None
    )
    values = (
        float(np.mean(shortfall <= 0)),
        gap,
        _count_needed(gap, _find_mean(fact.win_amounts)),
        _count_needed(gap, new_value),
        safe.gap,
        safe.wins,
        safe.deals,
    )
    return row | dict(zip(GOAL_COLUMNS, values, strict=True))


def _count_needed(gap: float, value: float) -> float | None:
    """Return how many of a value close a gap on average, None where they hardly can."""
    if gap <= 0:
        return 0.0
    return float(np.ceil(gap / value)) if value > 0 else None


def find_level(values: np.ndarray, share: float) -> float:
    """Return a quantile of draws: the nearest of them, so that a number of wins is a whole one."""
    return float(np.quantile(values, share, method="nearest"))


def list_deal_rows(
    columns: dict[str, pa.Array], chances: np.ndarray, age: np.ndarray, amount: np.ndarray | None
) -> pa.Table:
    """Return DEALS, those that add most first.

    ``columns`` are entity_id, segment, stage and owner of each deal, ``age`` its microseconds in
    the stage.
    """
    value = chances if amount is None else chances * amount
    parts = {
        **columns,
        "age_days": pa.array(age / US_PER_DAY),
        "probability": pa.array(chances),
        "amount": pa.nulls(len(chances), pa.float64()) if amount is None else pa.array(amount),
        "contribution": pa.array(value),
    }
    table = pa.table([parts[name] for name in DEALS.names], schema=DEALS)
    return table.sort_by([("contribution", "descending"), ("entity_id", "ascending")])
