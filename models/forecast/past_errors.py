"""Errors of the forecasts that would have been made at past as-ofs, over the same time ahead.

Deals share what a month brings: a campaign, a strike, a new price list, and the error of the model
itself. If each was drawn on its own, errors would cancel and the band would be too narrow. So the
logs of actual over predicted wins of past as-ofs give a factor that all deals share. Their mean,
shrunk to zero, corrects a lasting bias of the open deals; their variance beyond that of single
draws widens the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import stdtrit

from features.tools.instants import US_PER_DAY
from features.tools.parallel import parallel_map
from models.calibration import Z90
from models.forecast.amounts import DealAmounts, ExpectedAmounts
from models.forecast.days.working_time import DayGrid
from models.forecast.deal_model import DealAttributes
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.track import PastTotal
from models.funnel.history import FunnelHistory

# Past as-ofs, at most, and the least time between two.
PAST_FORECASTS = 8
MIN_STEP = 7 * US_PER_DAY
# Spells that each of them looks at, at most. With more, chance has hardly less part in its error.
MAX_PAST_SPELLS = 100_000
# A shorter time ahead holds too few wins to measure an error by.
MIN_AHEAD = 7 * US_PER_DAY
# What is assumed before any past forecast: no bias, and factors that vary by 8 % for open deals and
# 15 % for new ones. It weighs as much as two past periods.
PRIOR_PERIODS = 2.0
PRIOR_VARIANCE = np.diag([0.08**2, 0.15**2])
# The same for what open deals that are won are worth.
PRIOR_AMOUNT_SPREAD = 0.05


@dataclass(frozen=True)
class SharedFactor:
    """Normal law of the logs of the factors of open and new deals.

    Attributes:
        mean: Their means, float64 (2,); that of new deals is 0.
        covariance: Their covariance, float64 (2, 2).
        amount_mean: Log of what open deals that were won were worth, over what was expected of as
            many.
        amount_spread: Standard deviation of that log among past forecasts.
    """

    mean: np.ndarray
    covariance: np.ndarray
    amount_mean: float = 0.0
    amount_spread: float = 0.0

    def find_factors(self, normals: np.ndarray) -> np.ndarray:
        """Return the factors of standard normal draws, float64 (draws, 2)."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        return np.exp(self.mean + normals @ root.T)


@dataclass(frozen=True)
class PastErrors:
    """What past forecasts teach.

    Attributes:
        factors: Shared factor for each time ahead.
        forecasts: Number of past forecasts.
        typical: Two of three past forecasts were at most that far off, as a share of the wins that
            came in the first time ahead; NaN without any.
        uses_trees: Whether the deals' own chances were better than those by stage and age.
        knows_rate_only: Whether no chances were better than one chance for all deals.
        totals: Their totals beside what came, by the first time ahead, the earliest first.
        sample_share: Share of the company's deals that they are of.
    """

    factors: tuple[SharedFactor, ...]
    forecasts: int
    typical: float
    uses_trees: bool
    knows_rate_only: bool
    totals: tuple[PastTotal, ...]
    sample_share: float

    def choose_chances(self, prediction: WinPrediction) -> np.ndarray:
        """Return the chances of the open deals that past forecasts recommend."""
        return prediction.chances if self.uses_trees else prediction.base_chances


@dataclass(frozen=True)
class _PastForecast:
    """A past forecast beside what happened: ``won`` is by deal and end, ``new`` by end.

    ``expected`` are the amounts expected then, and ``gained`` what each deal's win brought by what
    is known now; None without amounts. ``mean_amount`` is what a win so quick had been worth so
    far, None if none had an amount, and ``new_gained`` what each win of a new deal brought by the
    first end.
    """

    at: int
    ends: np.ndarray
    prediction: WinPrediction
    lead: np.ndarray
    won: np.ndarray
    new: np.ndarray
    expected: ExpectedAmounts | None
    gained: np.ndarray | None
    mean_amount: float | None
    new_gained: np.ndarray | None

    def find_chances(self, uses_trees: bool, place: int) -> np.ndarray:
        """Return the chances of the deals by one of the ends."""
        prediction = self.prediction
        return (prediction.chances if uses_trees else prediction.base_chances)[:, place]

    def sum_up(self, uses_trees: bool, factor: SharedFactor) -> PastTotal:
        """Return the total by the first end, corrected by a factor, beside what came."""
        won = self.won[:, 0]
        chances = scale_chances(self.find_chances(uses_trees, 0), np.exp(factor.mean[0]))
        new = float(self.prediction.new_wins[0])
        expected, came = chances.sum() + new, np.count_nonzero(won) + self.new[0]
        total = PastTotal(self.at, int(self.ends[0]), float(expected), float(came))
        if self.mean_amount is None:
            return total
        assert self.expected is not None
        assert self.gained is not None
        assert self.new_gained is not None
        amount = self.expected.amount
        corrected = amount * np.exp(factor.amount_mean)
        from_open = np.where(np.isfinite(self.gained), self.gained, amount)[won].sum()
        from_new = np.nan_to_num(self.new_gained, nan=self.mean_amount).sum()
        return replace(
            total,
            expected_amount=float(chances @ corrected + new * self.mean_amount),
            came_amount=float(from_open + from_new),
        )


