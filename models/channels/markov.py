"""Removal effects of channels in a first-order Markov chain, exact by linear algebra.

A journey is a walk from the start through its channels to a conversion or to none. Without a
channel every walk that would enter it ends without a conversion; the share of conversions that is
lost is its removal effect. Credits are the conversions, split in proportion to the effects.

Source: Anderl, Becker, von Wangenheim and Schumann, "Mapping the customer journey", *International
Journal of Research in Marketing* 33 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.channels.journeys import Journeys
from models.survival.stays import BUCKETS

# States after those of the channels; `start` is no target and both ends are no source.
START, CONVERSION, NULL = 0, 1, 2
END_STATES = 3


@dataclass(frozen=True)
class MarkovChain:
    """Probability of a conversion, and what each channel's removal takes from it.

    The first axes are those of the counts, such as replicates.

    Attributes:
        probability: Probability of a conversion from the start, float64 (…).
        effect: Share of it that is lost without each channel, float64 (…, channels).
    """

    probability: np.ndarray
    effect: np.ndarray

    def split(self, conversions: np.ndarray) -> np.ndarray:
        """Return conversions (…) split in proportion to the effects, float64 (…, channels)."""
        total = self.effect.sum(-1, keepdims=True)
        shares = np.divide(self.effect, total, np.zeros_like(self.effect), where=total > 0)
        return shares * np.asarray(conversions)[..., None]


def count_transitions(journeys: Journeys) -> np.ndarray:
    """Return the steps between states by bucket, float64 (BUCKETS, states, states).

    The states are the channels, then start, conversion and null.
    """
    width = len(journeys.channels) + END_STATES
    start, conversion, null = (width - END_STATES + place for place in (START, CONVERSION, NULL))
    weight = journeys.conversions + journeys.nulls
    entry, last = journeys.channel[journeys.first[:-1]], journeys.channel[journeys.first[1:] - 1]
    # Every touch but the last of its journey leads to the next one.
    inner = np.ones(len(journeys.channel), bool)
    inner[journeys.first[1:] - 1] = False
    source = np.flatnonzero(inner)
    rows = np.arange(len(weight))
    parts = [
        (rows, np.full(len(rows), start), entry, weight),
        (journeys.journey[source], journeys.channel[source], journeys.channel[source + 1], None),
        (rows, last, np.full(len(rows), conversion), journeys.conversions),
        (rows, last, np.full(len(rows), null), journeys.nulls),
    ]
    counts = np.zeros(BUCKETS * width * width)
    for journey, before, after, count in parts:
        cell = (journeys.bucket[journey] * width + before) * width + after
        own = weight[journey] if count is None else count
        counts += np.bincount(cell, own, len(counts))
    return counts.reshape(BUCKETS, width, width)


def solve_chain(counts: np.ndarray) -> MarkovChain:
    """Return the chain of counts (…, states, states), as of ``count_transitions``.

    A state that nothing leaves does not convert.
    """
    channels = counts.shape[-1] - END_STATES
    total = counts.sum(-1, keepdims=True)
    steps = np.divide(counts, total, np.zeros_like(counts, dtype=float), where=total > 0)
    inner, start = steps[..., :channels, :channels], steps[..., channels + START, :channels]
    ends = steps[..., :channels, channels + CONVERSION]
    # Expected visits of each channel, from each channel.
    visits = np.linalg.inv(np.eye(channels) - inner)
    chance = (visits @ ends[..., None])[..., 0]
    entered = (start[..., None, :] @ visits)[..., 0, :]
    whole = (start * chance).sum(-1)
    # A walk that ever enters a channel converts with the chance that the channel has: without the
    # channel exactly these conversions are lost.
    lost = entered / np.diagonal(visits, axis1=-2, axis2=-1) * chance
    effect = np.divide(lost, whole[..., None], np.zeros_like(lost), where=whole[..., None] > 0)
    return MarkovChain(whole, effect)
