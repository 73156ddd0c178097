"""Encoding: from a feature matrix to the numbers that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError

MAX_CATEGORIES = 1_000
# Rows on which columns are compared by rank; more rows would only cost time.
RANK_SAMPLE_ROWS = 4_000
# Rows of which the columns are read at a time.
READ_ROWS = 16_384
# Rows that stay in a core's cache while all their columns are written.
CACHE_ROWS = 512
ARROW_TYPES = {"number": pa.float64(), "category": pa.string()}


@dataclass(frozen=True)
class EncodedFeature:
    """One input of a model.

    Attributes:
        name: Column of the feature matrix.
        kind: Number or category.
        categories: Known categories; the code of a category is its place here.
    """

    name: str
    kind: Literal["number", "category"]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoding:
    """Features of a model in their order, stored with it.

    Attributes:
        features: One feature for each column of the encoded matrix.
    """

    features: tuple[EncodedFeature, ...]

    @classmethod
    def fit(cls, matrix: pa.Table, names: Sequence[str], rows: np.ndarray | None = None) -> Self:
        """Choose among the named columns of a feature matrix, by all or some of its rows.

        The matrix has one row per entity and cutoff. float64 columns become numbers. String columns
        become categories: the 1,000 most frequent ones, ties by text. Left out are columns with one
        value only (missing counts as a value), and numbers that rank the rows as an earlier column
        does, or backwards: for an event that occurs once, every age and every decayed count are
        equivalent for a tree. Ranks are compared on RANK_SAMPLE_ROWS rows.

        Raise DataError for an absent column, another type, or if no column is left.
        """
        rows = np.arange(matrix.num_rows) if rows is None else rows
        described = [_describe_column(name, _read_column(matrix, name, rows)) for name in names]
        varying = [feature for feature in described if feature is not None]
        features = _drop_equal_ranks(varying, matrix, rows)
        if not features:
            raise DataError(
                "no feature varies, so there is nothing to train on",
                found=f"{len(names)} columns over {len(rows)} rows, each with one value only",
                fix="add attributes or events, or remove entries of features.exclude",
            )
        return cls(features)

    def take(self, places: np.ndarray) -> Self:
        """Return the encoding of the features at these places."""
        return type(self)(tuple(self.features[place] for place in places))

    @property
    def names(self) -> list[str]:
        """Names of the features in the model's order."""
        return [feature.name for feature in self.features]

    @property
    def categorical(self) -> list[int]:
        """Places of the categories among the features."""
        return [j for j, feature in enumerate(self.features) if feature.kind == "category"]

    def encode(self, matrix: pa.Table, rows: np.ndarray | None = None) -> np.ndarray:
        """Return (rows, features) float64: numbers, and categories as codes; NaN where missing.

        All rows are encoded, or those at the positions ``rows``, a few at a time: no second matrix
        is made. An infinite number and a category that ``fit`` did not choose are missing too.

        Raise DataError for an absent column or one whose type changed.
        """
        x = np.empty((matrix.num_rows if rows is None else len(rows), len(self.features)))
        # Arrow joins the chunks of a column each time that rows are taken by position. Larger
        # steps do that less often.
        step = READ_ROWS if rows is None else 8 * READ_ROWS
        for start in range(0, max(len(x), 1), step):
            part = matrix.slice(start, step) if rows is None else matrix
            index = None if rows is None else rows[start : start + step]
            columns = [
                _encode_column(feature, _read_column(part, feature.name, index))
                for feature in self.features
            ]
            _write_columns(columns, x[start : start + step])
        return x

    def to_json(self) -> list[dict[str, Any]]:
        """Return the values that ``from_json`` reads: plain lists, texts and dicts."""
        return [
            {"name": f.name, "kind": f.kind, "categories": list(f.categories)}
            for f in self.features
        ]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Self:
        """Return the encoding that ``to_json`` described."""
        return cls(
            tuple(EncodedFeature(d["name"], d["kind"], tuple(d["categories"])) for d in data)
        )


