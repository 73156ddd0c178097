"""Credit by rule: each conversion is split among the touches of its journey by their places."""

from __future__ import annotations

import numpy as np

from models.channels.journeys import Journeys


def credit_first(journeys: Journeys) -> np.ndarray:
    """Return the credit where the first touch gets all, float64 (BUCKETS, channels)."""
    return _credit_touches(journeys, journeys.first[:-1])


def credit_last(journeys: Journeys) -> np.ndarray:
    """Return the credit where the last touch gets all, float64 (BUCKETS, channels)."""
    return _credit_touches(journeys, journeys.first[1:] - 1)


def credit_linear(journeys: Journeys) -> np.ndarray:
    """Return the credit where all touches get the same, float64 (BUCKETS, channels)."""
    return _split_by_weight(journeys, np.ones(len(journeys.channel)))


def credit_time_decay(journeys: Journeys, half_life_days: float) -> np.ndarray:
    """Return the credit where a touch gets half of that of one a half-life later.

    Float64 (BUCKETS, channels). Raises ValueError where the touches have no times.
    """
    if journeys.days_before is None:
        raise ValueError("touches without times cannot be weighted by time")
    # Relative to the last touch, so that no weight of an old journey underflows.
    last = journeys.days_before[journeys.first[1:] - 1] if len(journeys.sizes) else np.empty(0)
    age = journeys.days_before - np.repeat(last, journeys.sizes)
    return _split_by_weight(journeys, np.exp2(-age / half_life_days))


def credit_position(journeys: Journeys, ends: tuple[float, float]) -> np.ndarray:
    """Return the credit where first and last touch get the shares ``ends``, the others the rest.

    Float64 (BUCKETS, channels). With two touches, or without a rest, the shares are scaled to one;
    a single touch gets all.
    """
    size = journeys.sizes
    place = np.arange(len(journeys.channel)) - np.repeat(journeys.first[:-1], size)
    count = np.repeat(size, size)
    rest = (1 - sum(ends)) / np.maximum(count - 2, 1)
    weight = np.where(place == 0, ends[0], np.where(place == count - 1, ends[1], rest))
    # Both ends may have no share: then two touches are alike.
    few = np.where(count == 1, 1.0, 1.0 if sum(ends) == 0 else weight)
    return _split_by_weight(journeys, np.where(count <= 2, few, weight))


def _credit_touches(journeys: Journeys, touch: np.ndarray) -> np.ndarray:
    journey = np.arange(len(touch))
    return journeys.sum_by_bucket(journey, journeys.channel[touch], journeys.conversions)


def _split_by_weight(journeys: Journeys, weight: np.ndarray) -> np.ndarray:
    total = np.bincount(journeys.journey, weight, len(journeys.sizes))
    share = weight / total[journeys.journey] * journeys.conversions[journeys.journey]
    return journeys.sum_by_bucket(journeys.journey, journeys.channel, share)
