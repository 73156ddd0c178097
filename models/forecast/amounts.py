"""What wins are worth: known amounts, or ones expected from attributes and values of events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from models.forecast.activity import LeadTimes
from models.forecast.deal_model import DealAttributes
from models.funnel.history import FunnelHistory
from models.funnel.win_times import number_spells
from models.learners.amount_model import AmountModel, AmountRows

# Wins whose amounts are learned from, at most: more take longer and are hardly better.
MAX_WINS = 20_000
# The same for each forecast of a past as-of, of which there are several.
MAX_PAST_WINS = 5_000
# Values of a type show the amount if they leave no more of the spread of its log, among so many.
MAX_NOISE = 0.7
MIN_SHOWN = 50


@dataclass(frozen=True)
class LeadValues:
    """Values of the events of one type.

    Attributes:
        times: Times of the events by lead.
        value: Value of each event, in the same order, float64.
    """

    times: LeadTimes
    value: np.ndarray

    def take_leads(self, rows: np.ndarray) -> Self:
        """Return the values of some leads, numbered in the order of ``rows``."""
        return replace(self, times=self.times.take_leads(rows))

    def find_newest(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the newest value of each lead before an instant of its own, NaN without any."""
        place = self.times.count_before(lead, at) - 1
        has_value = place >= self.times.first[lead]
        newest = np.full(len(lead), np.nan)
        newest[has_value] = self.value[place[has_value]]
        return newest


@dataclass(frozen=True)
class ExpectedAmounts:
    """What wins of some deals are worth.

    Attributes:
        amount: Expected amount of each deal, float64 (deals,).
        spread: Standard deviation of its amount, float64 (deals,).
    """

    amount: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class AmountBase:
    """Amount that a deal is measured by before anything else is learned of it.

    A newest value that shows the amount itself, such as that of a proposal, gives the base of its
    deal: trees, which have steps, would cut large ones off. Where values still change on the way,
    the largest fall back towards the others, as far as the regression of the logs says.

    Attributes:
        column: Place of the type whose values show the amount; None if none do.
        slope: Slope of the log of the amount in that of the value, from 0 to 1.
        ratio: What wins were worth as a share of the values to the power of the slope.
        level: Mean amount of wins without such a value.
    """

    column: int | None
    slope: float
    ratio: float
    level: float

    @classmethod
    def learn(cls, newest: np.ndarray, amount: np.ndarray) -> Self:
        """Return the base of known amounts; ``newest`` has a column of values for each type."""
        fits = [_regress_logs(newest[:, place], amount) for place in range(newest.shape[1])]
        noise = [noise for _, noise in fits]
        column = int(np.argmin(noise)) if min(noise, default=1.0) < MAX_NOISE else None
        base = cls(column, 0.0 if column is None else fits[column][0], 1.0, 1.0)
        shown = base.mark_shown(newest)
        ratio = amount[shown].sum() / base.find_bases(newest)[shown].sum() if shown.any() else 1.0
        level = float(amount[~shown].mean()) if not shown.all() else float(amount.mean())
        return replace(base, ratio=float(ratio), level=level if level > 0 else 1.0)

    def mark_shown(self, newest: np.ndarray) -> np.ndarray:
        """Return which deals have a value that shows the amount, bool (deals,)."""
        if self.column is None:
            return np.zeros(len(newest), bool)
        return np.nan_to_num(newest[:, self.column]) > 0

    def find_bases(self, newest: np.ndarray) -> np.ndarray:
        """Return the base of each deal, above 0, float64 (deals,)."""
        bases = np.full(len(newest), self.level)
        shown = self.mark_shown(newest)
        if shown.any():
            bases[shown] = newest[shown, self.column] ** self.slope * self.ratio
        return bases


