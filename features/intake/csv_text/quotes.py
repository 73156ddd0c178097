"""Quotes that close some lines later, with whole rows between them.

A quoted field may hold line breaks. A lone quote opens such a field by mistake, and the next one
closes it: the rows between them would vanish in one cell. Rows differ from text by their number of
fields, their quotes, and by cells with digits, such as ids and times, in the columns where other
rows have such cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.intake.csv_text.grammar import CsvDialect, count_fields, find_blank_lines, split_cells
from features.intake.csv_text.shapes import COMPARED_LINES, find_shape

# Least share of the lines of a field that look like rows by which its quotes are in doubt.
MIN_ROW_SHARE = 0.9
# Runs of digits and letters that must fit in cells with digits: a time, an id of both, two numbers.
# A single number may begin a line of any text.
MIN_FITTING_RUNS = 2
# Least share of the cells of a column with digits by which it is one of ids, times or numbers.
MIN_DIGIT_SHARE = 0.9

_RUN = re.compile(r"[9a]")


@dataclass
class QuoteCheck:
    """Finds the fields of several lines that are whole rows between two lone quotes.

    Attributes:
        lines: Lines of the file, binary.
        fields: Number of fields of each as ``count_fields`` returns it.
        odd: Numbers of the lines with an odd number of quotes, ascending.
        dialect: Delimiter, and number of fields.
    """

    lines: pa.Array
    fields: np.ndarray
    odd: np.ndarray
    dialect: CsvDialect
    _shapes: list[set[str]] | None = field(default=None, repr=False)

    def swallows_rows(self, begin: int, end: int) -> bool:
        """Return whether the lines of a record look like rows, but for its first one.

        The last one, with the closing quote, is looked at without this quote.
        """
        width = self.dialect.width
        if width < 2:
            return False
        places = begin + 1 + np.flatnonzero(self.fields[begin + 1 : end] == width)
        closed, _, after = self.lines[end].as_py().partition(b'"')
        last = closed + after
        # Most texts end here, which saves the slower steps.
        if not len(places) and last.count(self.dialect.delimiter.encode()) < width - 1:
            return False
        blank = np.count_nonzero(find_blank_lines(self.lines[begin + 1 : end]))
        least = MIN_ROW_SHARE * (end - begin - blank)
        if len(places) + 1 < least:
            return False
        is_row = count_fields(pa.array([last], pa.binary()), self.dialect)[0] == width
        if len(places) + is_row < max(least, 1):
            return False
        rows = [self._split(self.lines[i].as_py()) for i in places[:COMPARED_LINES].tolist()]
        # What follows the closing quote is in its column in any case.
        rows += [self._split(closed)] if is_row else []
        # With its quote closed the first line shows the cells before it.
        opening = self._split(self.lines[begin].as_py().removesuffix(b"\r") + b'"')[:-1]
        return sum(self._fits(row, opening) for row in rows) >= MIN_ROW_SHARE * len(rows)

    def _split(self, line: bytes) -> list[str]:
        return split_cells(line, self.dialect.delimiter) or []

    def _fits(self, cells: Sequence[str], opening: Sequence[str]) -> bool:
        """Return whether cells with digits have shapes that rows have in their columns."""
        if self._shapes is None:
            self._shapes = self._collect_shapes()
        runs = 0
        for column, cell in enumerate(cells):
            shape = find_shape(cell)
            own = opening[column : column + 1]
            if "9" in shape and (shape in self._shapes[column] or shape in map(find_shape, own)):
                runs += len(_RUN.findall(shape))
        return runs >= MIN_FITTING_RUNS

    def _collect_shapes(self) -> list[set[str]]:
        """Return the shapes of ids, times and numbers of each column in lines outside of quotes."""
        mask = np.zeros(len(self.lines), np.int8)
        mask[self.odd] = 1
        inside = (np.cumsum(mask) + mask) % 2 | mask
        rows = np.flatnonzero((self.fields == self.dialect.width) & (inside == 0))
        cells = [self._split(self.lines[i].as_py()) for i in rows[:COMPARED_LINES].tolist()]
        shapes = list[set[str]]()
        for column in range(self.dialect.width):
            filled = [find_shape(row[column]) for row in cells if row[column]]
            digits = [shape for shape in filled if "9" in shape]
            shapes.append(set(digits) if len(digits) >= MIN_DIGIT_SHARE * len(filled) else set())
        return shapes
