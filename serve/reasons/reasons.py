"""Contributions to a score, chosen as reasons and worded for people."""

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
from serve.reasons.selection import FeatureGroups, select_reasons

MAX_REASONS_PER_SIDE = 3
"""Reasons on either side."""

_encode_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class ReasonWriter:
    """What words reasons: the meanings of the features by name, the words, and what is usual among the leads."""

    meanings: Mapping[str, Meaning]
    wording: Wording
    typical_lead: TypicalLead = field(default_factory=TypicalLead)

    @classmethod
    def from_scorer(cls, scorer: Scorer, wording: Wording) -> Self:
        """Tell of a scorer's features; one of an earlier version does not know what is usual."""
        meanings = {feature.name: feature.meaning for feature in scorer.catalog.features}
        return cls(meanings, wording, TypicalLead.from_json(scorer.metadata.typical_lead or {}))

    def write_sentence(self, name: str, value: float | str | None) -> str:
        """Return what a feature's value says by itself."""
        return self.wording.sentence(self.meanings[name], value)


def write_reasons(
    contributions: np.ndarray, matrix: pa.Table, writer: ReasonWriter, max_per_side: int = MAX_REASONS_PER_SIDE
) -> list[str]:
    """Return the reasons of each row as JSON: those for, strongest first, then those against, strongest first.

    ``contributions`` has shape (rows, features + 1), in log-odds; the last column is the model's base value and
    no reason. Its features are the columns of ``matrix``, in that order. The features of one group are summed,
    as additive contributions may be (Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874), and one speaks for them;
    which, and what is not told, ``serve.choosing`` says. A reason has ``feature``, ``value`` (null where missing),
    ``contribution`` (the group's, in log-odds, six decimals) and ``write_sentence``. There are at most ``most`` on either
    side.

    Raises ValueError if the shapes disagree or a feature has no meaning.
    """
    _check_shapes(contributions, matrix, writer.meanings)
    groups = FeatureGroups.from_features(matrix.column_names, writer.meanings, writer.typical_lead, writer.wording.ends)
    chosen = select_reasons(contributions[:, :-1], matrix, groups, max_per_side)
    said = _write_fragments(2 * chosen.feature + chosen.is_low, chosen.row, matrix, writer)
    texts = [
        f"{start}{contribution!r}{end}"
        for (start, end), contribution in zip(said, chosen.total.round(6).tolist(), strict=True)
    ]
    ends = np.cumsum(np.bincount(chosen.row, minlength=matrix.num_rows)).tolist()
    return [
        f"[{', '.join(texts[first:end])}]" for first, end in zip([0, *ends], ends, strict=False)
    ]


def _check_shapes(contributions: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning]) -> None:
    expected = (matrix.num_rows, matrix.num_columns + 1)
    if contributions.shape != expected:
        raise ValueError(
            f"contributions have shape {contributions.shape}, the matrix asks for {expected}"
        )
    wordless = [name for name in matrix.column_names if name not in meanings]
    if wordless:
        raise ValueError(f"{len(wordless)} features have no meaning, such as {wordless[0]!r}")


def _write_fragments(
    statement_codes: np.ndarray, rows: np.ndarray, matrix: pa.Table, writer: ReasonWriter
) -> Iterable[tuple[str, str]]:
    """Return the JSON of each reason around its contribution; ``what`` is twice its column, and 1 more for little.

    Goes feature by feature and words each value once: values repeat, and few cells of the matrix are wanted.
    """
    order = np.argsort(statement_codes, kind="stable")
    kinds, starts = np.unique(statement_codes[order], return_index=True)
    said = np.empty(len(statement_codes), dtype=object)
    for kind, places in zip(kinds.tolist(), np.split(order, starts[1:]), strict=False):
        name = matrix.column_names[kind // 2]
        values, which = _find_distinct_values(matrix.column(name), rows[places])
        said[places] = _format_fragments(name, values, writer, is_low=bool(kind % 2))[which]
    return said


def _find_distinct_values(column: pa.ChunkedArray, rows: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the values that a column has in some rows, each once, and which one each row has."""
    cells = column.take(pa.array(rows)).combine_chunks()
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    # A missing value is one more at the end.
    values = [*map(null_if_not_finite, cells.dictionary.to_pylist()), None]
    return values, pc.fill_null(cells.indices, len(values) - 1).to_numpy()


def _format_fragments(name: str, values: list[Any], writer: ReasonWriter, is_low: bool) -> np.ndarray:
    """Return the texts before and after the contribution of each value, as one object each."""
    words, texts = (
        writer.wording.wording(writer.meanings[name], is_low),
        np.empty(len(values), object),
    )
    for place, value in enumerate(values):
        written = repr(value) if isinstance(value, float) else _encode_json(value)
        start = f'{{"feature": {_encode_json(name)}, "value": {written}, "contribution": '
        texts[place] = (start, f', "sentence": {_encode_json(words(value))}}}')
    return texts


def null_if_not_finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
