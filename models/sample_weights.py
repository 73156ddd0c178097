"""How much each row counts when a learner learns: one lead one vote, and the newer the more."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from configs.durations import MICROSECOND
from configs.learning import Learning


def weights(entity_id: np.ndarray, cutoff: np.ndarray, learning: Learning) -> np.ndarray | None:
    """Return the weight of each row learnt from, on average 1; None where all count alike.

    ``entity_id`` (text) and ``cutoff`` (int64 microseconds UTC) are those of the rows learnt from and of no others: a
    tested row has no say in how old they are. With both kinds of weight they are multiplied: the one vote of an entity
    is spread over its rows, and fades with their age.
    """
    if not learning.one_vote and learning.recency_half_life is None:
        return None
    weight = one_vote(entity_id) if learning.one_vote else np.ones(len(entity_id))
    if learning.recency_half_life is not None:
        weight = weight * recency(cutoff, learning.recency_half_life)
    return weight / weight.mean()


def one_vote(entity_id: np.ndarray) -> np.ndarray:
    """Return weights such that the rows of each entity share 1 evenly, however many they are.

    An entity that stays open for long has many rows that say much the same; alike, it would be heard the loudest.
    """
    _, entity, rows = np.unique(entity_id.astype(str), return_inverse=True, return_counts=True)
    return 1.0 / rows[entity]


def recency(cutoff: np.ndarray, half_life: timedelta | float) -> np.ndarray:
    """Return ``2 ** (-age / half_life)``, where age is the time from a row's cutoff to the latest one.

    A number is a share of the time from the first to the latest cutoff; where the order of rows stands for time, of
    the rows. Exponential forgetting: Klinkenberg, "Learning drifting concepts", Intelligent Data Analysis 8 (2004).
    """
    age = (cutoff.max() - cutoff).astype(np.float64)
    whole = float(age.max()) or 1.0
    length = half_life / MICROSECOND if isinstance(half_life, timedelta) else half_life * whole
    return np.exp2(-age / length)
