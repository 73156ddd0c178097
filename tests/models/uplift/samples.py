"""Simulated experiments with a known effect for every row."""

from __future__ import annotations

import numpy as np

from models.uplift.randomised_rows import RandomisedRows


def draw_experiment(
    rows: int,
    seed: int,
    strength: float = 0.25,
    propensity: float | None = 0.5,
    per_cluster: int = 1,
) -> tuple[RandomisedRows, np.ndarray]:
    """Return an experiment, and the true effect of each row.

    The effect follows the second and third column, the response the first: so a ranking by
    response says nothing of the effect. Without ``propensity`` it follows the first column.
    """
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(rows, 4))
    x[:, 2] = rng.integers(0, 3, rows)
    effect = strength * (np.clip(x[:, 1], -1, 1) / 2 + (x[:, 2] == 1) * 0.5)
    without = 0.15 + 0.25 / (1 + np.exp(-2 * x[:, 0]))
    e = np.full(rows, propensity) if propensity else 0.2 + 0.6 / (1 + np.exp(-x[:, 0]))
    treated = rng.random(rows) < e
    chance = np.clip(without + effect * treated, 0, 1)
    outcome = (rng.random(rows) < chance).astype(float)
    names = rng.integers(0, 2**63, -(-rows // per_cluster), dtype=np.int64).astype(np.uint64)
    cluster = np.repeat(names, per_cluster)[:rows]
    x[rng.random(rows) < 0.05, 3] = np.nan
    return RandomisedRows(x, [2], treated, e, outcome, cluster), effect


def permute_arms(rows: RandomisedRows, seed: int) -> RandomisedRows:
    """Return the same rows with their arms permuted, so that outreach has no effect."""
    treated = np.random.default_rng([seed, 2]).permutation(rows.treated)
    columns = (rows.propensity, rows.outcome, rows.cluster)
    return RandomisedRows(rows.x, rows.categorical, treated, *columns)
