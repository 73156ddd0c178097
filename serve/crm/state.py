"""The cells that a CRM was last sent per lead, as hashes, and their changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.tools.id_index import IdIndex
from features.tools.row_hash import hash_rows, hash_texts

# One row per lead that the CRM holds after a delivery, in the order of the file.
STATE_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), metadata={"meaning": "the lead"}),
        # Two halves, since neither Arrow nor Parquet has integers of 128 bits.
        pa.field(
            "high",
            pa.uint64(),
            metadata={"meaning": "upper half of the hash of its cells as delivered"},
        ),
        pa.field("low", pa.uint64(), metadata={"meaning": "lower half"}),
    ]
)


@dataclass(frozen=True)
class CrmState:
    """The leads that a CRM holds after a delivery.

    Attributes:
        keys: The key of each lead.
        hashes: Hashes of the compared cells, of shape (leads, 2).
    """

    keys: pa.ChunkedArray
    hashes: np.ndarray

    @classmethod
    def from_cells(cls, keys: pa.ChunkedArray, columns: Sequence[pa.ChunkedArray]) -> Self:
        """Hash the compared cells of each key."""
        return cls(
            keys,
            # With no column to compare all hashes are equal: only entering leads are due.
            hash_rows(
                [hash_texts(column) for column in columns] or [np.zeros(len(keys), np.uint64)]
            ),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a state that was saved as a ``to_table`` file."""
        table = pq.read_table(path, schema=STATE_SCHEMA)
        return cls(
            table["key"], np.column_stack([table["high"].to_numpy(), table["low"].to_numpy()])
        )

    def to_table(self) -> pa.Table:
        """Return a STATE_SCHEMA table."""
        return pa.table([self.keys, self.hashes[:, 0], self.hashes[:, 1]], schema=STATE_SCHEMA)

    def find_changed(self, others: Sequence[CrmState]) -> np.ndarray:
        """Return a mask of leads that any other state lacks or has other cells of."""
        is_changed = np.zeros(len(self.keys), bool)
        for other in others:
            positions = IdIndex.from_column(other.keys).find(self.keys)
            is_same = positions >= 0
            is_same[is_same] = (other.hashes[positions[is_same]] == self.hashes[is_same]).all(
                axis=1
            )
            is_changed |= ~is_same
        return is_changed

    def find_removed(self, others: Sequence[CrmState], more_keys: pa.Array) -> pa.Array:
        """Return the sorted keys in the other states, or of ``more_keys``, that this one lacks."""
        index = IdIndex.from_column(self.keys)
        columns = [*(other.keys for other in others), pa.chunked_array([more_keys], pa.string())]
        chunks = [
            chunk
            for keys in columns
            for chunk in keys.filter(pa.array(index.find(keys) < 0)).chunks
        ]
        keys = pc.unique(pa.chunked_array(chunks, pa.string()))
        # Sorted, since a repeated night must give the same bytes to be recognised.
        return keys.take(pc.sort_indices(keys))
