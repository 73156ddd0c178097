"""Contributions to a score, grouped and worded for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from string import Formatter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.meaning import Meaning

THRESHOLD = 0.02
"""Log-odds below which a group of features is no reason: at most half a percentage point of probability."""

_text = json.JSONEncoder(ensure_ascii=False).encode


def reasons(contributions: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning], most: int = 3) -> list[str]:
    """Return the reasons of each row as JSON: those for, strongest first, then those against, strongest first.

    ``contributions`` has shape (rows, features + 1), in log-odds; the last column is the model's base value and
    no reason. Its features are the columns of ``matrix``, in that order. The features of one group are summed,
    as additive contributions may be (Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874). Of those that pull
    the sum's way the hardest speaks for them, one whose meaning does not speak only where no other pulls that way.
    A reason has ``feature``, ``value`` (null where missing), ``contribution`` (the group's, in log-odds, six
    decimals) and ``sentence``. There are at most ``most`` on either side and none below THRESHOLD; ties go to the
    group whose first column comes first.

    Raises ValueError if the shapes disagree or a feature has no meaning.
    """
    _check(contributions, matrix, meanings)
    members = _members([meanings[name].group for name in matrix.column_names])
    sums = _group_sums(contributions, members)
    group = np.hstack([_largest(sums, most), _largest(-sums, most)])
    total = np.take_along_axis(sums, group, axis=1)
    is_for = np.arange(group.shape[1]) < group.shape[1] // 2
    chosen = np.where(is_for, total, -total) >= THRESHOLD
    speaks = np.array([meanings[name].speaks for name in matrix.column_names])
    speaker = _speakers(contributions, speaks, members, group, np.where(is_for, 1.0, -1.0))
    rows = np.nonzero(chosen)[0]
    said = _said(speaker[chosen], rows, matrix, meanings)
    texts = [
        f"{start}{contribution!r}{end}"
        for (start, end), contribution in zip(said, total[chosen].round(6).tolist(), strict=True)
    ]
    ends = np.cumsum(np.bincount(rows, minlength=len(chosen))).tolist()
    return [f"[{', '.join(texts[first:end])}]" for first, end in zip([0, *ends], ends, strict=False)]


def sentence(value: float | str | None, meaning: Meaning) -> str:
    """Return what a feature's value says, in words; None or a number that is not finite is a missing value."""
    return _wording(meaning)(_known(value))


def _wording(meaning: Meaning) -> Callable[[Any], str]:
    """Return what words a known value or None: the template is read once for all values of a feature."""
    absent = meaning.absent or f"{meaning.what}: not known"
    zero_is_absent = meaning.unit == "count" and bool(meaning.absent)
    pattern, fields = _template(meaning)

    def worded(value: Any) -> str:
        if value is None or (zero_is_absent and value == 0):
            return absent
        return pattern % tuple([written(value) for written in fields])

    return worded


def _template(meaning: Meaning) -> tuple[str, list[Callable[[Any], str]]]:
    """Return a sentence with ``%s`` in each gap, and what writes a value into each."""
    pattern, fields = "", []
    for literal, field, unit, _ in Formatter().parse(meaning.present):
        pattern += literal.replace("%", "%%")
        if field is not None:
            pattern += "%s"
            fields.append(_plural if field == "s" else FORMATS[unit or meaning.unit])
    return pattern, fields


def _check(contributions: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning]) -> None:
    expected = (matrix.num_rows, matrix.num_columns + 1)
    if contributions.shape != expected:
        raise ValueError(f"contributions have shape {contributions.shape}, the matrix asks for {expected}")
    wordless = [name for name in matrix.column_names if name not in meanings]
    if wordless:
        raise ValueError(f"{len(wordless)} features have no meaning, such as {wordless[0]!r}")


def _members(groups: list[str]) -> list[list[int]]:
    """Return the columns of each group, groups in the order of their first column."""
    found: dict[str, list[int]] = {}
    for column, group in enumerate(groups):
        found.setdefault(group, []).append(column)
    return list(found.values())


