"""The profile and the classes of fit as tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.fit.classes import CLASSES, ClassLimits
from models.fit.cohort import EntryCohort
from models.fit.entry_values import EntryValues
from models.fit.profile import ProfileFit
from models.fit.schemas import FIT_CLASSES, FIT_PROFILE
from models.survival.bootstrap import (
    BUCKETS,
    REPLICATES,
    draw_weights,
    find_interval,
    widen_at_bounds,
)


def build_profile_table(
    fit: ProfileFit | None, cohort: EntryCohort, values: EntryValues, rows: np.ndarray
) -> pa.Table:
    """Return FIT_PROFILE, the highest lift first; empty without a profile.

    ``rows`` are the cohort's units among those of ``values``.
    """
    if fit is None:
        return FIT_PROFILE.empty_table()
    chosen = fit.profile.rows
    has = values.codes[:, rows][values.attribute[chosen]] == chosen[:, None]
    units, customers = has.sum(axis=1), (has & cohort.is_customer).sum(axis=1)
    place = np.searchsorted(fit.compared, chosen)
    columns = {
        "attribute": pa.array([values.attributes[values.attribute[row]] for row in chosen]),
        "value": pa.array([values.names[row] for row in chosen]),
        "accounts": units,
        "share": units / len(cohort),
        "customers": customers,
        "win_rate": customers / np.maximum(units, 1),
        "lift": fit.lifts.lift[place],
        "lift_low": fit.lifts.low[place],
        "lift_high": fit.lifts.high[place],
        "value_per_customer": _average_values(cohort, has),
        "stability": fit.stability,
    }
    table = pa.table([pa.array(columns[f.name], f.type) for f in FIT_PROFILE], schema=FIT_PROFILE)
    order = [("lift", "descending"), ("attribute", "ascending"), ("value", "ascending")]
    return table.sort_by(order)


def _average_values(cohort: EntryCohort, has: np.ndarray) -> pa.Array:
    """Return the mean known amount of the customers of each row; null where there is none."""
    if cohort.value is None:
        return pa.nulls(len(has), pa.float64())
    known = has & cohort.is_customer & np.isfinite(cohort.value)
    total, count = known @ np.nan_to_num(cohort.value), known.sum(axis=1)
    return pa.array(total / np.maximum(count, 1), mask=count == 0)


def estimate_rates(
    cell: np.ndarray, is_customer: np.ndarray, bucket: np.ndarray, cells: int
) -> dict[str, np.ndarray]:
    """Return accounts, customers, and the win rate with its 90 % interval by cell; NaN if empty.

    ``cell``, ``is_customer`` and ``bucket`` have one element per row; the interval is by bootstrap
    of whole buckets of clusters.
    """
    place = bucket * cells + cell
    counts = [
        np.bincount(place, weight, BUCKETS * cells).reshape(BUCKETS, cells)
        for weight in (np.ones(len(cell)), is_customer.astype(float))
    ]
    weights = draw_weights(REPLICATES)
    rows, won = (weights @ count for count in counts)
    size, customers = (count.sum(axis=0) for count in counts)
    rate = np.divide(customers, size, out=np.full(cells, np.nan), where=size > 0)
    drawn = np.divide(won, rows, out=np.full(rows.shape, np.nan), where=rows > 0)
    low, high = widen_at_bounds(rate, *find_interval(drawn), size)
    return {
        "accounts": size.astype(np.int64),
        "customers": customers.astype(np.int64),
        "win_rate": rate,
        "win_rate_low": low,
        "win_rate_high": high,
    }


def average_value(cohort: EntryCohort) -> float | None:
    """Return the mean amount per unit of a cohort; None without amounts."""
    return None if cohort.value is None else float(np.nansum(cohort.value) / len(cohort))


def average_amounts(cell: np.ndarray, value: np.ndarray | None, cells: int) -> pa.Array:
    """Return the mean amount of the rows of each cell; null without amounts or rows.

    A customer of unknown amount counts with none.
    """
    if value is None:
        return pa.nulls(cells, pa.float64())
    size = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, np.nan_to_num(value), cells)
    return pa.array(total / np.maximum(size, 1), mask=size == 0)


def build_class_table(
    fit_class: np.ndarray,
    cohort: EntryCohort,
    limits: ClassLimits,
    open_class: np.ndarray,
    white_space: int,
) -> pa.Table:
    """Return FIT_CLASSES; ``fit_class`` are places in CLASSES of the cohort's units."""
    cells = len(CLASSES)
    columns = estimate_rates(fit_class, cohort.is_customer, cohort.bucket, cells)
    least = np.array([limits.a, limits.b, -np.inf])
    columns |= {
        "fit_class": np.array(CLASSES),
        "factor_from": pa.array(least, mask=~np.isfinite(least)),
        "share": columns["accounts"] / len(cohort),
        "value_per_account": average_amounts(fit_class, cohort.value, cells),
        "open_accounts": np.bincount(open_class, minlength=cells),
        "white_space": np.array([white_space, 0, 0]),
    }
    arrays = [pa.array(columns[f.name], f.type, from_pandas=True) for f in FIT_CLASSES]
    return pa.table(arrays, schema=FIT_CLASSES)
