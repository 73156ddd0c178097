"""Distribution of the training features, stored with a model and compared with each scoring run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoding import Encoding, sample_evenly
from models.reference.psi import compute_excess_psi
from models.scorer import Scorer

# Deciles of the training data, as is usual for the PSI.
BIN_COUNT = 10
# The most frequent categories have a bin each; all others share one.
MAX_LEVELS = 20
# Rows counted of a training slice and of a scoring run: more rows change no verdict.
MAX_ROWS = 25_000
# Digits stored of numbers.
SIGNIFICANT_DIGITS = 6
# Features that are monitored, and training rows that rank them by importance.
MAX_FEATURES, EXPLAINED_ROWS = 120, 300


@dataclass(frozen=True)
class ColumnDistribution:
    """Distribution of one column in the training data; the last bin counts missing values.

    Attributes:
        kind: Whether the column holds numbers or texts.
        edges: Upper ends of the bins of numbers, each inclusive; one more bin lies above the last.
        levels: Categories with a bin of their own; all others share the next bin.
        total_counts: Rows by bin in all time slices of the training data.
        recent_counts: Rows by bin in the latest slice.
        max_training_drift: Largest excess PSI of a slice against the other ones: how far the column
            drifts in normal operation.
        importance: Share of the column in the model's mean absolute contributions.
        new_category_share: Share of rows of the latest slice whose category is in no earlier one.
    """

    kind: Literal["number", "category"]
    edges: np.ndarray
    levels: tuple[str, ...]
    total_counts: np.ndarray
    recent_counts: np.ndarray
    max_training_drift: float
    importance: float = 0.0
    new_category_share: float = 0.0

    def count(self, column: pa.ChunkedArray) -> np.ndarray:
        """Return the number of rows by bin."""
        return (
            _count_numbers(column, self.edges)
            if self.kind == "number"
            else _count_texts(column, self.levels)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values.

        An array is one text of numbers, which takes a tenth of the space of an indented list.
        """
        data: dict[str, Any] = {
            "kind": self.kind,
            "usual": round(self.max_training_drift, 4),
            "weight": round(self.importance, 5),
        }
        data |= {
            "whole": _join_numbers(self.total_counts),
            "recent": _join_numbers(self.recent_counts),
            "novel": round(self.new_category_share, 4),
        }
        return data | (
            {"edges": _join_numbers(self.edges)}
            if self.kind == "number"
            else {"levels": list(self.levels)}
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Restore from the result of ``to_json``."""
        whole, recent, edges = (
            _split_numbers(data.get(name, "")) for name in ("whole", "recent", "edges")
        )
        rest = (data["usual"], data["weight"], data["novel"])
        return cls(data["kind"], edges, tuple(data.get("levels", ())), whole, recent, *rest)


@dataclass(frozen=True)
class TrainingDistribution:
    """Distributions of the features and predictions of a training.

    Attributes:
        columns: Distribution of each monitored feature.
        entities: Number of entities in all slices, and in the latest one.
        probability: Distribution of the predictions. ``total_counts`` are out-of-time predictions
            of the folds. ``recent_counts`` are predictions of the final model for the latest slice,
            which may be more extreme, since that model was trained on more rows.
        tested_entities: Number of entities with out-of-time predictions: of all slices, and of the
            latest one.
        mean_probabilities: Mean out-of-time probability of each slice, and last the mean of the
            final model's predictions for the latest slice.
    """

    columns: dict[str, ColumnDistribution]
    entities: tuple[int, int]
    probability: ColumnDistribution
    tested_entities: tuple[int, int]
    mean_probabilities: tuple[float, ...]

    @classmethod
    def from_matrix(
        cls,
        matrix: pa.Table,
        slices: Sequence[np.ndarray],
        importances: dict[str, float],
        encoding: Encoding,
        tested_slices: Sequence[pa.Table],
        latest_predictions: pa.Table,
        by_week: frozenset[str] = frozenset(),
    ) -> Self:
        """Summarize the rows of a feature matrix, slice by slice in the order of time.

        ``slices`` are row numbers of the matrix; a slice may be empty, but not all of them.
        ``importances`` names the columns to keep. ``tested_slices`` are slices of OUT_OF_TIME, in
        order; ``latest_predictions`` are PREDICTIONS of the latest slice. ``by_week`` are columns
        in days, whose bins end at whole weeks. Slices of more than 25,000 rows are sampled evenly.
        """
        slices = [rows[sample_evenly(len(rows), MAX_ROWS)] for rows in slices if len(rows)]
        kept = matrix.select(["entity_id", *importances])
        tables = [kept.take(pa.array(rows)) for rows in slices]
        predictions = [
            table.take(pa.array(sample_evenly(len(table), MAX_ROWS)))
            for table in tested_slices
            if len(table)
        ]
        sizes = [_count_entities(table) for table in tables]
        tested_sizes = [_count_entities(table) for table in predictions]
        categories = {feature.name: feature.categories for feature in encoding.features}
        columns = {
            name: _describe_column(
                [table[name] for table in tables],
                sizes,
                importance,
                categories.get(name, ()),
                # The cutoffs of a training may all be Wednesdays, while nights fall on any day:
                # ages in days then differ by less than a week without any drift.
                7.0 * (name in by_week),
            )
            for name, importance in importances.items()
        }
        latest = latest_predictions["probability"]
        tested = [table["probability"] for table in predictions]
        means = tuple(float(np.mean(column.to_numpy())) for column in (*tested, latest))
        probability = _describe_column(tested, tested_sizes, 1.0, ())
        probability = replace(probability, recent_counts=probability.count(latest))
        tested_entities = (sum(tested_sizes), _count_entities(latest_predictions))
        return cls(columns, (sum(sizes), sizes[-1]), probability, tested_entities, means)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "columns": {name: column.to_json() for name, column in self.columns.items()},
            "entities": list(self.entities),
            "probability": self.probability.to_json(),
            "tested": list(self.tested_entities),
            "means": [round(mean, SIGNIFICANT_DIGITS) for mean in self.mean_probabilities],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Restore from the result of ``to_json``."""
        return cls(
            {
                name: ColumnDistribution.from_json(column)
                for name, column in data["columns"].items()
            },
            (data["entities"][0], data["entities"][1]),
            ColumnDistribution.from_json(data["probability"]),
            (data["tested"][0], data["tested"][1]),
            tuple(data["means"]),
        )


def select_monitored_features(
    scorer: Scorer, matrix: pa.Table, always_keep: Iterable[str], never_keep: Iterable[str]
) -> dict[str, float]:
    """Return the features to monitor, each with its importance.

    These are the most important features except ``never_keep``, and those in ``always_keep``. The
    importance is the feature's share in the mean absolute contributions, on an even sample of rows.
    The drift of a feature that the model hardly uses does no harm.
    """
    sample = matrix.take(pa.array(sample_evenly(matrix.num_rows, EXPLAINED_ROWS)))
    size = np.abs(scorer.explain(sample)[:, :-1]).mean(axis=0)
    share = dict(zip(scorer.encoding.names, (size / max(size.sum(), 1e-12)).tolist(), strict=True))
    candidates = set(share).difference(never_keep)
    important = sorted(candidates, key=lambda name: (-share[name], name))[:MAX_FEATURES]
    kept = {name for name in important if share[name] > 0} | set(always_keep).intersection(share)
    return {name: share[name] for name in scorer.encoding.names if name in kept}


def _describe_column(
    slices: list[pa.ChunkedArray],
    sizes: list[int],
    importance: float,
    categories: tuple[str, ...],
    step: float = 0.0,
) -> ColumnDistribution:
    """Return the distribution of one column over some slices.

    ``sizes`` are the numbers of entities of the slices. With a ``step``, bins of numbers end at its
    multiples.
    """
    no_counts = np.empty(0)
    if slices[0].type == pa.string():
        levels = categories[:MAX_LEVELS]
        empty = ColumnDistribution("category", np.empty(0), levels, no_counts, no_counts, 0.0)
    else:
        edges = _find_bin_edges(slices, step)
        empty = ColumnDistribution("number", edges, (), no_counts, no_counts, 0.0)
    counts = np.array([empty.count(column) for column in slices])
    total = counts.sum(axis=0)
    # Some features move by construction, such as the age of the oldest event. How far each slice
    # lies from the others is what later checks subtract.
    drift = [
        compute_excess_psi(total - own, own, (sum(sizes) - size, size))
        for own, size in zip(counts, sizes, strict=True)
        if len(sizes) > 1
    ]
    is_category = empty.kind == "category"
    return replace(
        empty,
        total_counts=total,
        recent_counts=counts[-1],
        max_training_drift=max(drift, default=0.0),
        importance=importance,
        new_category_share=_measure_new_categories(slices, categories) if is_category else 0.0,
    )


def _find_bin_edges(slices: list[pa.ChunkedArray], step: float) -> np.ndarray:
    """Return the inner deciles of all slices, fewer where values repeat.

    They are rounded to the digits that are stored, or with a ``step`` up to its next multiple.
    """
    numbers = np.concatenate([_finite_or_nan(column) for column in slices])
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return np.empty(0)
    edges = np.quantile(numbers, np.arange(1, BIN_COUNT) / BIN_COUNT)
    edges = np.ceil(edges / step) * step if step else edges
    # Rounded before anything is counted: a scoring run counts with the edges that are stored.
    return np.unique([float(f"{edge:.{SIGNIFICANT_DIGITS}g}") for edge in edges])


def _measure_new_categories(slices: list[pa.ChunkedArray], categories: tuple[str, ...]) -> float:
    """Return the share of the latest rows with a category that is in no earlier slice.

    A category that the encoding does not know is new too.
    """
    latest = slices[-1]
    before = pa.chunked_array(
        [chunk for column in slices[:-1] for chunk in column.chunks], pa.string()
    )
    is_new = pc.invert(pc.is_in(latest, value_set=pa.array(categories, pa.string())))
    if len(before):
        is_new = pc.or_(is_new, pc.invert(pc.is_in(latest, value_set=pc.unique(before))))
    return pc.sum(pc.and_(is_new, pc.is_valid(latest))).as_py() / len(latest)


def _count_numbers(column: pa.ChunkedArray, edges: np.ndarray) -> np.ndarray:
    numbers = _finite_or_nan(column)
    place = np.searchsorted(edges, numbers)
    place[np.isnan(numbers)] = len(edges) + 1
    return np.bincount(place, minlength=len(edges) + 2)


def _count_texts(column: pa.ChunkedArray, levels: tuple[str, ...]) -> np.ndarray:
    place = pc.fill_null(pc.index_in(column, pa.array(levels, pa.string())), len(levels)).to_numpy()
    return np.bincount(
        np.where(pc.is_null(column).to_numpy(), len(levels) + 1, place), minlength=len(levels) + 2
    )


def _finite_or_nan(column: pa.ChunkedArray) -> np.ndarray:
    numbers = column.to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _count_entities(table: pa.Table) -> int:
    return pc.count_distinct(table["entity_id"]).as_py()


def _join_numbers(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.{SIGNIFICANT_DIGITS}g}" for number in numbers)


def _split_numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in text.split()])
