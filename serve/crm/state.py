"""What a CRM was told of each lead, and what has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.intake.row_hash import row_hashes, text_hashes
from features.tools.id_index import Ids

STATE = pa.schema(
    [
        pa.field("key", pa.string(), metadata={"meaning": "the lead"}),
        pa.field(
            "high",
            pa.uint64(),
            metadata={"meaning": "upper half of the hash of its cells as delivered"},
        ),
        pa.field("low", pa.uint64(), metadata={"meaning": "lower half"}),
    ]
)
"""One row a lead that the CRM holds after a delivery, in the file's order."""


@dataclass(frozen=True)
class State:
    """The leads that a CRM holds after a delivery; ``hashes`` has shape (leads, 2) and is of the cells."""

    keys: pa.ChunkedArray
    hashes: np.ndarray

    @classmethod
    def of(cls, keys: pa.ChunkedArray, columns: Sequence[pa.ChunkedArray]) -> Self:
        """Take the keys and the cells that count."""
        return cls(
            keys,
            row_hashes(
                [text_hashes(column) for column in columns] or [np.zeros(len(keys), np.uint64)]
            ),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``table`` wrote."""
        found = pq.read_table(path, schema=STATE)
        return cls(
            found["key"], np.column_stack([found["high"].to_numpy(), found["low"].to_numpy()])
        )

    def table(self) -> pa.Table:
        """Return it as a STATE table."""
        return pa.table([self.keys, self.hashes[:, 0], self.hashes[:, 1]], schema=STATE)

    def differs(self, others: Sequence[State]) -> np.ndarray:
        """Say of each lead whether any of the other states lacks it or has other cells."""
        found = np.zeros(len(self.keys), bool)
        for other in others:
            at = Ids.of(other.keys).find(self.keys)
            same = at >= 0
            same[same] = (other.hashes[at[same]] == self.hashes[same]).all(axis=1)
            found |= ~same
        return found

    def lacks(self, others: Sequence[State]) -> pa.Array:
        """Return the leads of the other states that are not in this one, in order."""
        known = Ids.of(self.keys)
        gone = [
            chunk
            for other in others
            for chunk in other.keys.filter(pa.array(known.find(other.keys) < 0)).chunks
        ]
        found = pc.unique(pa.chunked_array(gone, pa.string()))
        return found.take(pc.sort_indices(found))