@dataclass(frozen=True)
class DealAmounts:
    """What wins are worth.

    Attributes:
        attributes: Attributes of all leads.
        values: Values of events that show an amount, by type.
        known: Amounts of all leads that need not be expected; None where they are learned.
        base: Base of the amounts that are learned; None where they are known.
        model: Model of the amounts that are learned, as shares of their bases.
        spreads: Standard deviation of an amount as a share of the expected one, of deals without
            and with a value that shows it.
        past: Amounts of the wins so far.
        past_age: How long the deals of these wins were open, int64 microseconds.
        of_lead: What the last win of each lead was worth, float64 (leads,); NaN without one.
    """

    attributes: DealAttributes
    values: tuple[LeadValues, ...]
    known: np.ndarray | None
    base: AmountBase | None
    model: AmountModel | None
    spreads: tuple[float, float]
    past: np.ndarray
    past_age: np.ndarray
    of_lead: np.ndarray

    def take_leads(self, rows: np.ndarray) -> Self:
        """Return the amounts of some leads, numbered in the order of ``rows``."""
        return replace(
            self,
            attributes=self.attributes.take_leads(rows),
            values=tuple(part.take_leads(rows) for part in self.values),
            known=None if self.known is None else self.known[rows],
            of_lead=self.of_lead[rows],
        )

    @property
    def mean(self) -> float:
        """Mean amount of the wins so far, 0 without any."""
        return _average_amounts(self.past)

    def list_quick_wins(self, span: int) -> np.ndarray:
        """Return amounts of the wins that came within a span of the deal's begin.

        New deals that are won by the end of a period are such wins, which may be larger or smaller
        than others. Where they are few, all wins are returned.
        """
        quick = self.past[self.past_age < span]
        return quick if len(quick) >= MIN_SHOWN else self.past

    def average_quick_wins(self, span: int) -> float:
        """Return the mean amount of the wins of ``list_quick_wins``, 0 without any."""
        return _average_amounts(self.list_quick_wins(span))

    def expect_amounts(self, lead: np.ndarray, at: np.ndarray | int) -> ExpectedAmounts:
        """Return what wins of leads are worth, from the values before instants."""
        if self.base is None or self.model is None:
            amount = np.zeros(len(lead)) if self.known is None else self.known[lead]
            return ExpectedAmounts(amount, np.zeros(len(lead)))
        newest = _find_newest_values(self.values, lead, at)
        share = self.model.predict_amounts(_join_columns(self.attributes, lead, newest))
        amount = self.base.find_bases(newest) * share
        spread = np.array(self.spreads)[self.base.mark_shown(newest).astype(int)]
        return ExpectedAmounts(amount, amount * spread)

    def learn_again(self, history: FunnelHistory) -> DealAmounts | None:
        """Return the amounts as they would have been learned from an earlier history.

        Returns None where no win had an amount by then.
        """
        spells = history.paths.spells
        won = np.flatnonzero(spells.exit == history.states.won)
        if self.known is not None:
            past, age = self.known[spells.lead[won]], spells.end[won] - spells.start[won]
            return replace(self, past=past, past_age=age) if len(past) else None
        amount = self.of_lead[spells.lead[won]]
        return learn_amounts(history, self.attributes, self.values, won, amount, MAX_PAST_WINS)


