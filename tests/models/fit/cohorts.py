"""Made-up cohorts: attributes by name, and what the units brought."""

import numpy as np
import pyarrow as pa

from models.fit.cohort import EntryCohort
from models.fit.entry_values import divide_values


def make_columns(units, seed, names=("industry", "country", "size")):
    """Return categories and numbers that are drawn at random."""
    random = np.random.default_rng(seed)
    columns = {}
    for name in names[:-1]:
        texts = [f"{name[0]}{number}" for number in range(6)]
        drawn = random.choice([*texts, None], units, p=[0.3, 0.25, 0.15, 0.1, 0.07, 0.03, 0.1])
        columns[name] = pa.array(drawn.tolist(), pa.string())
    number = random.lognormal(4, 1, units)
    columns[names[-1]] = pa.array(np.where(random.random(units) < 0.1, np.nan, number))
    return columns


def make_cohort(columns, seed, rate=0.15, valued=False, factors=None):
    """Return a cohort of these units, and their values.

    ``factors`` multiply the chance of units that have a category, by (attribute, category).
    """
    random = np.random.default_rng(seed + 1000)
    units = len(next(iter(columns.values())))
    chance = np.full(units, rate)
    for (name, value), factor in (factors or {}).items():
        chance *= np.where(np.array(columns[name].to_pylist()) == value, factor, 1.0)
    is_customer = random.random(units) < chance
    # A few deals are worth most of all.
    amount = random.lognormal(8, 1.5, units)
    value = np.where(is_customer, amount, 0.0) if valued else None
    cluster = random.integers(0, 2**63, units).astype(np.uint64)
    cohort = EntryCohort(cluster, is_customer, value)
    return cohort, divide_values(columns, np.arange(units))
