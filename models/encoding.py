"""From a feature matrix to the numbers a learner reads: which columns, in what order, which categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError

MAX_CATEGORIES = 255
ALIKE_ROWS = 4_000
ROWS, BLOCK = 16_384, 512
"""Rows of which the columns are read at a time, and rows that stay in a core's cache while all columns go into them."""
TYPES = {"number": pa.float64(), "category": pa.string()}


@dataclass(frozen=True)
class Feature:
    """One input of a learner; a category's code is its place in ``categories``."""

    name: str
    kind: Literal["number", "category"]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoding:
    """The features of a model in their order, frozen with it."""

    features: tuple[Feature, ...]

    @classmethod
    def fit(cls, matrix: pa.Table, names: Sequence[str], rows: np.ndarray | None = None) -> Self:
        """Choose among the named columns of a feature matrix (one row an entity and cutoff), or of some of its rows.

        float64 columns become numbers; string columns categories, the 255 most frequent ones, ties by text.
        Columns with one value only (missing counts as a value) tell nothing and are left out, and so are numbers that
        rank the rows as an earlier column does, or backwards: of an only event every age and every fading count is
        the same again to a tree. Ranks are compared on ALIKE_ROWS rows. Raises DataError for an absent column, another
        type, or if no column is left.
        """
        rows = np.arange(matrix.num_rows) if rows is None else rows
        found = [_feature(name, _column(matrix, name, rows)) for name in names]
        kept = _unlike([feature for feature in found if feature is not None], matrix, rows)
        if not kept:
            raise DataError(
                "no feature varies, so there is nothing to learn from",
                found=f"{len(names)} columns over {len(rows)} rows, each with one value only",
                fix="add attributes or events, or remove some of features.exclude",
            )
        return cls(kept)

    def take(self, places: np.ndarray) -> Self:
        """Return the encoding of some of its features."""
        return type(self)(tuple(self.features[place] for place in places))

    @property
    def names(self) -> list[str]:
        """Names of the features in the learner's order."""
        return [feature.name for feature in self.features]

    @property
    def categorical(self) -> list[int]:
        """Places of the categories among the features."""
        return [j for j, feature in enumerate(self.features) if feature.kind == "category"]

    def encode(self, matrix: pa.Table, rows: np.ndarray | None = None) -> np.ndarray:
        """Return (rows, features) float64: numbers as they are, categories as codes, NaN where missing.

        Of all rows, or of those given by their numbers, a few at a time: no second matrix is made.
        A category that was not among those chosen at ``fit`` and an infinite number are missing too. Raises
        DataError for an absent column or one whose type changed.
        """
        x = np.empty((matrix.num_rows if rows is None else len(rows), len(self.features)))
        # Arrow puts the chunks of a column together each time that rows are taken by their numbers: so, fewer times.
        size = ROWS if rows is None else 8 * ROWS
        for start in range(0, max(len(x), 1), size):
            part = matrix.slice(start, size) if rows is None else matrix
            some = None if rows is None else rows[start : start + size]
            values = [
                _values(feature, _column(part, feature.name, some)) for feature in self.features
            ]
            _put(values, x[start : start + size])
        return x

    def to_json(self) -> list[dict[str, Any]]:
        """Return what ``from_json`` reads: plain lists, texts and dicts."""
        return [
            {"name": f.name, "kind": f.kind, "categories": list(f.categories)}
            for f in self.features
        ]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Self:
        """Build the encoding that ``to_json`` described."""
        return cls(tuple(Feature(d["name"], d["kind"], tuple(d["categories"])) for d in data))


def evenly(rows: int, most: int) -> np.ndarray:
    """Return at most so many row numbers, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(int))


def by_frequency(column: pa.ChunkedArray) -> list[str]:
    """Return the texts of a column, the most frequent first, ties by text."""
    counts = pc.value_counts(column.drop_null())
    ranked = zip(
        (-counts.field("counts").to_numpy()).tolist(),
        counts.field("values").to_pylist(),
        strict=True,
    )
    return [text for _, text in sorted(ranked)]


def codes(column: pa.ChunkedArray, texts: Sequence[str]) -> np.ndarray:
    """Return the place of each text of a column among ``texts``, NaN where it is missing or not among them."""
    return pc.cast(pc.index_in(column, pa.array(texts, pa.string())), pa.float64()).to_numpy()


def finite(column: pa.ChunkedArray) -> np.ndarray:
    """Return the numbers of a column, NaN where missing or infinite."""
    numbers = column.to_numpy()
    endless = np.isinf(numbers)
    return np.where(endless, np.nan, numbers) if endless.any() else numbers


def _put(columns: list[np.ndarray], x: np.ndarray) -> None:
    """Write columns side by side into ``x`` (rows, columns)."""
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        for j, column in enumerate(columns):
            x[rows, j] = column[rows]


def _column(matrix: pa.Table, name: str, rows: np.ndarray | None) -> pa.ChunkedArray:
    place = matrix.schema.get_field_index(name)
    if place < 0:
        raise DataError(
            "a feature of the model is not in the matrix",
            where=name,
            found=f"{matrix.num_columns} columns, none of this name",
            fix="build the features with the config the model was trained with, or train again",
        )
    return matrix[place] if rows is None else matrix[place].take(pa.array(rows))


def _feature(name: str, column: pa.ChunkedArray) -> Feature | None:
    if column.type == TYPES["number"]:
        return Feature(name, "number") if _varies(finite(column)) else None
    if column.type != TYPES["category"]:
        raise _wrong_type(name, column.type, "float64 or string")
    texts = by_frequency(column)
    if len(texts) + (column.null_count > 0) < 2:
        return None
    return Feature(name, "category", tuple(texts[:MAX_CATEGORIES]))


def _unlike(features: list[Feature], matrix: pa.Table, rows: np.ndarray) -> tuple[Feature, ...]:
    """Leave out the numbers that rank the rows as one before them does."""
    sample = rows[evenly(len(rows), ALIKE_ROWS)]
    seen: set[bytes] = set()
    kept = []
    for feature in features:
        ranks = (
            _ranks(finite(_column(matrix, feature.name, sample)))
            if feature.kind == "number"
            else feature.name.encode()
        )
        if ranks not in seen:
            kept.append(feature)
            seen.add(ranks)
    return tuple(kept)


def _ranks(numbers: np.ndarray) -> bytes:
    """Return the order of the rows, missing ones apart, the same for a column and its negative."""
    _, ranks = np.unique(numbers, return_inverse=True)
    known = ~np.isnan(numbers)
    backwards = np.where(known, ranks[known].max(initial=0) - ranks, ranks)
    return min(ranks.astype(np.int32).tobytes(), backwards.astype(np.int32).tobytes())


def _varies(numbers: np.ndarray) -> bool:
    known = ~np.isnan(numbers)
    if not known.any():
        return False
    return not known.all() or numbers.min() < numbers.max()


def _values(feature: Feature, column: pa.ChunkedArray) -> np.ndarray:
    if column.type != TYPES[feature.kind]:
        raise _wrong_type(feature.name, column.type, str(TYPES[feature.kind]))
    if feature.kind == "number":
        return finite(column)
    return codes(column, feature.categories)


def _wrong_type(name: str, found: pa.DataType, wanted: str) -> DataError:
    return DataError(
        "a feature has the wrong type", where=name, found=str(found), fix=f"it must be {wanted}"
    )