def sample_evenly(rows: int, limit: int) -> np.ndarray:
    """Return at most ``limit`` row positions, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, rows - 1, min(rows, limit)).astype(int))


def rank_by_frequency(column: pa.ChunkedArray) -> list[str]:
    """Return the texts of a column, the most frequent first, ties by text."""
    counts = pc.value_counts(column.drop_null())
    ranked = zip(
        (-counts.field("counts").to_numpy()).tolist(),
        counts.field("values").to_pylist(),
        strict=True,
    )
    return [text for _, text in sorted(ranked)]


def encode_categories(column: pa.ChunkedArray, categories: Sequence[str]) -> np.ndarray:
    """Return the place of each text among ``categories``, NaN where missing or not among them."""
    places = pc.index_in(column, pa.array(categories, pa.string()))
    return pc.cast(places, pa.float64()).to_numpy()


def to_finite_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return the numbers of a column, NaN where missing or infinite."""
    numbers = column.to_numpy()
    infinite = np.isinf(numbers)
    return np.where(infinite, np.nan, numbers) if infinite.any() else numbers


def _write_columns(columns: list[np.ndarray], x: np.ndarray) -> None:
    """Write columns into ``x`` (rows, columns), which is stored row by row."""
    for start in range(0, len(x), CACHE_ROWS):
        rows = slice(start, start + CACHE_ROWS)
        for j, column in enumerate(columns):
            x[rows, j] = column[rows]


def _read_column(matrix: pa.Table, name: str, rows: np.ndarray | None) -> pa.ChunkedArray:
    place = matrix.schema.get_field_index(name)
    if place < 0:
        raise DataError(
            "a feature of the model is not in the matrix",
            where=name,
            found=f"{matrix.num_columns} columns, none of this name",
            fix="build the features with the config the model was trained with, or train again",
        )
    return matrix[place] if rows is None else matrix[place].take(pa.array(rows))


def _describe_column(name: str, column: pa.ChunkedArray) -> EncodedFeature | None:
    """Return the feature of a column; None if it has one value only."""
    if column.type == ARROW_TYPES["number"]:
        return EncodedFeature(name, "number") if _has_variation(to_finite_numbers(column)) else None
    if column.type != ARROW_TYPES["category"]:
        raise _wrong_type_error(name, column.type, "float64 or string")
    texts = rank_by_frequency(column)
    if len(texts) + (column.null_count > 0) < 2:
        return None
    return EncodedFeature(name, "category", tuple(texts[:MAX_CATEGORIES]))


def _drop_equal_ranks(
    features: list[EncodedFeature], matrix: pa.Table, rows: np.ndarray
) -> tuple[EncodedFeature, ...]:
    """Leave out the numbers that rank the rows as an earlier number does."""
    sample = rows[sample_evenly(len(rows), RANK_SAMPLE_ROWS)]
    first_by_rank: dict[bytes, EncodedFeature] = {}
    for feature in features:
        # A category keeps its name as key: its codes have no order, so nothing can be equal to it.
        key = feature.name.encode()
        if feature.kind == "number":
            key = _hash_ranks(to_finite_numbers(_read_column(matrix, feature.name, sample)))
        first_by_rank.setdefault(key, feature)
    return tuple(first_by_rank.values())


def _hash_ranks(numbers: np.ndarray) -> bytes:
    """Return a key of the order of the rows, the same for a column and its negative."""
    _, ranks = np.unique(numbers, return_inverse=True)
    present = ~np.isnan(numbers)
    # Missing values keep their rank, the last one, in both directions.
    backwards = np.where(present, ranks[present].max(initial=0) - ranks, ranks)
    return min(ranks.astype(np.int32).tobytes(), backwards.astype(np.int32).tobytes())


def _has_variation(numbers: np.ndarray) -> bool:
    present = ~np.isnan(numbers)
    if not present.any():
        return False
    return not present.all() or numbers.min() < numbers.max()


def _encode_column(feature: EncodedFeature, column: pa.ChunkedArray) -> np.ndarray:
    if column.type != ARROW_TYPES[feature.kind]:
        raise _wrong_type_error(feature.name, column.type, str(ARROW_TYPES[feature.kind]))
    if feature.kind == "number":
        return to_finite_numbers(column)
    return encode_categories(column, feature.categories)


def _wrong_type_error(name: str, actual: pa.DataType, expected: str) -> DataError:
    return DataError(
        "a feature has the wrong type", where=name, found=str(actual), fix=f"it must be {expected}"
    )
