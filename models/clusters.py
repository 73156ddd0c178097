"""Clusters: rows that depend on each other, as those of one account or of one entity do.

Intervals draw whole clusters, and folds of unordered data keep them whole.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Column of labels: the key (text) of an account, or of rows that repeat each other, or the entity
# where there is neither (``Dataset.find_clusters``). Column of out-of-time rows: the number of that
# key, which names nobody. Tables may lack it.
CLUSTER = "cluster"


def has_clusters(table: pa.Table) -> bool:
    """Return whether some cluster of a table holds several entities."""
    if CLUSTER not in table.column_names:
        return False
    clusters, entities = (pc.count_distinct(table[name]) for name in (CLUSTER, "entity_id"))
    return bool(clusters.as_py() < entities.as_py())


def number_clusters(table: pa.Table) -> np.ndarray:
    """Return each row's cluster as a number (int64), in the order of the keys.

    In a table without clusters each entity is one.
    """
    return number_keys(table[CLUSTER if CLUSTER in table.column_names else "entity_id"])


def number_keys(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return the rank of each key, int64 from 1; equal keys have the same."""
    # An empty column may have no type that can be ranked.
    if not len(keys):
        return np.empty(0, np.int64)
    return pc.rank(keys, tiebreaker="dense").to_numpy().astype(np.int64)
