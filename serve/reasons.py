"""Contributions to a score, grouped and worded for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from features.meaning import Meaning

THRESHOLD = 0.02
"""Log-odds below which a group of features is no reason: at most half a percentage point of probability."""


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
    said = _said(np.where(chosen, speaker, -1), matrix, meanings)
    return [_as_json(*row) for row in zip(said, total.round(6).tolist(), strict=True)]


def sentence(value: float | str | None, meaning: Meaning) -> str:
    """Return what a feature's value says, in words; None or a number that is not finite is a missing value."""
    value = _known(value)
    if value is None:
        return meaning.absent or f"{meaning.what}: not known"
    if meaning.unit == "count" and value == 0 and meaning.absent:
        return meaning.absent
    return meaning.present.format(value=_Shown(value, meaning.unit), s="" if value == 1 else "s")


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


def _said(speaker: np.ndarray, matrix: pa.Table, meanings: Mapping[str, Meaning]) -> np.ndarray:
    """Return (rows, slots) of (feature, value, sentence), None where ``speaker`` is -1.

    Goes feature by feature and words each value once: values repeat, and few cells of the matrix are wanted.
    """
    said = np.full(speaker.shape, None, dtype=object)
    for column in np.unique(speaker[speaker >= 0]):
        name = matrix.column_names[column]
        places = np.nonzero(speaker == column)
        cells = [_known(cell) for cell in matrix.column(name).take(pa.array(places[0])).to_pylist()]
        worded = {cell: (name, cell, sentence(cell, meanings[name])) for cell in set(cells)}
        for row, slot, cell in zip(*places, cells, strict=True):
            said[row, slot] = worded[cell]
    return said


def _as_json(said: np.ndarray, contributions: list[float]) -> str:
    found = [
        {"feature": one[0], "value": one[1], "contribution": contribution, "sentence": one[2]}
        for one, contribution in zip(said, contributions, strict=True)
        if one is not None
    ]
    return json.dumps(found, ensure_ascii=False)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


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


@dataclass(frozen=True)
class _Shown:
    """A value that a template writes in its own unit, ``{value}``, or in a named one, ``{value:count}``."""

    value: float | str
    unit: str

    def __format__(self, unit: str) -> str:
        return FORMATS[unit or self.unit](self.value)
