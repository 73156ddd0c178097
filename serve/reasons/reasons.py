"""Reasons of a score: selected contributions, written as sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.definitions.semantics import Meaning
from features.engine.composition import Compositions, EventCompositions
from features.wording.composition import EventParts, write_with_parts
from features.wording.wording import Wording
from models.reference.typical_lead import TypicalLead
from models.scorer import Scorer
from serve.reasons.selection import FeatureGroups, SelectedReasons, select_reason_groups

# Published scores carry at most this many reasons for, and as many against (docs/reasons.md).
MAX_REASONS_PER_SIDE = 3

# ``json.dumps`` with this option would build a new encoder for each of many values.
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True)
class ReasonParts:
    """The events by type behind reasons.

    Attributes:
        compositions: One row per reason; empty for a reason that names no event types.
        types: Event types to which the compositions refer.
    """

    compositions: Compositions
    types: tuple[str, ...]

    def find_distinct(
        self, places: np.ndarray, values: list[Any], index: np.ndarray
    ) -> tuple[list[Any], list[EventParts], np.ndarray]:
        """Return distinct pairs of value and events of some reasons, and each reason's pair.

        ``index`` holds the place of each reason's value in ``values``.
        """
        counted = self.compositions
        columns = (index[:, None], counted.types[places], counted.counts[places])
        rows = np.column_stack([*columns, counted.rest[places]]).astype(np.int64)
        # Compared as bytes, which is several times as fast as column by column.
        keys = np.ascontiguousarray(rows).view(f"V{rows.shape[1] * rows.itemsize}")[:, 0]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return (
            [values[place] for place in index[first].tolist()],
            [self.list_parts(place) for place in places[first].tolist()],
            inverse,
        )

    def list_parts(self, place: int) -> EventParts:
        """Return the events behind a reason, by type."""
        counted = self.compositions
        pairs = zip(counted.types[place].tolist(), counted.counts[place].tolist(), strict=True)
        types = tuple((self.types[code], count) for code, count in pairs if count)
        return EventParts(types, int(counted.rest[place]))


@dataclass(frozen=True)
class ReasonWriter:
    """Writes reasons as sentences.

    Attributes:
        meanings: Meaning of each feature, by name.
        wording: Language and nouns of the sentences.
        typical_lead: Typical values of the training leads; empty for a model of an early version.
    """

    meanings: Mapping[str, Meaning]
    wording: Wording
    typical_lead: TypicalLead = field(default_factory=TypicalLead)

    @classmethod
    def from_scorer(cls, scorer: Scorer, wording: Wording) -> Self:
        """Return the writer for a scorer's features."""
        meanings = {feature.name: feature.meaning for feature in scorer.catalog.features}
        return cls(meanings, wording, TypicalLead.from_json(scorer.metadata.typical_lead or {}))


def prepare_compositions(
    dataset: Dataset, spine: pa.Table, scorer: Scorer, wording: Wording
) -> EventCompositions | None:
    """Return the events behind the rows of a spine, or None if no reason of the scorer names any.

    A log of one event type has none to name: ``name_only_type`` speaks of all events by its noun.
    """
    meanings = {feature.name: feature.meaning for feature in scorer.catalog.features}
    # A column of the encoding that is no feature of the catalogue is reported with the reasons.
    used = [meanings[name] for name in scorer.encoding.names if name in meanings]
    if wording.only_type or not any(m.has_composition and m.is_worded for m in used):
        return None
    return EventCompositions.from_dataset(dataset, spine, scorer.catalog, wording.ends)


def write_reasons(
    contributions: np.ndarray,
    matrix: pa.Table,
    writer: ReasonWriter,
    max_per_side: int = MAX_REASONS_PER_SIDE,
    compositions: EventCompositions | None = None,
) -> list[str]:
    """Return the reasons of each row as a JSON list: those for, then those against.

    Either side is sorted by strength and has at most ``max_per_side`` reasons. A reason has
    ``feature``, ``value`` (null if missing), ``contribution`` (of the whole group, in log-odds,
    six decimals) and ``sentence``.

    ``contributions`` has shape (rows, features + 1), in log-odds; the last column is the model's
    base value, which is no reason. The features are the columns of ``matrix``, in that order. The
    contributions of one group are summed, since they are additive (Lundberg & Lee 2017,
    https://arxiv.org/abs/1705.07874), and one feature represents the group;
    ``select_reason_groups`` documents the selection. With ``compositions``, whose rows are those of
    ``matrix``, a sentence about events of several types names them by type.

    Raises ValueError if the shapes disagree or a feature has no meaning.
    """
    _check_shapes(contributions, matrix, writer.meanings)
    groups = FeatureGroups.from_features(
        matrix.column_names, writer.meanings, writer.typical_lead, writer.wording.ends
    )
    selected = select_reason_groups(contributions[:, :-1], matrix, groups, max_per_side)
    fragments = _write_fragments(
        selected, matrix, writer, _count_types(selected, groups.meanings, compositions)
    )
    texts = [
        f"{start}{contribution!r}{end}"
        for (start, end), contribution in zip(
            fragments, selected.total.round(6).tolist(), strict=True
        )
    ]
    ends = np.cumsum(np.bincount(selected.row, minlength=matrix.num_rows)).tolist()
    return [
        f"[{', '.join(texts[first:end])}]" for first, end in zip([0, *ends], ends, strict=False)
    ]


