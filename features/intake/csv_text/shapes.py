"""Shapes of cells, and runs of short lines that may be the parts of one record.

A program may leave out the empty cells at the end of a row. A line break in a field without quotes
leaves short lines too, whose cells stand in the wrong columns: the number of cells and their shapes
distinguish the two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from features.intake.csv_text.grammar import CsvDialect, split_fields

# Complete lines whose cells are looked at.
COMPARED_LINES = 1_000

# Fewest short lines that show the shape of an id where no line is complete.
MIN_EQUAL_LINES = 3

_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")


def find_shape(cell: str) -> str:
    """Return the shape of a text: 9 for each run of digits, a for each run of letters."""
    return _DIGITS.sub("9", _LETTERS.sub("a", cell.strip()))


def find_doubtful_lines(
    lines: pa.Array, fields: np.ndarray, short: np.ndarray, dialect: CsvDialect
) -> np.ndarray:
    """Return a mask of the short lines that may be parts of a record with line breaks.

    ``fields`` are the numbers of fields of the lines, ``short`` a mask of those with fewer than
    ``width``. A line of one field is always one of them.
    """
    doubtful = short & (fields <= 1)
    at = np.flatnonzero(short)
    if not len(at):
        return doubtful
    compared: list[set[str]] | None = None
    for begin, end in _list_runs(at, fields - 1, dialect.width - 1):
        if compared is None:
            compared = _collect_shapes(lines, fields, short, dialect)
        part = at[begin:end]
        cells = [split_fields(lines[int(i)].as_py(), dialect.delimiter) or [] for i in part]
        if not _fit_columns(cells, compared):
            doubtful[part] = True
    return doubtful


def _list_runs(at: np.ndarray, breaks: np.ndarray, needed: int) -> list[tuple[int, int]]:
    """Return begin and end of the runs of neighbours whose delimiters together make one record."""
    runs = list[tuple[int, int]]()
    sums = np.concatenate([[0], np.cumsum(breaks[at])])
    # Neighbours: the next short line is the next line.
    group = np.concatenate([[0], np.cumsum(np.diff(at) > 1)])
    # Of lines without a delimiter all that follow belong to the run.
    ends = np.searchsorted(sums, sums[:-1] + needed, side="right") - 1
    is_run = (sums[ends] - sums[:-1] == needed) & (ends - np.arange(len(at)) > 1)
    for begin in np.flatnonzero(is_run).tolist():
        end = int(ends[begin])
        if group[end - 1] == group[begin]:
            runs.append((begin, end))
    return runs


def _collect_shapes(
    lines: pa.Array, fields: np.ndarray, short: np.ndarray, dialect: CsvDialect
) -> list[set[str]]:
    """Return the shapes of each column in the first complete lines; empty if they say nothing."""
    complete = np.flatnonzero(fields == dialect.width)
    if not len(complete) and len(np.unique(fields[short])) == 1:
        # All rows lack the same cells.
        complete = np.flatnonzero(short)
    shapes = [set[str]() for _ in range(dialect.width)]
    for i in complete[:COMPARED_LINES].tolist():
        for column, cell in enumerate(split_fields(lines[i].as_py(), dialect.delimiter) or ()):
            shapes[column].add(find_shape(cell))
    if len(complete) and fields[complete[0]] < dialect.width:
        is_id = len(shapes[0]) == 1 and len(complete) >= MIN_EQUAL_LINES and "9" in min(shapes[0])
        return shapes if is_id else []
    return shapes


def _fit_columns(parts: Sequence[list[str]], shapes: Sequence[set[str]]) -> bool:
    """Return whether lines are short rows rather than the parts of one record.

    Each cell has a shape of its own column, and one of them has none of the column in which it
    would stand in the one record.
    """
    if not all(_fit_cells(part, 0, shapes) for part in parts):
        return False
    offset = 0
    for part, following in pairwise(parts):
        offset += len(part) - 1
        # The first cell is the end of a text, and may have any shape.
        if not _fit_cells(following[1:], offset + 1, shapes):
            return True
    # The beginning of a row, such as an id, within a row.
    return all(re.search(r"9", find_shape(part[0])) for part in parts if part)


def _fit_cells(cells: Sequence[str], column: int, shapes: Sequence[set[str]]) -> bool:
    return len(cells) + column <= len(shapes) and all(
        find_shape(cell) in shapes[column + i] for i, cell in enumerate(cells)
    )
