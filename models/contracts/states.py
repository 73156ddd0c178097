"""States of customers with contracts, after the same curve as those without."""

from __future__ import annotations

import numpy as np

from models.contracts.status import ContractsAt
from models.customers.states import RISK, CustomerDays, StateSigns, select_states


def classify_contracts(
    contracts: ContractsAt,
    days: CustomerDays,
    renews: np.ndarray | None,
    advocates: np.ndarray,
    onboarding: int,
) -> np.ndarray:
    """Return the state of each customer before the day of the contracts, a place in STATES, int64.

    ``renews`` is the chance that the open renewal is paid, if it is known; ``onboarding`` the days
    for which a customer is new. A customer in grace is at risk.
    """
    doubtful = np.zeros(len(advocates), bool) if renews is None else renews < 1 - RISK
    signs = StateSigns(
        contracts.has_left,
        advocates,
        (contracts.contract > 1) & (contracts.number == 1),
        contracts.end - 1 - days.first < onboarding,
        contracts.in_grace | doubtful,
    )
    return select_states(signs)
