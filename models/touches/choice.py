"""Choice of the channel of a next touch, and the stop rule.

The net value of a touch is ``p_reply · value of a reply − cost − p_opt_out · harm of an opt-out``.
Where it is below zero for every channel, the lead is touched no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.touches.hazard import TouchOutcomes, TouchRates


@dataclass(frozen=True)
class TouchValues:
    """What touches cost and bring.

    Attributes:
        cost: Cost of a touch of each channel, float64 (channels,); NaN where it is not known.
        reply_value: Value of a reply; None without one, and then nothing stops a touch.
        opt_out_harm: What is lost with an opt-out.
    """

    cost: np.ndarray
    reply_value: float | None
    opt_out_harm: float


@dataclass(frozen=True)
class TouchChances:
    """Chances of a touch by channel and number, the axes of all arrays but ``opt_out``.

    Attributes:
        channels: Numbers of the channels that have figures and a cost, int64 (choices,).
        reply: Rates of the pool that each chance is taken from, each (choices, numbers).
        first: Lowest touch number of that pool, int64.
        is_single: Whether the pool is of that number alone; else of it and all later ones.
        opt_out: Chance of an opt-out of each channel, float64 (choices,).
    """

    channels: np.ndarray
    reply: TouchRates
    first: np.ndarray
    is_single: np.ndarray
    opt_out: np.ndarray


@dataclass(frozen=True)
class TouchChoice:
    """The best touch of each number, one element per number from 1 on.

    Attributes:
        place: Place of the channel among the choices, int64.
        net_value: What the touch is worth less what it costs, float64; NaN without a reply value.
        stops: Whether the stop rule forbids it.
    """

    place: np.ndarray
    net_value: np.ndarray
    stops: np.ndarray


def estimate_chances(
    outcomes: TouchOutcomes, values: TouchValues, max_number: int, min_at_risk: int
) -> TouchChances:
    """Return the chances by channel and number, of channels with enough touches at risk.

    A number with too few of a channel takes the pool of the numbers from j on, where j is the
    largest up to it with enough.
    """
    size = np.bincount(outcomes.channel, minlength=len(values.cost))[: len(values.cost)]
    channels = np.flatnonzero((size >= min_at_risk) & np.isfinite(values.cost))
    place = np.full(len(values.cost), -1)
    place[channels] = np.arange(len(channels))
    row = place[outcomes.channel]
    cells = (len(channels), max_number)
    cell = np.where(row >= 0, row * max_number + outcomes.number - 1, -1)
    single = outcomes.estimate_replies(cell, len(channels) * max_number)
    pooled = [
        outcomes.estimate_replies(np.where(outcomes.number > j, row, -1), len(channels))
        for j in range(max_number)
    ]
    enough = single.size.reshape(cells) >= min_at_risk
    tail = np.array([rates.size for rates in pooled]).T.reshape(cells) >= min_at_risk
    # The pool from number 1 on is all of the channel, so each number has one.
    first = np.maximum.accumulate(np.where(tail, np.arange(max_number), 0), axis=1)
    own = np.arange(max_number)[None, :]
    take = np.arange(len(channels))[:, None]

    def choose(name: str) -> np.ndarray:
        stacked = np.array([getattr(rates, name) for rates in pooled]).T.reshape(cells)
        result: np.ndarray = np.where(
            enough, getattr(single, name).reshape(cells), stacked[take, first]
        )
        return result

    reply = TouchRates(*(choose(name) for name in ("size", "count", "rate", "low", "high")))
    opt_out = outcomes.estimate_opt_outs(row, len(channels)).rate
    return TouchChances(channels, reply, np.where(enough, own, first) + 1, enough, opt_out)


def choose_touches(chances: TouchChances, values: TouchValues) -> TouchChoice:
    """Return the best touch of each number; raise ValueError if no channel has a chance.

    With a value of a reply the best has the highest net value, else the highest chance of a reply;
    of equal ones it is the first channel.
    """
    if not len(chances.channels):
        raise ValueError("no channel has a chance of a reply")
    rate = chances.reply.rate
    if values.reply_value is None:
        place = np.argmax(rate, axis=0)
        return TouchChoice(place, np.full(rate.shape[1], np.nan), np.zeros(rate.shape[1], bool))
    loss = values.cost[chances.channels] + chances.opt_out * values.opt_out_harm
    net = rate * values.reply_value - loss[:, None]
    place = np.argmax(net, axis=0)
    best = np.take_along_axis(net, place[None], axis=0)[0]
    return TouchChoice(place, best, best < 0)
