"""What a model keeps of the population it learnt from, so that a night can be compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoding import Encoding, evenly
from models.reference.psi import beyond_chance
from models.scorer import Scorer

BINS = 10
LEVELS = 20
"""Categories counted apart; all others together."""
ROWS = 25_000
"""Rows counted of a slice of the training, and of a night: more tell nothing more."""
DIGITS = 6
FEATURES = 120
EXPLAINED = 300


@dataclass(frozen=True)
class Column:
    """How one column lay in the training: rows by bin, the last bin being that of the missing ones.

    The bins of numbers end at each of ``edges``, which belongs to the bin below it, and beyond the last; those of a
    category are its ``levels``, and all other ones. ``whole`` counts all slices of the training, ``recent`` the latest.
    ``usual`` is the largest index (``drift``), beyond chance, of a slice against the others: how far this column moves
    anyway. ``weight`` is its share in what the model says, ``novel`` the share of rows of the latest slice whose
    category was not there before.
    """

    kind: Literal["number", "category"]
    edges: np.ndarray
    levels: tuple[str, ...]
    whole: np.ndarray
    recent: np.ndarray
    usual: float
    weight: float = 0.0
    novel: float = 0.0

    def count(self, column: pa.ChunkedArray) -> np.ndarray:
        """Return the rows by bin."""
        return (
            _count_numbers(column, self.edges)
            if self.kind == "number"
            else _count_texts(column, self.levels)
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; numbers in a row are one text, which takes a tenth of the room."""
        known: dict[str, Any] = {
            "kind": self.kind,
            "usual": round(self.usual, 4),
            "weight": round(self.weight, 5),
        }
        known |= {
            "whole": _joined(self.whole),
            "recent": _joined(self.recent),
            "novel": round(self.novel, 4),
        }
        return known | (
            {"edges": _joined(self.edges)}
            if self.kind == "number"
            else {"levels": list(self.levels)}
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        whole, recent, edges = (
            _parted(data.get(name, "")) for name in ("whole", "recent", "edges")
        )
        rest = (data["usual"], data["weight"], data["novel"])
        return cls(data["kind"], edges, tuple(data.get("levels", ())), whole, recent, *rest)


@dataclass(frozen=True)
class Population:
    """The columns of a model's training, what it says of them, and how many entities each counts.

    Of ``probability`` the whole is what the folds said out of time, and ``recent`` what the model itself, which learnt
    from more, says of the latest slice: it may be bolder than they were. ``entities`` are those of the whole and of the
    latest slice, ``tested`` the same of the probabilities; ``means`` are the mean probability of each tested slice,
    and last that of the latest.
    """

    columns: dict[str, Column]
    entities: tuple[int, int]
    probability: Column
    tested: tuple[int, int]
    means: tuple[float, ...]

    @classmethod
    def of(
        cls,
        matrix: pa.Table,
        slices: Sequence[np.ndarray],
        weights: dict[str, float],
        encoding: Encoding,
        tested: Sequence[pa.Table],
        latest: pa.Table,
        by_week: frozenset[str] = frozenset(),
    ) -> Self:
        """Look at the rows of a feature matrix, slice by slice in the order of time, and at what was tested of them.

        ``weights`` names the columns to keep; ``tested`` are slices of OUT_OF_TIME, in order, ``latest`` PREDICTIONS of
        the latest slice; ``by_week`` are columns of days, which are told apart by whole weeks. A slice may be empty,
        but not all of them. Of more than ROWS rows a slice an even sample is looked at.
        """
        slices = [rows[evenly(len(rows), ROWS)] for rows in slices if len(rows)]
        tables = [matrix.select(["entity_id", *weights]).take(pa.array(rows)) for rows in slices]
        chances = [table.take(pa.array(evenly(len(table), ROWS))) for table in tested if len(table)]
        sizes, own = [_entities(table) for table in tables], [_entities(table) for table in chances]
        categories = {feature.name: feature.categories for feature in encoding.features}
        columns = {
            name: _column(
                [table[name] for table in tables],
                sizes,
                weight,
                categories.get(name, ()),
                7.0 * (name in by_week),
            )
            for name, weight in weights.items()
        }
        said = [table["probability"] for table in chances]
        means = tuple(float(np.mean(each.to_numpy())) for each in (*said, latest["probability"]))
        chance = _column(said, own, 1.0, ())
        chance = replace(chance, recent=chance.count(latest["probability"]))
        return cls(columns, (sum(sizes), sizes[-1]), chance, (sum(own), _entities(latest)), means)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "columns": {name: column.to_json() for name, column in self.columns.items()},
            "entities": list(self.entities),
            "probability": self.probability.to_json(),
            "tested": list(self.tested),
            "means": [round(mean, DIGITS) for mean in self.means],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(
            {name: Column.from_json(column) for name, column in data["columns"].items()},
            (data["entities"][0], data["entities"][1]),
            Column.from_json(data["probability"]),
            (data["tested"][0], data["tested"][1]),
            tuple(data["means"]),
        )


def telling(
    scorer: Scorer, matrix: pa.Table, always: Iterable[str], never: Iterable[str]
) -> dict[str, float]:
    """Return the features to keep, the weightiest and those of ``always``, and each one's share in what the model says.

    Those of ``never`` are not kept.

    A share is the mean size of the feature's contribution among that of all, in an even sample of the rows. A feature
    on which the model hardly looks may drift as it likes.
    """
    sample = matrix.take(pa.array(evenly(matrix.num_rows, EXPLAINED)))
    size = np.abs(scorer.explain(sample)[:, :-1]).mean(axis=0)
    share = dict(zip(scorer.encoding.names, (size / max(size.sum(), 1e-12)).tolist(), strict=True))
    heavy = sorted(set(share).difference(never), key=lambda name: (-share[name], name))[:FEATURES]
    kept = {name for name in heavy if share[name] > 0} | set(always).intersection(share)
    return {name: share[name] for name in scorer.encoding.names if name in kept}


def _column(
    slices: list[pa.ChunkedArray],
    sizes: list[int],
    weight: float,
    categories: tuple[str, ...],
    step: float = 0.0,
) -> Column:
    if slices[0].type == pa.string():
        empty = Column("category", np.empty(0), categories[:LEVELS], np.empty(0), np.empty(0), 0.0)
    else:
        empty = Column("number", _edges(slices, step), (), np.empty(0), np.empty(0), 0.0)
    counts = np.array([empty.count(column) for column in slices])
    whole = counts.sum(axis=0)
    usual = [
        beyond_chance(whole - own, own, (sum(sizes) - size, size))
        for own, size in zip(counts, sizes, strict=True)
        if len(sizes) > 1
    ]
    novel = _novel(slices, categories) if empty.kind == "category" else 0.0
    return Column(
        empty.kind,
        empty.edges,
        empty.levels,
        whole,
        counts[-1],
        max(usual, default=0.0),
        weight,
        novel,
    )


def _edges(slices: list[pa.ChunkedArray], step: float) -> np.ndarray:
    """Return the inner deciles of all slices, fewer where values repeat, in as many digits as are kept of them; with a
    ``step`` the next multiples of it.
    """
    known = np.concatenate([_finite(column) for column in slices])
    known = known[~np.isnan(known)]
    if not len(known):
        return np.empty(0)
    edges = np.quantile(known, np.arange(1, BINS) / BINS)
    edges = np.ceil(edges / step) * step if step else edges
    return np.unique([float(f"{edge:.{DIGITS}g}") for edge in edges])


def _novel(slices: list[pa.ChunkedArray], categories: tuple[str, ...]) -> float:
    """Return the share of the latest rows that a night like them would call new."""
    latest = slices[-1]
    before = pa.chunked_array(
        [chunk for column in slices[:-1] for chunk in column.chunks], pa.string()
    )
    strange = pc.invert(pc.is_in(latest, value_set=pa.array(categories, pa.string())))
    if len(before):
        strange = pc.or_(strange, pc.invert(pc.is_in(latest, value_set=pc.unique(before))))
    return pc.sum(pc.and_(strange, pc.is_valid(latest))).as_py() / len(latest)


def _count_numbers(column: pa.ChunkedArray, edges: np.ndarray) -> np.ndarray:
    numbers = _finite(column)
    place = np.searchsorted(edges, numbers)
    place[np.isnan(numbers)] = len(edges) + 1
    return np.bincount(place, minlength=len(edges) + 2)


def _count_texts(column: pa.ChunkedArray, levels: tuple[str, ...]) -> np.ndarray:
    place = pc.fill_null(pc.index_in(column, pa.array(levels, pa.string())), len(levels)).to_numpy()
    return np.bincount(
        np.where(pc.is_null(column).to_numpy(), len(levels) + 1, place), minlength=len(levels) + 2
    )


def _finite(column: pa.ChunkedArray) -> np.ndarray:
    numbers = column.to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _entities(table: pa.Table) -> int:
    return pc.count_distinct(table["entity_id"]).as_py()


def _joined(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.{DIGITS}g}" for number in numbers)


def _parted(text: str) -> np.ndarray:
    return np.array([float(number) for number in text.split()])
