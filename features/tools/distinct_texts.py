"""Distinct texts of a column with their counts, so that each text is parsed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class DistinctTexts:
    """The distinct texts of a column, trimmed only where they are parsed.

    Attributes:
        texts: Distinct texts.
        counts: Number of cells with each.
        indices: Place of each cell's text in ``texts``, null for a missing value.
    """

    texts: pa.Array
    counts: np.ndarray
    indices: pa.Array

    @classmethod
    def from_column(cls, column: pa.Array | pa.ChunkedArray) -> DistinctTexts:
        """Collect the distinct texts; each of them is parsed once."""
        merged = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        encoded = merged if pa.types.is_dictionary(merged.type) else merged.dictionary_encode()
        indices = encoded.indices
        places = indices.drop_null().to_numpy()
        counts = np.bincount(places, minlength=len(encoded.dictionary))
        return cls(encoded.dictionary, counts, indices)

    def to_array(self) -> pa.Array:
        """Return the column as written, dictionary-encoded."""
        return pa.DictionaryArray.from_arrays(self.indices.cast(pa.int32()), self.texts)

    @property
    def total(self) -> int:
        """Return the number of cells with a value."""
        return int(self.counts.sum())

    def spread(self, values: np.ndarray) -> pa.Array:
        """Return the value of each cell, given that of each text; NaN becomes null."""
        return pa.array(values, from_pandas=True).take(self.indices)
