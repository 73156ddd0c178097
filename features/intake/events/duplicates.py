"""Rows of the log that repeat another, in one source or in several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from configs.schema import Project
from features.intake.identity.equal_events import (
    MAX_COMPARED_ROWS,
    EqualRows,
    choose_first_known,
    describe_conflicts,
    describe_differences,
    hash_log,
    order_events,
    pair_equal_rows,
)
from features.intake.identity.equal_files import (
    FileRows,
    describe_cut_files,
    describe_repeated_files,
    merge_file_rows,
)
from features.intake.identity.id_doubts import IdDoubts
from features.intake.quarantine import (
    DUPLICATE,
    Rejections,
)
from features.intake.reading import SourceReader
from features.tools.duplicates import find_duplicate_rows, sum_hashes


def settle_duplicates(
    project: Project,
    readers: list[SourceReader],
    rejections: list[Rejections],
    doubts: list[IdDoubts],
    hashes: pa.Table,
    log: pa.Table,
) -> tuple[np.ndarray, list[list[str]]]:
    """Return the rows that repeat another, ascending, and by source the warnings about them.

    Of events with one id of their own and different content the one known first is used.
    """
    again = find_duplicate_rows(hashes)
    begin, parts, differences = 0, [again[:0]], list[list[str]]()
    for i, (reader, rejected) in enumerate(zip(readers, rejections, strict=True)):
        source, end = project.sources.events[i], begin + rejected.rows - len(rejected.row_numbers)
        where, key = f"{source.label}: events_{i + 1}", f"sources.events[{i}]"
        rows = again[np.searchsorted(again, begin) : np.searchsorted(again, end)]
        if source.event_id is None:
            own = pair_equal_rows(hashes, rows[:MAX_COMPARED_ROWS]).between(begin, end)
            pairs = EqualRows(*map(rejected.used_row_numbers, (own.again, own.firsts)))
            line = describe_differences(pairs, len(rows), reader.reread, where, key)
        else:
            pairs = pair_equal_rows(hashes, rows)
            pairs = choose_first_known(pairs, lambda rows: order_events(log, rows))
            line, rows = describe_conflicts(log, pairs, f"{where}: {source.event_id}"), pairs.again
        parts.append(rows)
        files = merge_file_rows(doubts[i].files)
        lines = _describe_files(files, rejected, hashes, rows, begin)
        differences.append([line, *lines] if line else [*lines])
        begin = end
    return np.concatenate(parts), differences


def _describe_files(
    files: list[FileRows],
    rejected: Rejections,
    hashes: pa.Table,
    again: np.ndarray,
    begin: int,
) -> Iterator[str]:
    """Yield the warnings about files of a source, whose first row of the log is ``begin``."""

    def find_firsts(places: np.ndarray) -> np.ndarray:
        firsts = pair_equal_rows(hashes, again[places]).firsts - begin
        return np.where(firsts >= 0, rejected.used_row_numbers(firsts), -1)

    if len(files) > 1:
        duplicates = rejected.used_row_numbers(again - begin)
        yield from describe_repeated_files(files, rejected.row_numbers, duplicates, find_firsts)
        yield from describe_cut_files(files)


def sum_content(project: Project, log: pa.Table, hashes: pa.Table, again: np.ndarray) -> bytes:
    """Return the sum of the hashes of the log's content; ``hashes`` are those of all good rows."""
    # Where an own id stands for the event, its hash says nothing about the content.
    if any(source.event_id for source in project.sources.events):
        return sum_hashes(hash_log(log), again[:0])
    return sum_hashes(hashes, again)


def add_duplicates(rejections: list[Rejections], again: np.ndarray) -> Iterator[Rejections]:
    """Yield each source's rejections, with its rows among the log's duplicates added."""
    begin = 0
    for rejection in rejections:
        end = begin + rejection.rows - len(rejection.row_numbers)
        source_duplicates = (
            again[np.searchsorted(again, begin) : np.searchsorted(again, end)] - begin
        )
        yield rejection.with_reason(rejection.used_row_numbers(source_duplicates), DUPLICATE)
        begin = end


def drop_rows(table: pa.Table, row_numbers: np.ndarray) -> Iterator[pa.Table]:
    """Yield a table in pieces without the rows of these numbers, which ascend."""
    begin = 0
    for batch in table.to_batches():
        end = begin + len(batch)
        dropped = (
            row_numbers[np.searchsorted(row_numbers, begin) : np.searchsorted(row_numbers, end)]
            - begin
        )
        keep = np.ones(len(batch), bool)
        keep[dropped] = False
        yield pa.Table.from_batches([batch.filter(pa.array(keep)) if len(dropped) else batch])
        begin = end
