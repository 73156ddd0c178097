"""Segments of training rows: the value of one category of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from models.encoding import encode_categories, rank_by_frequency
from models.segments.choice import count_rarer_outcomes

# Segments that are compared, those with most rows. Each costs fits in every fold, and the more are
# compared, the greater a gain has to be.
MAX_COMPARED = 20
NO_SEGMENT = -1


@dataclass(frozen=True)
class SegmentMembers:
    """The segment of each row of a training.

    Attributes:
        values: Segments of the mature rows, the most frequent first, ties by text.
        code: Place of each row's segment among ``values``; NO_SEGMENT where it is missing.
    """

    values: tuple[str, ...]
    code: np.ndarray

    @classmethod
    def from_column(cls, column: pa.ChunkedArray, mature: np.ndarray) -> Self:
        """Read a text column of all rows; ``mature`` are the positions of the mature ones."""
        values = tuple(rank_by_frequency(column.take(pa.array(mature))))
        return cls(values, _encode_segments(column, values))

    def list_large(self, label: np.ndarray, rows: np.ndarray, min_outcomes: int) -> tuple[str, ...]:
        """Return the MAX_COMPARED largest segments with enough outcomes, the largest first.

        Only the mature rows at the positions ``rows`` count; ``label`` (0, 1, or -1 where immature)
        is that of all rows. Enough are at least ``min_outcomes`` rows with the outcome, and as many
        without. Ties are in the order of ``values``.
        """
        label, code = label[rows], self.code[rows]
        size = {
            value: int(np.sum(code == place))
            for place, value in enumerate(self.values)
            if count_rarer_outcomes(label[code == place]) >= min_outcomes
        }
        return tuple(sorted(size, key=lambda value: -size[value])[:MAX_COMPARED])

    def find_codes(self, names: Sequence[str]) -> np.ndarray:
        """Return the place of each row's segment among ``names``; NO_SEGMENT for all others."""
        places = np.full(len(self.values) + 1, NO_SEGMENT)
        for place, name in enumerate(names):
            places[self.values.index(name)] = place
        # The last element stands for rows without a segment: their code is -1.
        return places[self.code]


def _encode_segments(column: pa.ChunkedArray, values: Sequence[str]) -> np.ndarray:
    codes = encode_categories(column, values)
    return np.where(np.isnan(codes), NO_SEGMENT, codes).astype(np.int64)
