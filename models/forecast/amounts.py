"""What a win is worth, for each lead."""

from __future__ import annotations

import numpy as np

from models.forecast.deal_model import DealAttributes
from models.forecast.draws import DealAmounts
from models.learners.amount_model import AmountModel, AmountRows


def learn_amounts(
    attributes: DealAttributes,
    lead: np.ndarray,
    amount: np.ndarray,
    order: np.ndarray,
    cluster: np.ndarray,
) -> DealAmounts | None:
    """Return the amounts to expect of all leads, from those of the wins so far.

    ``lead``, ``amount`` and ``order`` (rising with time) have one element per win; ``cluster`` one
    per lead. Returns None where no win has an amount.
    """
    known = np.isfinite(amount)
    lead, amount, order = lead[known], amount[known], order[known]
    rows = AmountRows(
        attributes.columns[lead], amount, lead.astype(str), order, cluster[lead].astype(str)
    )
    model = AmountModel.fit(rows, list(attributes.categorical))
    if model is None:
        return None
    expected = model.predict_amounts(attributes.columns)
    return DealAmounts(expected, _measure_spread(amount, expected[lead]), amount)


def take_known_amounts(value: np.ndarray, won: np.ndarray) -> DealAmounts | None:
    """Return the amounts of leads that are known; where one is missing, the mean of the others.

    ``won`` are the leads of the wins so far. Returns None where none is known.
    """
    known = np.isfinite(value)
    if not known.any():
        return None
    past = value[won][known[won]]
    return DealAmounts(np.where(known, value, value[known].mean()), 0.0, past)


def _measure_spread(amount: np.ndarray, expected: np.ndarray) -> float:
    """Return the standard deviation of amounts around their expectation, as a share of it."""
    usable = expected > 0
    return float(np.std(amount[usable] / expected[usable])) if usable.any() else 0.0
