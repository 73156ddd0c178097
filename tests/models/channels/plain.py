"""Credits by plain loops over journeys: oracles of the tests."""

import itertools
import math

import numpy as np

from models.channels.journeys import Journeys


def make_journeys(paths, conversions, nulls, days=None):
    """Return journeys of lists of channels; ``days`` are those before the end of each touch."""
    base = Journeys.from_paths(paths, np.array(conversions), np.array(nulls))
    if days is None:
        return base
    flat = np.array([day for row in days for day in row], float)
    rows = (base.channel, base.first, base.conversions, base.nulls, base.bucket)
    return Journeys(base.channels, *rows, flat)


def credit_by_rule(name, paths, conversions, days=None, half_life=7.0, ends=(0.4, 0.4)):
    """Return the credit of each channel by a rule, a journey and a touch at a time."""
    credit = dict.fromkeys(sorted({name for path in paths for name in path}), 0.0)
    for row, (path, converted) in enumerate(zip(paths, conversions, strict=True)):
        weights = []
        for place in range(len(path)):
            if name == "first":
                weight = float(place == 0)
            elif name == "last":
                weight = float(place == len(path) - 1)
            elif name == "linear":
                weight = 1.0
            elif name == "time_decay":
                weight = 0.5 ** (days[row][place] / half_life)
            elif len(path) == 1:
                weight = 1.0
            elif place in (0, len(path) - 1):
                weight = ends[0] if place == 0 else ends[1]
                weight = weight if sum(ends) or len(path) > 2 else 1.0
            else:
                weight = (1 - sum(ends)) / (len(path) - 2)
            weights.append(weight)
        for channel, weight in zip(path, weights, strict=True):
            credit[channel] += converted * weight / sum(weights)
    return credit


def shapley_by_orders(paths, conversions):
    """Return the mean marginal contribution of each channel over all orders of the channels."""
    channels = sorted({name for path in paths for name in path})

    def bring(members):
        rows = zip(paths, conversions, strict=True)
        return sum(count for path, count in rows if set(path) <= set(members))

    credit = dict.fromkeys(channels, 0.0)
    for order in itertools.permutations(channels):
        for place, channel in enumerate(order):
            credit[channel] += bring(order[: place + 1]) - bring(order[:place])
    return {name: total / math.factorial(len(channels)) for name, total in credit.items()}


def convert_by_powers(paths, conversions, nulls, without=None):
    """Return the chance of a conversion by stepping the chain until nobody is left in it."""
    counts = {}
    for path, yes, no in zip(paths, conversions, nulls, strict=True):
        states = ["(start)", *path]
        for before, after in itertools.pairwise(states):
            counts.setdefault(before, {}).setdefault(after, 0)
            counts[before][after] += yes + no
        for end, count in (("(conversion)", yes), ("(null)", no)):
            counts.setdefault(path[-1], {}).setdefault(end, 0)
            counts[path[-1]][end] += count
    here, converted = {"(start)": 1.0}, 0.0
    while sum(here.values()) > 1e-15:
        after = {}
        for state, mass in here.items():
            total = sum(counts[state].values())
            for target, count in counts[state].items():
                moved = mass * count / total if total else 0.0
                if target == "(conversion)":
                    converted += moved
                elif target not in ("(null)", without):
                    after[target] = after.get(target, 0.0) + moved
        here = after
    return converted
