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

from features.definitions.semantics import Meaning
from features.wording.wording import Wording
from models.reference.typical_lead import TypicalLead
from models.scorer import Scorer
from serve.reasons.selection import FeatureGroups, select_reason_groups

# Published scores carry at most this many reasons for, and as many against (docs/reasons.md).
MAX_REASONS_PER_SIDE = 3

# ``json.dumps`` with this option would build a new encoder for each of many values.
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


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

    def write_sentence(self, name: str, value: float | str | None) -> str:
        """Return the sentence that states a feature's value."""
        return self.wording.sentence(self.meanings[name], value)


def write_reasons(
    contributions: np.ndarray,
    matrix: pa.Table,
    writer: ReasonWriter,
    max_per_side: int = MAX_REASONS_PER_SIDE,
) -> list[str]:
    """Return the reasons of each row as a JSON list: those for, then those against.

    Either side is sorted by strength and has at most ``max_per_side`` reasons. A reason has
    ``feature``, ``value`` (null if missing), ``contribution`` (of the whole group, in log-odds,
    six decimals) and ``sentence``.

    ``contributions`` has shape (rows, features + 1), in log-odds; the last column is the model's
    base value, which is no reason. The features are the columns of ``matrix``, in that order. The
    contributions of one group are summed, since they are additive (Lundberg & Lee 2017,
    https://arxiv.org/abs/1705.07874), and one feature represents the group;
    ``select_reason_groups`` documents the selection.

    Raises ValueError if the shapes disagree or a feature has no meaning.
    """
    _check_shapes(contributions, matrix, writer.meanings)
    groups = FeatureGroups.from_features(
        matrix.column_names, writer.meanings, writer.typical_lead, writer.wording.ends
    )
    selected = select_reason_groups(contributions[:, :-1], matrix, groups, max_per_side)
    fragments = _write_fragments(
        2 * selected.feature + selected.is_low, selected.row, matrix, writer
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
    statement_codes: np.ndarray, rows: np.ndarray, matrix: pa.Table, writer: ReasonWriter
) -> Iterable[tuple[str, str]]:
    """Return the JSON of each reason before and after its contribution.

    ``statement_codes`` holds, for each reason, twice its column, plus 1 if the value is described
    as low; ``rows`` holds its row in the matrix.
    """
    # One pass per feature writes each distinct value once, because values repeat.
    order = np.argsort(statement_codes, kind="stable")
    codes, starts = np.unique(statement_codes[order], return_index=True)
    fragments = np.empty(len(statement_codes), dtype=object)
    for code, places in zip(codes.tolist(), np.split(order, starts[1:]), strict=False):
        name = matrix.column_names[code // 2]
        values, index = _find_distinct_values(matrix.column(name), rows[places])
        fragments[places] = _format_fragments(name, values, writer, is_low=bool(code % 2))[index]
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


def _format_fragments(
    name: str, values: list[Any], writer: ReasonWriter, is_low: bool
) -> np.ndarray:
    """Return the JSON before and after the contribution, one pair (an object) per value."""
    write_value = writer.wording.sentence_writer(writer.meanings[name], is_low)
    fragments = np.empty(len(values), object)
    for place, value in enumerate(values):
        written = repr(value) if isinstance(value, float) else _encode_json(value)
        start = f'{{"feature": {_encode_json(name)}, "value": {written}, "contribution": '
        fragments[place] = (start, f', "sentence": {_encode_json(write_value(value))}}}')
    return fragments


def null_if_not_finite(value: Any) -> Any:
    """Return None for a float that JSON cannot write (NaN, infinity), else the value."""
    return None if isinstance(value, float) and not isfinite(value) else value
