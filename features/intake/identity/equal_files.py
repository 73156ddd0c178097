"""Files of a folder that repeat each other, and files that may have been cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.intake.formats.listing import find_file

# Fewest rows of a file that are no chance repetition of others.
MIN_REPEATED_ROWS = 2
# Fewest other files that show how the files of a folder end.
MIN_OTHER_FILES = 2
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class FileRows:
    """The rows of one file of a source.

    Attributes:
        file: Path of the file.
        first: Number ``nr`` of its first row.
        end: Number after its last row.
    """

    file: str
    first: int
    end: int


def list_file_rows(piece: pa.Table) -> Iterator[FileRows]:
    """Yield the parts of files in a piece of a source, by its columns ``file`` and ``nr``."""
    begin = 0
    for chunk in piece["file"].chunks:
        # One chunk for each block of a file, so it names one file.
        if len(chunk):
            first = piece["nr"][begin].as_py()
            yield FileRows(chunk[0].as_py(), first, first + len(chunk))
        begin += len(chunk)


def merge_file_rows(parts: Sequence[FileRows]) -> list[FileRows]:
    """Return one element for each file, in the order of the rows."""
    files = dict[str, FileRows]()
    for part in parts:
        other = files.get(part.file, part)
        first, end = min(part.first, other.first), max(part.end, other.end)
        files[part.file] = FileRows(part.file, first, end)
    return sorted(files.values(), key=lambda rows: rows.first)


def describe_repeated_files(
    files: Sequence[FileRows],
    rejected: np.ndarray,
    duplicates: np.ndarray,
    find_firsts: Callable[[np.ndarray], np.ndarray],
) -> Iterator[str]:
    """Yield a warning for each file all of whose usable rows repeat earlier rows.

    ``files`` are in the order of their rows. ``rejected`` and ``duplicates`` are ascending row
    numbers; ``find_firsts`` returns the rows that the given places of ``duplicates`` repeat, -1 for
    one in another source.
    """
    repeated = dict[FileRows, int]()
    for rows in files:
        used = rows.end - rows.first - _count_between(rejected, rows)
        again = _count_between(duplicates, rows)
        if again >= max(MIN_REPEATED_ROWS, used):
            repeated[rows] = again
    # All in one pass over the log, since there may be thousands of files.
    firsts = find_firsts(np.searchsorted(duplicates, [rows.first for rows in repeated]))
    places = np.searchsorted([rows.first for rows in files], firsts, side="right") - 1
    for (rows, again), first, place in zip(repeated.items(), firsts, places, strict=True):
        if first >= 0 and files[place].file != rows.file:
            yield (
                f"{rows.file}: all of its {again:,} rows repeat rows of other files, the first one "
                f"of {[files[place].file]}: was a file delivered twice under another name? Remove "
                "one of them"
            )


def _count_between(numbers: np.ndarray, rows: FileRows) -> int:
    begin, end = np.searchsorted(numbers, [rows.first, rows.end])
    return int(end - begin)


def describe_cut_files(files: Sequence[FileRows]) -> Iterator[str]:
    """Yield a warning for each text file without a last line end, if all others have one."""
    texts = [rows.file for rows in files if rows.file.endswith(TEXT_SUFFIXES)]
    cut = [address for address in texts if not _ends_with_line(address)]
    if len(cut) == 1 and len(texts) > MIN_OTHER_FILES:
        yield (
            f"{cut[0]}: the last line has no line end, unlike that of {len(texts) - 1:,} other "
            "files: was the file cut? Compare its rows with the program that wrote it"
        )


def _ends_with_line(address: str) -> bool:
    with find_file(address).open() as stream:
        size = stream.size()
        return size == 0 or stream.read_at(1, size - 1) == b"\n"