def _group_sums(contributions: np.ndarray, members: list[list[int]]) -> np.ndarray:
    """Return (rows, groups) sums, added in the order of the columns so that no machine's bits differ."""
    starts = np.cumsum([0, *(len(columns) for columns in members)])[:-1]
    return np.add.reduceat(contributions[:, np.concatenate(members)], starts, axis=1)


def _largest(values: np.ndarray, most: int) -> np.ndarray:
    """Return (rows, at most ``most``) columns of the largest values, largest first, ties by column."""
    return np.argsort(-values, axis=1, kind="stable")[:, :most]


def _speakers(
    contributions: np.ndarray, speaks: np.ndarray, members: list[list[int]], group: np.ndarray, sides: np.ndarray
) -> np.ndarray:
    """Return, for each (row, slot), the column of the slot's group that pulls hardest to the slot's side.

    A column that does not speak (``speaks``, one a feature) is taken only where no other pulls to that side.
    """
    longest = max(len(columns) for columns in members)
    padded = np.array([columns + columns[:1] * (longest - len(columns)) for columns in members])
    rows = np.arange(len(group))[:, None]
    speaker = np.empty_like(group)
    for slot, side in enumerate(sides):
        candidates = padded[group[:, slot]]
        pull = side * contributions[rows, candidates]
        spoken = np.where(speaks[candidates], pull, -np.inf)
        hardest = np.argmax(np.where(spoken.max(axis=1, keepdims=True) > 0, spoken, pull), axis=1)
        speaker[:, slot] = candidates[rows[:, 0], hardest]
    return speaker


def _said(
    speaker: np.ndarray, rows: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning]
) -> Iterable[tuple[str, str]]:
    """Return the JSON of each (speaker, row), a column of ``matrix`` and one of its rows, around the contribution.

    Goes feature by feature and words each value once: values repeat, and few cells of the matrix are wanted.
    """
    order = np.argsort(speaker, kind="stable")
    columns, starts = np.unique(speaker[order], return_index=True)
    said = np.empty(len(speaker), dtype=object)
    for column, places in zip(columns, np.split(order, starts[1:]), strict=False):
        name = matrix.column_names[column]
        values, which = _values(matrix.column(name), rows[places])
        said[places] = _worded(name, values, meanings[name])[which]
    return said


def _values(column: pa.ChunkedArray, rows: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the values that a column has in some rows, each once, and which one each row has."""
    cells = column.take(pa.array(rows)).combine_chunks()
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    # A missing value is one more at the end.
    values = [*map(_known, cells.dictionary.to_pylist()), None]
    return values, pc.fill_null(cells.indices, len(values) - 1).to_numpy()


def _worded(name: str, values: list[Any], meaning: Meaning) -> np.ndarray:
    """Return the texts before and after the contribution of each value, as one object each."""
    start, words, texts = f'{{"feature": {_text(name)}, "value": ', _wording(meaning), np.empty(len(values), object)
    for place, value in enumerate(values):
        written = repr(value) if isinstance(value, float) else _text(value)
        texts[place] = (f'{start}{written}, "contribution": ', f', "sentence": {_text(words(value))}}}')
    return texts


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _plural(value: float | str) -> str:
    return "" if value == 1 else "s"


def _count(value: float) -> str:
    return f"{round(value):,}"


def _days(days: float) -> str:
    """Return days in whole days, or in hours below one day."""
    size, sign = abs(days), "-" if days < 0 else ""
    hours = round(size * 24)
    if hours == 0:
        return "less than an hour"
    number, unit = (hours, "hour") if hours < 24 else (round(size), "day")
    return f"{sign}{number:,} {unit}{'s' * (number != 1)}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:,.2f}"


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.2g}"


def _change(value: float) -> str:
    return f"{value:+,.0f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _category(value: float | str) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value == round(value) else str(value)


FORMATS: Mapping[str, Callable[[Any], str]] = {
    "count": _count,
    "days": _days,
    "amount": _amount,
    "number": _number,
    "category": _category,
    "change": _change,
    "share": _share,
}