def write_feature_sentences(
    matrix: pa.Table, writer: ReasonWriter, compositions: EventCompositions | None = None
) -> list[str]:
    """Return the sentence that states the value of each feature of a matrix of one row."""
    meanings = tuple(writer.meanings[name] for name in matrix.column_names)
    features, zeros = np.arange(len(meanings)), np.zeros(len(meanings))
    selected = SelectedReasons(zeros.astype(int), features, zeros, zeros.astype(bool))
    fragments = _write_fragments(
        selected, matrix, writer, _count_types(selected, meanings, compositions)
    )
    return [json.loads(f"{start}0{end}")["sentence"] for start, end in fragments]


def _count_types(
    selected: SelectedReasons,
    meanings: tuple[Meaning, ...],
    compositions: EventCompositions | None,
) -> ReasonParts | None:
    """Return the events by type of each reason that names them, or None without compositions."""
    if compositions is None:
        return None
    is_composed = np.array([meaning.has_composition for meaning in meanings])[selected.feature]
    parts = Compositions.allocate(len(selected.row))
    places = np.flatnonzero(is_composed)
    counted = compositions.count_types(selected.row[places], meanings, selected.feature[places])
    for name, values in vars(counted).items():
        getattr(parts, name)[places] = values
    return ReasonParts(parts, compositions.vocabulary.types)


def _check_shapes(
    contributions: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning]
) -> None:
    """Raise ValueError if the shapes disagree or a feature has no meaning."""
    expected = (matrix.num_rows, matrix.num_columns + 1)
    if contributions.shape != expected:
        raise ValueError(f"contributions have shape {contributions.shape}, expected {expected}")
    undescribed = [name for name in matrix.column_names if name not in meanings]
    if undescribed:
        raise ValueError(f"{len(undescribed)} features have no meaning, such as {undescribed[0]!r}")


def _write_fragments(
    selected: SelectedReasons, matrix: pa.Table, writer: ReasonWriter, parts: ReasonParts | None
) -> Iterable[tuple[str, str]]:
    """Return the JSON of each reason before and after its contribution."""
    # Twice the column, plus 1 if the value is described as low: one form of sentence for each.
    statement_codes = 2 * selected.feature + selected.is_low
    # One pass per form writes each distinct value once, because values repeat.
    order = np.argsort(statement_codes, kind="stable")
    codes, starts = np.unique(statement_codes[order], return_index=True)
    fragments = np.empty(len(statement_codes), dtype=object)
    for code, places in zip(codes.tolist(), np.split(order, starts[1:]), strict=False):
        name, is_low = matrix.column_names[code // 2], bool(code % 2)
        values, index = _find_distinct_values(matrix.column(name), selected.row[places])
        meaning = writer.meanings[name]
        if parts is not None and meaning.has_composition:
            values, events, index = parts.find_distinct(places, values, index)
            write_parts = write_with_parts(writer.wording, meaning, is_low)
            sentences = list(map(write_parts, values, events))
        else:
            sentences = list(map(writer.wording.sentence_writer(meaning, is_low), values))
        fragments[places] = _format_fragments(name, values, sentences)[index]
    return fragments


def _find_distinct_values(
    column: pa.ChunkedArray, rows: np.ndarray
) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values of a column in some rows, and the index of each row's value."""
    cells = column.take(pa.array(rows)).combine_chunks()
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    # The index of null is that of one more value at the end.
    values = [*map(null_if_not_finite, cells.dictionary.to_pylist()), None]
    return values, pc.fill_null(cells.indices, len(values) - 1).to_numpy()


def _format_fragments(name: str, values: list[Any], sentences: list[str]) -> np.ndarray:
    """Return the JSON before and after the contribution, one pair (an object) per value."""
    fragments = np.empty(len(values), object)
    for place, (value, sentence) in enumerate(zip(values, sentences, strict=True)):
        written = repr(value) if isinstance(value, float) else _encode_json(value)
        start = f'{{"feature": {_encode_json(name)}, "value": {written}, "contribution": '
        fragments[place] = (start, f', "sentence": {_encode_json(sentence)}}}')
    return fragments


def null_if_not_finite(value: Any) -> Any:
    """Return None for a float that JSON cannot write (NaN, infinity), else the value."""
    return None if isinstance(value, float) and not isfinite(value) else value
