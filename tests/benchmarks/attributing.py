"""Credits of the channels of a large company, step by step; prints one JSON object.

Arguments: the number of journeys. They have five touches of eight channels on average.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from models.channels.credits import CreditRules, estimate_credits
from models.channels.journeys import Journeys
from models.survival.stays import BUCKETS

CHANNELS = tuple(f"channel_{place}" for place in range(8))
Result = TypeVar("Result")


def main(size: int) -> None:
    """Measure the credits of ``size`` journeys."""
    account, day, channel, converted = simulate_touches(size, np.random.default_rng(1))
    found: dict[str, object] = {"journeys": size, "touches": len(channel)}

    def measure(name: str, step: Callable[[], Result]) -> Result:
        wall, processor = time.perf_counter(), time.process_time()
        result = step()
        found[name] = {
            "wall": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
        }
        return result

    # What every attribution does first: the touches of an account in the order of time.
    order = measure("sort", lambda: np.lexsort((day, account)))
    last = np.zeros(size)
    np.maximum.at(last, account, day)
    first = np.concatenate([[0], np.cumsum(np.bincount(account, minlength=size))])
    journeys = Journeys(
        CHANNELS,
        channel[order],
        first,
        converted,
        1 - converted,
        np.arange(size) % BUCKETS,
        (last[account] - day)[order],
    )
    credits = measure("credits", lambda: estimate_credits(journeys, CreditRules()))
    found["off"] = max(
        abs(float(credit.value.sum()) - credits.conversions)
        for credit in credits.by_method.values()
    )
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(found))


def simulate_touches(
    size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return account, day and channel of each touch in random order, and who converts."""
    account = np.repeat(np.arange(size), generator.geometric(0.2, size))
    account = generator.permutation(account)
    shares = np.arange(1, len(CHANNELS) + 1) / 36
    channel = generator.choice(len(CHANNELS), len(account), p=shares)
    converted = (generator.random(size) < 0.1).astype(float)
    return account, generator.uniform(0, 90, len(account)), channel, converted


if __name__ == "__main__":
    main(int(sys.argv[1]))
