"""Chances of renewal by the number of the period: the model, and the simple rates it must beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np
from scipy.special import expit

from models.contracts.status import RenewalDecisions
from models.purchases.parameters import FittedLogs
from models.purchases.shifted_beta_geometric import (
    ShiftedBetaGeometric,
    fit_shifted_beta_geometric,
)

SAME_FOR_ALL = "same_for_all"
BY_PERIOD = "by_period"
SBG = "shifted_beta_geometric"


class RenewalRates(Protocol):
    """Chances of renewal."""

    def predict_rates(self, number: np.ndarray) -> np.ndarray:
        """Return the chance of renewal at the end of the periods with these numbers, from 1."""

    def list_parameters(self) -> Mapping[str, float]:
        """Return the parameters by name."""

    def list_errors(self) -> Iterator[tuple[RenewalRates, RenewalRates]]:
        """Yield the chances a standard error up and down in each of independent directions."""


@dataclass(frozen=True)
class SameRate:
    """The same chance of renewal for all.

    Attributes:
        rate: The chance.
        count: Decisions that it was measured on.
    """

    rate: float
    count: float

    def predict_rates(self, number: np.ndarray) -> np.ndarray:
        """Return the chance, for each number."""
        return np.full(len(number), self.rate)

    def list_parameters(self) -> Mapping[str, float]:
        """Return the chance."""
        return {"rate": self.rate}

    def list_errors(self) -> Iterator[tuple[RenewalRates, RenewalRates]]:
        """Yield the chance a standard error up and down."""
        high, low = _vary_share(self.rate, self.count)
        yield replace(self, rate=high), replace(self, rate=low)


@dataclass(frozen=True)
class PeriodRates:
    """The share of renewals so far, by the number of the period.

    Attributes:
        rates: The share at the end of period 1, 2, …, float64 (periods,).
        counts: Decisions that each share was measured on, float64 (periods,).
        all_rates: The share of all, for periods that nobody has reached.
    """

    rates: np.ndarray
    counts: np.ndarray
    all_rates: SameRate

    def predict_rates(self, number: np.ndarray) -> np.ndarray:
        """Return the share of each number."""
        known = np.append(self.rates, self.all_rates.rate)
        shares: np.ndarray = known[np.minimum(number - 1, len(self.rates))]
        return shares

    def list_parameters(self) -> Mapping[str, float]:
        """Return the share of each period, and that of all."""
        shares = {f"period_{place}": float(rate) for place, rate in enumerate(self.rates, 1)}
        return shares | {"beyond": self.all_rates.rate}

    def list_errors(self) -> Iterator[tuple[RenewalRates, RenewalRates]]:
        """Yield the shares with that of one period a standard error up and down."""
        for place, (rate, count) in enumerate(zip(self.rates, self.counts, strict=True)):
            both = []
            for share in _vary_share(float(rate), float(count)):
                rates = self.rates.copy()
                rates[place] = share
                both.append(replace(self, rates=rates))
            yield both[0], both[1]


@dataclass(frozen=True)
class TenureRates:
    """The shifted beta-geometric model: chances of renewal rise, because doubtful customers leave.

    Attributes:
        model: The model.
        fit: Its parameters with their errors.
    """

    model: ShiftedBetaGeometric
    fit: FittedLogs

    def predict_rates(self, number: np.ndarray) -> np.ndarray:
        """Return the chance of a customer who has renewed one time less than its periods."""
        return self.model.predict_renewal(number - 1, np.ones(len(number)))

    def list_parameters(self) -> Mapping[str, float]:
        """Return both parameters."""
        return asdict(self.model)

    def list_errors(self) -> Iterator[tuple[RenewalRates, RenewalRates]]:
        """Yield the chances a standard error up and down along the axes of the covariance."""
        values, vectors = np.linalg.eigh(self.fit.covariance)
        for step in (vectors * np.sqrt(np.maximum(values, 0))).T:
            models = [ShiftedBetaGeometric.from_logs(self.fit.logs + s) for s in (step, -step)]
            yield replace(self, model=models[0]), replace(self, model=models[1])


def fit_renewal_rates(decisions: RenewalDecisions) -> dict[str, RenewalRates]:
    """Return all chances by name, the simplest first."""
    kept, total = decisions.kept, decisions.kept + decisions.lost
    # One renewal and one loss more than were seen, so that nothing is certain.
    rate = float((kept.sum() + 1) / (total.sum() + 2))
    # Customers who renewed a period and whose next renewal is not decided.
    last_kept = kept - np.append(total[1:], 0)
    fit = fit_shifted_beta_geometric(decisions.lost, last_kept)
    same = SameRate(rate, float(total.sum() + 2))
    return {
        SAME_FOR_ALL: same,
        BY_PERIOD: PeriodRates((kept + rate) / (total + 1), total + 1.0, same),
        SBG: TenureRates(ShiftedBetaGeometric.from_logs(fit.logs), fit),
    }


def _vary_share(share: float, count: float) -> tuple[float, float]:
    """Return a share a standard error up and down, in log-odds."""
    error = 1 / np.sqrt(count * share * (1 - share))
    odds = np.log(share / (1 - share))
    return float(expit(odds + error)), float(expit(odds - error))
