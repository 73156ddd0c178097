"""Limits of a file, so that an odd one costs neither hours nor all memory."""

from __future__ import annotations

from configs.errors import DataError
from features.intake.storage.source_file import SourceFile

# Columns of a file. Each is read, or at least looked up, for every block of rows.
MAX_COLUMNS = 10_000
# Keys of the objects of a JSON lines file: each is looked up in each line.
MAX_KEYS = 2_000
# Maximum bytes of a line; a longer one is no line of a table, and would fill the memory.
MAX_LINE_BYTES = 1 << 26
# Maximum lines of a block: a blank line has one byte, but a dozen in memory.
MAX_BLOCK_LINES = 1 << 22
# A file that unpacks to more than MIN_BOMB_BYTES and to more than MAX_UNPACKING times its size is
# not read on: rows that differ do not pack as well.
MIN_BOMB_BYTES, MAX_UNPACKING = 1 << 30, 200
# The same for Parquet, whose size when unpacked is not known: rows of a file by its size.
MIN_BOMB_ROWS, MAX_ROWS_PER_BYTE = 100_000_000, 10


def require_few_columns(count: int, limit: int, file: SourceFile) -> None:
    """Raise DataError for a file of more columns than the limit."""
    if count > limit:
        raise DataError(
            "too many columns",
            where=file.address,
            found=f"{count:,}, more than {limit:,}",
            fix="leave out the columns that are not needed; are values in the place of names?",
        )


def require_plausible_size(file: SourceFile, size: int, packed: int) -> None:
    """Raise DataError for a file of ``packed`` bytes that unpacks to ``size`` bytes or more."""
    if size > max(MIN_BOMB_BYTES, MAX_UNPACKING * packed):
        raise DataError(
            "the file unpacks to far more than a table would",
            where=file.address,
            found=f"{packed:,} bytes hold over {size:,}, more than {MAX_UNPACKING} times as many",
            fix="remove the file, or store it uncompressed if it is right",
        )


def require_plausible_rows(file: SourceFile, rows: int, packed: int) -> None:
    """Raise DataError for a Parquet file of ``packed`` bytes that claims too many rows."""
    if rows > max(MIN_BOMB_ROWS, MAX_ROWS_PER_BYTE * packed):
        raise DataError(
            "the file holds far more rows than a table of its size would",
            where=file.address,
            found=f"{rows:,} rows in {packed:,} bytes",
            fix="remove the file, or store its rows in several files if it is right",
        )


def require_short_line(file: SourceFile, size: int, first: int) -> None:
    """Raise DataError for a line of ``size`` bytes or more, which begins after line ``first``."""
    if size > MAX_LINE_BYTES:
        raise DataError(
            "a line is too long",
            where=file.address,
            found=f"over {MAX_LINE_BYTES:,} bytes without a line end, from line {first:,} on",
            fix="is it a text file? End each row with a line feed",
        )
