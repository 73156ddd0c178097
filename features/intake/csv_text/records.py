"""Lines of a CSV file by whether they are a record, and which cells were added or removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.intake.csv_text.footer import FOOTER_LINES
from features.intake.csv_text.grammar import CsvDialect, count_fields, find_blank_lines
from features.intake.csv_text.shapes import find_doubtful_lines
from features.intake.storage.source_file import SourceFile


@dataclass(frozen=True)
class LineKinds:
    """Kinds of consecutive lines.

    Attributes:
        whole: Mask of the lines that are a record each.
        incomplete: Mask of the lines that are none, and not blank.
        fields: Number of fields of each line as ``count_fields`` returns it.
    """

    whole: np.ndarray
    incomplete: np.ndarray
    fields: np.ndarray


@dataclass(frozen=True)
class RecordLines:
    """Consecutive lines of a file that are to be split into records.

    Attributes:
        lines: Lines without LF, binary.
        first: Number of the first line, from 1.
        dialect: Delimiter, and number of fields.
        ends_rows: Whether no further row follows.
        unreadable: Mask of the lines with a NUL byte, and of those that are not UTF-8.
        is_cut: Whether the last line has no line end, so that it may be cut.
    """

    lines: pa.Array
    first: int
    dialect: CsvDialect
    ends_rows: bool
    unreadable: np.ndarray
    is_cut: bool = False

    @property
    def ready(self) -> int:
        """Return the number of lines before the short ones at the end, which may go on."""
        fields = count_fields(self.lines[-FOOTER_LINES:], self.dialect)
        whole = np.flatnonzero((fields == 0) | (fields >= self.dialect.width))
        if self.ends_rows or not len(whole):
            return len(self.lines)
        return len(self.lines) - (len(fields) - int(whole[-1]) - 1)

    def classify(self) -> LineKinds:
        """Return which lines are a record: short ones only if no other reading is possible."""
        width, blank = self.dialect.width, find_blank_lines(self.lines)
        fields = count_fields(self.lines, self.dialect)
        readable = ~self.unreadable & ~blank
        short = (fields > 0) & (fields < width) & readable
        whole = (fields >= width) & readable
        if short.any():
            if self.is_cut and len(short):
                short[-1] = False
            whole |= short & ~find_doubtful_lines(self.lines, fields, short, self.dialect)
        return LineKinds(whole, ~whole & ~blank, fields)


@dataclass
class Repairs:
    """Rows of a file that were read with other fields than they have.

    Attributes:
        surplus: Number of rows with empty fields behind the last column, and line of the first.
        short: Number of rows without their last fields, and line of the first.
    """

    surplus: tuple[int, int] = field(default=(0, 0))
    short: tuple[int, int] = field(default=(0, 0))

    def add(
        self,
        first: int,
        fields: np.ndarray,
        keep: np.ndarray,
        ends: Mapping[int, tuple[bytes, int]],
        width: int,
    ) -> None:
        """Count the rows of consecutive lines of which ``first`` is the number of the first.

        ``ends`` are the last lines of records of several lines, with their numbers of fields.
        """
        counts = np.where(keep, fields, width)
        for line, (_, count) in ends.items():
            counts[line] = count
        self.surplus = _count_rows(self.surplus, counts > width, first)
        self.short = _count_rows(self.short, (counts > 0) & (counts < width), first)

    def describe(self, file: SourceFile) -> Iterator[str]:
        """Yield a warning for each kind of repair."""
        if self.surplus[0]:
            yield (
                f"{file}: {self.surplus[0]:,} rows have a delimiter too many, such as line "
                f"{self.surplus[1]:,}; the empty cells behind the last column are left out"
            )
        if self.short[0]:
            yield (
                f"{file}: {self.short[0]:,} rows lack cells at their end, such as line "
                f"{self.short[1]:,}; these are read as empty"
            )


def _count_rows(total: tuple[int, int], mask: np.ndarray, first: int) -> tuple[int, int]:
    count = int(np.count_nonzero(mask))
    if not count:
        return total
    return total[0] + count, total[1] or first + int(np.argmax(mask))
