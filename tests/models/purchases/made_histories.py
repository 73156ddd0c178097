"""Histories for tests: made ones, simulated ones, and those of the CDNOW cohort."""

from __future__ import annotations

import numpy as np

from models.purchases.histories import PurchaseHistories


def make_histories(*rows: tuple[float, float, float]) -> PurchaseHistories:
    """Return histories of rows (repeats, last, age), all with purchases of 10 each."""
    repeats, last, age = np.array(rows, float).T
    number = np.arange(len(repeats))
    return PurchaseHistories(number, repeats, last, age, repeats + 1, np.full(len(repeats), 10.0))


def simulate_counts(
    rate: np.ndarray, life: np.ndarray, ages: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return repeats and last purchase by each age, and repeats in as long a time again.

    Purchases are a Poisson stream until ``life``; all are float64 (customers,).
    """
    repeats, last, later = (np.zeros(len(rate)) for _ in range(3))
    time = generator.exponential(1 / rate)
    while (live := time < np.minimum(life, 2 * ages)).any():
        early = live & (time < ages)
        repeats += early
        last = np.where(early, time, last)
        later += live & ~early
        time = np.where(live, time + generator.exponential(1 / rate), np.inf)
    return repeats, last, later