def learn_amounts(
    history: FunnelHistory,
    attributes: DealAttributes,
    values: tuple[LeadValues, ...],
    won: np.ndarray,
    amount: np.ndarray,
    most: int = MAX_WINS,
) -> DealAmounts | None:
    """Return what wins are worth, learned from those so far.

    A win is seen as at the middle of each of its visits, since open deals are seen on their way:
    of most, the value that shows the amount is still to come.

    Args:
        history: Paths of the leads.
        attributes: Attributes of all leads.
        values: Values of events by type.
        won: Rows of the won spells.
        amount: Amount of each of them, NaN where it has none.
        most: Number of wins, the newest ones, to learn from at most.

    Returns None where no win has an amount.
    """
    known = np.isfinite(amount)
    won, amount = won[known], amount[known]
    if not len(won):
        return None
    past, spells = amount, history.paths.spells
    age = spells.end[won] - spells.start[won]
    newest_wins = np.argsort(spells.end[won], kind="stable")[-most:]
    spell, lead, at = _list_instants(history, won[newest_wins])
    amount = amount[newest_wins][spell]
    newest = _find_newest_values(values, lead, at)
    x = _join_columns(attributes, lead, newest)
    order = spells.end[won[newest_wins]][spell]
    cluster = history.cluster[lead].astype(str)
    base = AmountBase.learn(newest, amount)
    share = amount / base.find_bases(newest)
    rows = AmountRows(x, share, lead.astype(str), order, cluster)
    model = AmountModel.fit(rows, list(attributes.categorical))
    if model is None:
        return None
    shown = base.mark_shown(newest)
    error = _divide_safely(share, model.predict_amounts(x))
    spreads = [_measure_spread(error[shown == number]) for number in (False, True)]
    of_lead = np.full(len(history.created), np.nan)
    of_lead[spells.lead[won]] = past
    spread = (spreads[0], spreads[1])
    return DealAmounts(attributes, values, None, base, model, spread, past, age, of_lead)


def take_known_amounts(
    history: FunnelHistory, attributes: DealAttributes, value: np.ndarray
) -> DealAmounts | None:
    """Return the amounts of leads that are known; where one is missing, the mean of the others.

    Returns None where none is known.
    """
    known = np.isfinite(value)
    if not known.any():
        return None
    amount = np.where(known, value, value[known].mean())
    spells = history.paths.spells
    won = np.flatnonzero((spells.exit == history.states.won) & known[spells.lead])
    past, age = value[spells.lead[won]], spells.end[won] - spells.start[won]
    return DealAmounts(attributes, (), amount, None, None, (0.0, 0.0), past, age, amount)


def _list_instants(
    history: FunnelHistory, won: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the place in ``won``, the lead and the middle of each visit of won spells."""
    visits, spells = history.paths
    place = np.full(len(spells.lead), -1)
    place[won] = np.arange(len(won))
    spell = place[number_spells(history)]
    rows = np.flatnonzero(spell >= 0)
    middle = visits.start[rows] + (visits.end[rows] - visits.start[rows]) // 2
    return spell[rows], visits.lead[rows], middle


def _find_newest_values(
    values: tuple[LeadValues, ...], lead: np.ndarray, at: np.ndarray | int
) -> np.ndarray:
    """Return the newest value of each type before instants, float64 (leads, types)."""
    instants = np.broadcast_to(np.asarray(at, np.int64), lead.shape)
    columns = [part.find_newest(lead, instants) for part in values]
    return np.column_stack(columns) if columns else np.empty((len(lead), 0))


def _regress_logs(value: np.ndarray, amount: np.ndarray) -> tuple[float, float]:
    """Return the slope of the log of amounts in that of values, and the share of spread left.

    The share is 1 where too few have a value.
    """
    own = (np.nan_to_num(value) > 0) & (amount > 0)
    x, y = np.log(value[own]), np.log(amount[own])
    if len(x) < MIN_SHOWN or not min(x.std(), y.std()) > 0:
        return 0.0, 1.0
    slope = float(np.clip(np.cov(x, y)[0, 1] / x.var(ddof=1), 0.0, 1.0))
    return slope, float((y - slope * x).std() / y.std())


def _join_columns(attributes: DealAttributes, lead: np.ndarray, newest: np.ndarray) -> np.ndarray:
    return np.concatenate([attributes.columns[lead], newest], axis=1)


def _divide_safely(amount: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.divide(amount, expected, out=np.full(len(amount), np.nan), where=expected > 0)


def _average_amounts(amounts: np.ndarray) -> float:
    return float(amounts.mean()) if len(amounts) else 0.0


def _measure_spread(ratio: np.ndarray) -> float:
    usable = ratio[np.isfinite(ratio)]
    return float(np.sqrt(np.mean((usable - 1.0) ** 2))) if len(usable) else 0.0
