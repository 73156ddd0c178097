"""Renewals to come: how many, when, and discounted, exactly by sums over periods and days.

A renewal is paid some days before or after it is due; the next period begins on that day. The
chance of the next renewal falls with each day on which others have paid, and rises with each day on
which others have ended their contracts, by Bayes' rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.contracts.renewal_rates import RenewalRates
from models.contracts.status import ContractsAt
from models.contracts.terms import ContractTerms


@dataclass(frozen=True)
class DueDelays:
    """How many days after the due day renewals are paid, or contracts that are lost end.

    Attributes:
        first: Days from the due day to the first possible one; zero or below.
        chance: Chance of each day from then to the end of the grace, float64 (days,).
    """

    first: int
    chance: np.ndarray

    def predict_later(self, late: np.ndarray) -> np.ndarray:
        """Return the chance of these days after the due day, or more."""
        later = np.append(self.chance[::-1].cumsum()[::-1], 0.0)
        chance: np.ndarray = later[np.clip(late - self.first, 0, len(self.chance))]
        return chance


def measure_delays(late: np.ndarray, terms: ContractTerms) -> DueDelays:
    """Return the delays of the renewals that were paid, ``late`` days after they were due."""
    first = terms.earliest - terms.period
    counts = np.bincount(late - first, minlength=terms.grace - first + 1).astype(float)
    # One renewal more than was seen, on any day of the grace: so one in grace is never a loss.
    counts[-first:] += 1 / (terms.grace + 1)
    return DueDelays(first, counts / counts.sum())


def measure_exits(left: np.ndarray, terms: ContractTerms) -> DueDelays:
    """Return the delays of the contracts that were lost, ``left`` days after they were due."""
    counts = np.bincount(left + terms.period, minlength=terms.period + terms.grace + 1)
    # One contract more than was seen, which was lost without an ending.
    chance = counts.astype(float)
    chance[-1] += 1
    return DueDelays(-terms.period, chance / chance.sum())


@dataclass(frozen=True)
class RenewalForecast:
    """Renewals of customers after a day.

    Attributes:
        rates: Chances of renewal.
        delays: When renewals are paid.
        exits: When contracts that are lost end.
        contracts: The contracts.
    """

    rates: RenewalRates
    delays: DueDelays
    exits: DueDelays
    contracts: ContractsAt

    @cached_property
    def silent(self) -> np.ndarray:
        """Return the days since the due day without a payment, below zero before it, int64."""
        # A contract that is over has no open renewal; the number only must be a possible one.
        days: np.ndarray = np.minimum(
            self.contracts.end - self.contracts.due, self.contracts.terms.grace
        )
        return days

    @cached_property
    def renews(self) -> np.ndarray:
        """Return the chance that the open renewal is paid, 0 for one who has left, float64."""
        rate = self.rates.predict_rates(self.contracts.number)
        paid = rate * self.delays.predict_later(self.silent)
        lost = (1 - rate) * self.exits.predict_later(self.silent)
        return np.where(self.contracts.has_left, 0.0, paid / (paid + lost))

    @property
    def alive(self) -> np.ndarray:
        """Return the chance that each customer has not left: 0, 1, or that of one in grace."""
        return np.where(self.contracts.in_grace, self.renews, ~self.contracts.has_left)

    def predict_any(self, days: int) -> np.ndarray:
        """Return the chance that the open renewal is paid within some days, float64."""
        weights, place = self._weigh_renewals(days, 0.0, 1)
        chance: np.ndarray = self.renews * weights[place, 0]
        return chance

    def predict_orders(self, days: int, discount: float = 0.0) -> np.ndarray:
        """Return the expected renewals within some days, float64 (customers,).

        Each counts by ``discount``, a continuous rate per day.
        """
        count = days // self.contracts.terms.earliest + 2
        weights, place = self._weigh_renewals(days, discount, count)
        number, row = np.unique(self.contracts.number, return_inverse=True)
        later = np.arange(1, count)[None, :] + number[:, None]
        rates = self.rates.predict_rates(later.ravel()).reshape(later.shape)
        stays = np.column_stack([np.ones(len(number)), rates.cumprod(axis=1)])
        pair, back = np.unique(row * len(weights) + place, return_inverse=True)
        sums = (stays[pair // len(weights)] * weights[pair % len(weights)]).sum(axis=1)
        expected: np.ndarray = self.renews * sums[back]
        return expected

    def _weigh_renewals(
        self, days: int, discount: float, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the discounted chance of being within the days by silence, (silences, count).

        Column j is that of the renewal j + 1, if the contract is renewed so often. The second array
        is the row of each customer.
        """
        terms, delays = self.contracts.terms, self.delays
        time = np.exp(-discount * np.arange(days))
        # By the day of the first renewal: the weight of the first, the second, and so on.
        weights, ahead = [time], terms.period + delays.first
        while len(weights) < count:
            after = np.append(weights[-1][ahead:], np.zeros(len(delays.chance) + ahead))
            weights.append(np.correlate(after, delays.chance)[:days])
        silence, place = np.unique(self.silent, return_inverse=True)
        late = silence[:, None] + np.arange(days) - delays.first
        inside = (late >= 0) & (late < len(delays.chance))
        first = np.where(inside, delays.chance[np.clip(late, 0, len(delays.chance) - 1)], 0.0)
        first /= delays.predict_later(silence)[:, None]
        return first @ np.array(weights).T, place
