"""Sample weights: equal total weight for each entity, and decay with age."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from configs.learning import Learning
from features.tools.instants import MICROSECOND
from features.tools.supported_span import find_supported_span


def compute_sample_weights(
    entity_id: np.ndarray, cutoff: np.ndarray, learning: Learning
) -> np.ndarray | None:
    """Return the weight of each train row, 1 on average; None where all rows weigh alike.

    ``entity_id`` (text) and ``cutoff`` (int64 microseconds UTC) are those of the train rows and of
    no others, so that tested rows have no influence on their age. With both kinds of weights they
    are multiplied: the weight of an entity is spread over its rows, and decays with their age.
    """
    if not learning.one_vote and learning.recency_half_life is None:
        return None
    weight = weigh_entities_equally(entity_id) if learning.one_vote else np.ones(len(entity_id))
    if learning.recency_half_life is not None:
        weight = weight * weigh_by_recency(cutoff, learning.recency_half_life)
    return weight / weight.mean()


def weigh_entities_equally(entity_id: np.ndarray) -> np.ndarray:
    """Return weights (rows,) that sum to 1 over the rows of each entity, however many they are.

    An entity that stays open for long has many rows that say much the same. With equal weights per
    row it would dominate.
    """
    _, entity, rows = np.unique(entity_id.astype(str), return_inverse=True, return_counts=True)
    return 1.0 / rows[entity]


def weigh_by_recency(cutoff: np.ndarray, half_life: timedelta | float) -> np.ndarray:
    """Return ``2 ** (-age / half_life)``; the age is the time from a row's cutoff to the latest.

    A number is a share of the time from the first to the latest cutoff; where the order of rows
    stands for time, a share of the rows. Exponential forgetting: Klinkenberg, "Learning drifting
    concepts", Intelligent Data Analysis 8 (2004).
    """
    age = (cutoff.max() - cutoff).astype(np.float64)
    first, end = find_supported_span(cutoff)
    # A single early row must not stretch the half-life. Where all rows have one cutoff, every age
    # is 0 and any span gives them equal weights.
    span = float(end - 1 - first) or 1.0
    length = half_life / MICROSECOND if isinstance(half_life, timedelta) else half_life * span
    return np.exp2(-age / length)