def measure_past_errors(
    history: FunnelHistory,
    attributes: DealAttributes,
    grid: DayGrid,
    ends: np.ndarray,
    amounts: DealAmounts | None = None,
) -> PastErrors:
    """Return what forecasts of past as-ofs teach about one with these ``ends``.

    In a large company they forecast the wins of a part of its accounts. Without ``amounts``, wins
    alone are looked at.
    """
    deals = len(history.paths.spells.lead)
    history = history.sample_accounts(MAX_PAST_SPELLS)
    ahead = np.maximum(ends - history.as_of, MIN_AHEAD)
    past = list(
        parallel_map(
            partial(_forecast_again, history, attributes, grid, ahead, amounts),
            _choose_past_as_ofs(history, int(ahead[0])),
        )
    )
    uses_trees, knows_rate_only = _compare_chances(past)
    factors: list[SharedFactor] = []
    for place, span in enumerate(ahead):
        ended = [forecast for forecast in past if forecast.ends[place] <= history.observed_until]
        # Of a time ahead that no past forecast had, no less is known than of a shorter one.
        if factors and not ended:
            factors.append(factors[-1])
        else:
            factors.append(_estimate_factor(ended, place, uses_trees, int(span)))
    totals = tuple(
        forecast.sum_up(uses_trees, _learn_before(past, forecast, uses_trees, int(ahead[0])))
        for forecast in reversed(past)
    )
    return PastErrors(
        tuple(factors),
        len(past),
        _find_typical_error(totals),
        uses_trees,
        knows_rate_only,
        totals,
        len(history.paths.spells.lead) / max(deals, 1),
    )


def scale_chances(chances: np.ndarray, factor: np.ndarray | float) -> np.ndarray:
    """Return chances whose odds are multiplied by a factor."""
    return factor * chances / (1 - chances + factor * chances)


def find_odds(chances: np.ndarray) -> np.ndarray:
    """Return the odds of chances; those of a chance of one are infinite."""
    with np.errstate(divide="ignore"):
        return chances / (1 - chances)


