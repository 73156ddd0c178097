"""Customers of a large company, step by step; prints one JSON object.

Arguments: the number of customers. They come within a year and buy about ten times each within
three, at gamma distributed rates, until they leave.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from configs.customers.customers import Customers
from models.customers.past_accuracy import choose_purchases
from models.customers.tree_trial import correct_by_trees
from models.customers.trees import CustomerTraits
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from pipelines.customers.values import predict_values

DAYS = 1_095
Result = TypeVar("Result")


def main(size: int) -> None:
    """Measure the steps of the customers of ``size`` customers."""
    customer, day, margin = simulate_purchases(size, np.random.default_rng(1))
    found: dict[str, object] = {"customers": size, "purchases": len(day)}

    def measure(name: str, step: Callable[[], Result]) -> Result:
        wall, processor = time.perf_counter(), time.process_time()
        result = step()
        found[name] = {
            "wall": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
        }
        return result

    # What every such analysis does first: sort by customer and day, and add up.
    floor = measure("sort", lambda: merge_days(customer, day, margin))
    values = measure("fit and predict", lambda: value_customers(floor))
    found["value"] = values
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(found))


def value_customers(purchases: Purchases) -> float:
    """Return the value of all customers, by the model that the past has chosen."""
    histories = summarize_purchases(purchases, DAYS)
    chosen = choose_purchases(purchases, DAYS, DAYS)
    assert chosen is not None
    traits = CustomerTraits(np.empty((len(histories), 0)), [])
    correction = correct_by_trees(purchases, traits, DAYS, chosen.fitted, chosen.margins)
    seeds, config = histories.customer.astype(np.uint32), Customers(purchases=("order",))
    values = predict_values(chosen, histories, config, seeds, correction)
    return float(values.value.sum())


def simulate_purchases(
    size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return customers, days and margins of purchases, in random order."""
    first = generator.uniform(0, DAYS / 3, size)
    rate = generator.gamma(0.8, 1 / 40, size)
    life = generator.exponential(1 / generator.gamma(0.8, 0.004 / 0.8, size))
    customer, day = [np.arange(size)], [first]
    rows, time_of = np.arange(size), first + generator.exponential(1 / rate)
    while len(rows):
        live = (time_of < DAYS) & (time_of < first[rows] + life[rows])
        rows, time_of = rows[live], time_of[live]
        customer.append(rows)
        day.append(time_of)
        time_of = time_of + generator.exponential(1 / rate[rows])
    number, when = np.concatenate(customer), np.concatenate(day).astype(np.int64)
    order = generator.permutation(len(number))
    return number[order], when[order], generator.gamma(3, 10, len(number))


if __name__ == "__main__":
    main(int(sys.argv[1]))
