"""Credits of channels by every method, with 90 % intervals by a bootstrap of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.channels.journeys import Journeys
from models.channels.markov import MarkovChain, count_transitions, solve_chain
from models.channels.rule_credits import (
    credit_first,
    credit_last,
    credit_linear,
    credit_position,
    credit_time_decay,
)
from models.channels.shapley import credit_shapley
from models.survival.bootstrap import REPLICATES, draw_weights, find_interval
from models.survival.stays import BUCKETS

METHODS = ("first", "last", "linear", "time_decay", "position", "markov", "shapley")


@dataclass(frozen=True)
class CreditRules:
    """Rules with a choice.

    Attributes:
        half_life_days: A touch this long before another one gets half of its credit.
        ends: Shares of the first and of the last touch.
    """

    half_life_days: float = 7.0
    ends: tuple[float, float] = (0.4, 0.4)


@dataclass(frozen=True)
class Credit:
    """Conversions credited to each channel by one method, float64 (channels,).

    Attributes:
        value: The credit; all channels add up to the conversions.
        low: 5 % quantile over replicates.
        high: 95 % quantile over them.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class ChannelCredits:
    """Credits of all channels.

    Attributes:
        channels: Names of the channels.
        by_method: Credit by method; without ``time_decay`` where the touches have no times.
        touches: Touches of each channel, int64 (channels,).
        journeys: Journeys that each channel touched, int64 (channels,).
        conversions: Conversions of all journeys.
        nulls: Journeys without a conversion.
        probability: Probability of a conversion in the Markov chain.
        transitions: Steps between the channels, start, conversion and null, float64.
    """

    channels: tuple[str, ...]
    by_method: Mapping[str, Credit]
    touches: np.ndarray
    journeys: np.ndarray
    conversions: float
    nulls: float
    probability: float
    transitions: np.ndarray


def estimate_credits(
    journeys: Journeys, rules: CreditRules, replicates: int = REPLICATES
) -> ChannelCredits:
    """Return the credits of all channels.

    All counts are sums by bucket of accounts, so those of shards add up, and a replicate weighs
    the buckets.
    """
    weights = np.concatenate([np.ones((1, BUCKETS)), draw_weights(replicates)])
    drawn = {name: weights @ sums for name, sums in _sum_rules(journeys, rules).items()}
    ended = np.bincount(journeys.bucket, journeys.conversions, BUCKETS)
    transitions = count_transitions(journeys)
    chain = _draw_chains(transitions, weights)
    drawn["markov"] = chain.split(weights @ ended)
    journey, channel = journeys.distinct
    count = journeys.conversions + journeys.nulls
    width = len(journeys.channels)
    return ChannelCredits(
        journeys.channels,
        {name: _summarize_draws(drawn[name]) for name in METHODS if name in drawn},
        np.bincount(journeys.channel, count[journeys.journey], width).round().astype(np.int64),
        np.bincount(channel, count[journey], width).round().astype(np.int64),
        float(journeys.conversions.sum()),
        float(journeys.nulls.sum()),
        float(chain.probability[0]),
        transitions.sum(0),
    )


def _sum_rules(journeys: Journeys, rules: CreditRules) -> dict[str, np.ndarray]:
    """Return the credits that are sums over journeys, by method, float64 (BUCKETS, channels)."""
    sums = {
        "first": credit_first(journeys),
        "last": credit_last(journeys),
        "linear": credit_linear(journeys),
        "position": credit_position(journeys, rules.ends),
        "shapley": credit_shapley(journeys),
    }
    if journeys.days_before is not None:
        sums["time_decay"] = credit_time_decay(journeys, rules.half_life_days)
    return sums


def _draw_chains(transitions: np.ndarray, weights: np.ndarray) -> MarkovChain:
    """Return the chain of each row of weights; the first row is that of all journeys."""
    states = transitions.shape[-1]
    counts = weights @ transitions.reshape(BUCKETS, -1)
    return solve_chain(counts.reshape(-1, states, states))


def _summarize_draws(drawn: np.ndarray) -> Credit:
    low, high = find_interval(drawn[1:])
    return Credit(drawn[0], low, high)