def _choose_past_as_ofs(history: FunnelHistory, ahead: int) -> list[int]:
    """Return the past as-ofs whose time ahead has passed, after as much history again."""
    last = history.observed_until - ahead
    first = int(history.paths.spells.start.min(initial=last))
    first = max(first, history.observed_from) + ahead
    step = max(ahead // 2, MIN_STEP)
    return [at for at in range(last, first, -step)][:PAST_FORECASTS]


def _forecast_again(
    history: FunnelHistory,
    attributes: DealAttributes,
    grid: DayGrid,
    ahead: np.ndarray,
    amounts: DealAmounts | None,
    at: int,
) -> _PastForecast:
    ends = at + ahead
    cut = history.cut_at(at)
    prediction = predict_wins(cut, attributes, grid, ends)
    # Later wins must not say what was to be expected.
    then = None if amounts is None else amounts.learn_again(cut)
    spells = history.paths.spells
    won = (spells.exit == history.states.won) & (spells.end >= at)
    is_old = spells.start < at
    # A lead has one open spell at a time.
    end_of_lead = np.full(len(history.created), np.iinfo(np.int64).max)
    end_of_lead[spells.lead[won & is_old]] = spells.end[won & is_old]
    is_new = won & ~is_old
    new_ends = spells.end[is_new]
    lead = prediction.deals.lead
    return _PastForecast(
        at,
        ends,
        prediction,
        lead,
        end_of_lead[lead][:, None] < ends,
        np.array([np.count_nonzero(new_ends < end) for end in ends]),
        None if amounts is None else (then or amounts).expect_amounts(lead, at),
        None if amounts is None else amounts.of_lead[lead],
        None if then is None else then.average_quick_wins(int(ahead[0])),
        None if amounts is None else amounts.of_lead[spells.lead[is_new & (spells.end < ends[0])]],
    )


def _learn_before(
    past: list[_PastForecast], forecast: _PastForecast, uses_trees: bool, ahead: int
) -> SharedFactor:
    """Return the factor that a past forecast would have learned from those that had ended."""
    ended = [other for other in past if other.ends[0] <= forecast.at]
    return _estimate_factor(ended, 0, uses_trees, ahead)


def _find_typical_error(totals: Sequence[PastTotal]) -> float:
    """Return the error that two of three past forecasts of all wins did not exceed."""
    # Without a win there is nothing to take a share of.
    shares = [abs(total.expected / total.came - 1) for total in totals if total.came]
    return float(np.quantile(shares, 2 / 3)) if shares else float("nan")


def _compare_chances(past: list[_PastForecast]) -> tuple[bool, bool]:
    """Return whether the deals' own chances are better, and whether one for all is as good."""
    if not past:
        return True, False
    lead = np.concatenate([forecast.lead for forecast in past])
    won = np.concatenate([forecast.won[:, 0] for forecast in past])
    own, base, rate = (
        _list_losses(won, np.concatenate(chances))
        for chances in (
            [forecast.prediction.chances[:, 0] for forecast in past],
            [forecast.prediction.base_chances[:, 0] for forecast in past],
            [_spread_evenly(forecast.prediction.base_chances[:, 0]) for forecast in past],
        )
    )
    uses_trees = bool(own.sum() <= base.sum())
    gain = np.bincount(lead, rate - (own if uses_trees else base))
    gain = gain[np.unique(lead)]
    error = gain.std() * np.sqrt(len(gain))
    return uses_trees, bool(gain.sum() <= Z90 * error)


def _spread_evenly(chances: np.ndarray) -> np.ndarray:
    return np.full(len(chances), chances.mean() if len(chances) else 0.0)


def _list_losses(won: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return the log loss of each deal."""
    inside = np.clip(chances, 1e-6, 1 - 1e-6)
    return -np.log(np.where(won, inside, 1 - inside))


def _estimate_factor(
    past: list[_PastForecast], place: int, uses_trees: bool, ahead: int
) -> SharedFactor:
    """Return the law of the factor from the past forecasts whose end has come."""
    if not past:
        return SharedFactor(np.zeros(2), PRIOR_VARIANCE, 0.0, PRIOR_AMOUNT_SPREAD)
    # Periods that overlap say the same.
    periods = (past[0].at - past[-1].at) / ahead + 1.0
    trust = periods / (periods + PRIOR_PERIODS)
    widening = _find_widening(periods + PRIOR_PERIODS)
    logs, noise = _stack_errors([_measure_error(forecast, place, uses_trees) for forecast in past])
    # How many deals arrive goes up and down: to correct it by the past would come too late.
    mean = trust * logs.mean(axis=0) * np.array([1.0, 0.0])
    covariance = _estimate_covariance(logs - mean, noise)
    law = SharedFactor(mean, widening * (trust * covariance + (1 - trust) * PRIOR_VARIANCE))
    if past[0].expected is None:
        return law
    logs, noise = _stack_errors(
        [_measure_amounts(forecast, place, uses_trees) for forecast in past]
    )
    center = trust * float(logs.mean())
    variance = float(_estimate_covariance(logs - center, noise)[0, 0])
    variance = widening * (trust * variance + (1 - trust) * PRIOR_AMOUNT_SPREAD**2)
    return replace(law, amount_mean=center, amount_spread=float(np.sqrt(variance)))


def _find_widening(periods: float) -> float:
    """Return by what to multiply a variance that is estimated from few periods, and its mean too.

    The next error follows Student's law. A normal one with the same 90 % interval stands for it,
    since its rare huge values would distort sums.
    """
    ratio = float(stdtrit(periods, 0.95)) / Z90
    return (1.0 + 1.0 / periods) * ratio**2


def _stack_errors(errors: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    logs, noise = zip(*errors, strict=True)
    return np.array(logs), np.array(noise)


def _estimate_covariance(rest: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the covariance of errors beyond that of chance; chance alone explains it where 0."""
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest) - np.diag(noise.mean(axis=0)))
    return (vectors * np.clip(values, 0.0, None)) @ vectors.T


def _measure_amounts(
    past: _PastForecast, place: int, uses_trees: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log of what wins were worth over what was expected of as many, and its variance.

    Deals count by their chances in what was expected. Large ones may be won more often than these
    say. The variance is that of deals which are won or not by their chances alone.
    """
    assert past.expected is not None
    assert past.gained is not None
    chances, won = past.find_chances(uses_trees, place), past.won[:, place]
    own = won & np.isfinite(past.gained)
    wins, expected = np.count_nonzero(own), chances @ past.expected.amount
    gained = past.gained[own].sum()
    if min(gained, expected) <= 0:
        return np.zeros(1), np.zeros(1)
    mean = expected / chances.sum()
    squares = chances @ (past.expected.amount**2 + past.expected.spread**2) / chances.sum()
    return np.array([np.log(gained / wins / mean)]), np.array([(squares / mean**2 - 1.0) / wins])


def _measure_error(
    past: _PastForecast, place: int, uses_trees: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logs of actual over predicted wins, and their variance if all were independent."""
    chances = past.find_chances(uses_trees, place)
    predicted = np.array([chances.sum(), past.prediction.new_wins[place]])
    actual = np.array([np.count_nonzero(past.won[:, place]), past.new[place]])
    variance = np.array([(chances * (1 - chances)).sum(), predicted[1]])
    # Half a win more on both sides, so that no count is without a log.
    return np.log((actual + 0.5) / (predicted + 0.5)), variance / (predicted + 0.5) ** 2
