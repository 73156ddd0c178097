"""CSV files as text columns, read line by line; each broken line is separated from the good ones.

Records obey the grammar of ``csv_text.grammar``. Lines end in LF or CRLF, and a blank line is not a
row. A row without its last fields, or with empty ones behind them, is read with all fields. A quote
that is never closed affects only its own line, not the rest of the file; for this, lines are split
before the parser sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.names import AUTO
from configs.source_rows import SourceRows
from features.intake.csv_text.encodings import UTF8, Decoder
from features.intake.csv_text.footer import FOOTER_LINES, find_footer, is_doubtful_total
from features.intake.csv_text.grammar import (
    CsvDialect,
    find_blank_lines,
    fit_lines,
    fit_record,
    is_utf8,
)
from features.intake.csv_text.header import HEADER_LINES, Header, describe_lines, read_header
from features.intake.csv_text.quotes import QuoteCheck
from features.intake.csv_text.records import RecordLines, Repairs
from features.intake.formats.limits import (
    MAX_BLOCK_LINES,
    MAX_COLUMNS,
    require_few_columns,
    require_plausible_size,
    require_short_line,
)
from features.intake.storage.packing import open_unpacked
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry
from features.tools.id_index import contains_nul

# Bytes read per block (64 MB); also the maximum size of a quoted field before its quote counts as
# broken.
BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class BrokenRecord:
    """A record that could not be read.

    Attributes:
        line: Number of its first line, from 1.
        text: Its text, with undecodable bytes replaced.
    """

    line: int
    text: str


@dataclass(frozen=True)
class CsvBlock:
    """Consecutive records of a CSV file.

    Attributes:
        names: Headings of all columns.
        table: The rows as text columns ``c0`` ….
        rows: Number of the line of each row, from 1.
        broken: Broken records among them.
        form: The form in which the file is written.
        warnings: One line for each kind of doubtful reading; in the last block only.
    """

    names: list[str]
    table: pa.Table
    rows: np.ndarray
    broken: list[BrokenRecord]
    form: list[FormEntry]
    warnings: list[str]


@dataclass(frozen=True)
class LineBlock:
    """Consecutive whole lines of a file.

    Attributes:
        first: Number of the first line, from 1.
        lines: Lines without LF, binary.
        last: Whether the block ends the file.
        valid: Whether all lines are known to be UTF-8.
    """

    first: int
    lines: pa.Array
    last: bool
    valid: bool = False


def read_line_blocks(file: SourceFile, decoder: Decoder | None = None) -> Iterator[LineBlock]:
    """Yield a file as blocks of whole lines, in UTF-8.

    Compressed files are decompressed by their extension; a byte-order mark is removed. Without a
    decoder the file is UTF-8. Raises DataError for a line of more than MAX_LINE_BYTES, for a file
    that unpacks without end, and for an encoding in doubt.
    """
    decoder = decoder or Decoder(file, UTF8)
    rest, first, size, packed = b"", 1, 0, file.size
    with open_unpacked(file) as stream:
        while block := stream.read(BLOCK_BYTES):
            # A mark stands at the start of a file only; anywhere else the bytes are text.
            data = rest + decoder.decode_block(block if size else decoder.begin(block))
            size += len(block)
            require_plausible_size(file, size, packed)
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                text, valid = decoder.decode_lines(data[: end - 1])
                for lines in _split_block(text):
                    yield LineBlock(first, lines, False, valid)
                    first += len(lines)
            require_short_line(file, len(rest), first)
    text, valid = decoder.decode_lines(rest + decoder.decode_block(b"", last=True))
    yield LineBlock(first, split_lines(text), True, valid)


def _split_block(data: bytes) -> Iterator[pa.Array]:
    """Yield the lines of a text without its last LF, at most MAX_BLOCK_LINES at a time."""
    if data.count(b"\n") < MAX_BLOCK_LINES:
        yield split_lines(data)
        return
    begin = 0
    while begin <= len(data):
        # No line has less than its LF, so so many bytes are not more lines.
        end = data.find(b"\n", begin + MAX_BLOCK_LINES)
        end = len(data) if end < 0 else end
        yield split_lines(data[begin:end])
        begin = end + 1


def split_lines(data: bytes) -> pa.Array:
    """Return the lines of a text without LF."""
    return pc.split_pattern(pa.array([data], pa.binary()), pattern=b"\n").flatten()


def find_unreadable_lines(lines: pa.Array, valid: bool = False) -> np.ndarray:
    """Return a mask of the lines that contain a NUL byte or are not UTF-8.

    ``valid`` says that they are known to be UTF-8.
    """
    bad = (
        _to_numpy(pc.match_substring(lines, pattern=b"\0"))
        if contains_nul(lines)
        else np.zeros(len(lines), bool)
    )
    if valid:
        return bad
    try:
        lines.cast(pa.string())
    except pa.ArrowInvalid:
        bad = bad | np.fromiter((not is_utf8(line.as_py()) for line in lines), bool, len(lines))
    return bad


def read_csv(file: SourceFile, source: SourceRows) -> Iterator[CsvBlock]:
    """Yield blocks of a CSV file.

    The header follows blank lines, a line such as ``sep=;``, and the lines of a title. A file
    without lines yields one block without columns. Raises DataError for an unreadable header, and
    where two readings are possible.
    """
    header: Header | None = None
    decoder, repairs = Decoder(file, source.encoding), Repairs()
    rest, first, valid = pa.array([], pa.binary()), 1, True
    for block in read_line_blocks(file, decoder):
        lines, valid = pa.concat_arrays([rest, block.lines]), valid and block.valid
        form = list[FormEntry]()
        if header is None:
            # A header may span lines, and the rows after it help to find the delimiter.
            if len(lines) < HEADER_LINES and not block.last and lines.nbytes < BLOCK_BYTES:
                rest = lines
                continue
            header = read_header(lines, source, file)
            require_few_columns(len(header.names), MAX_COLUMNS, file)
            lines, first = lines[header.lines :], first + header.lines
            form += header.form
        lines, held = _split_below(lines, source, header.dialect, block.last)
        if block.last:
            below = _describe_below(held, first + len(lines), source)
            form = [decoder.finish(), *form, *below]
        unreadable = find_unreadable_lines(lines, valid)
        if block.last and source.skip_below == AUTO:
            _mark_doubtful_total(lines, header.dialect, unreadable)
        part = RecordLines(
            lines,
            first,
            header.dialect,
            block.last,
            unreadable,
            is_cut=block.last and not len(held) and len(lines) > 0 and bool(lines[-1].as_py()),
        )
        table, rows, broken, used = _split_records(part, repairs)
        warnings = [*decoder.warnings, *repairs.describe(file)] if block.last else []
        yield CsvBlock(header.names, table, rows, broken, form, warnings)
        rest, first = pa.concat_arrays([lines[used:], held]), first + used
        valid = valid and block.valid


def _split_below(
    lines: pa.Array, source: SourceRows, dialect: CsvDialect, last: bool
) -> tuple[pa.Array, pa.Array]:
    """Return the lines of rows, and those below them or, before the end, those that may be so."""
    skip_below = source.skip_below
    # The text after the last line end is no line.
    size = len(lines) - int(last and len(lines) > 0 and not lines[-1].as_py())
    most = FOOTER_LINES if skip_below == AUTO else int(skip_below)
    place = max(size - most, 0)
    if last and skip_below == AUTO:
        place += find_footer(lines[place:size].to_pylist(), dialect)
    if last and place == size:
        return lines, lines[len(lines) :]
    return lines[:place], lines[place:]


def _mark_doubtful_total(lines: pa.Array, dialect: CsvDialect, unreadable: np.ndarray) -> None:
    """Mark the last row as unreadable if it may be totals as well as a row."""
    if is_doubtful_total(lines[-FOOTER_LINES:].to_pylist(), dialect):
        unreadable[np.flatnonzero(~find_blank_lines(lines))[-1]] = True


def _describe_below(held: pa.Array, first: int, source: SourceRows) -> Iterator[FormEntry]:
    """Yield the entry about lines below the rows; ``first`` is the number of the first of them."""
    if source.skip_below != AUTO:
        yield FormEntry("skip_below", "", str(source.skip_below), "config")
        return
    lines = held.to_pylist()
    count = len(lines) - int(bool(lines) and not lines[-1])
    if count:
        yield FormEntry("skip_below", "", str(count), "proven", describe_lines(lines, first))


def _split_records(
    part: RecordLines, repairs: Repairs
) -> tuple[pa.Table, np.ndarray, list[BrokenRecord], int]:
    """Return the rows, the line of each, the broken records, and the number of lines consumed."""
    lines, first, grammar = part.lines, part.first, part.dialect
    kinds = part.classify()
    starts, keep, consumed, next_free = kinds.whole.copy(), kinds.whole.copy(), part.ready, 0
    broken, incomplete = list[BrokenRecord](), np.flatnonzero(kinds.incomplete).tolist()
    odd = (
        np.flatnonzero(_to_numpy(pc.count_substring(lines, pattern=b'"')) % 2)
        if incomplete
        else np.empty(0, np.int64)
    )
    ends = dict[int, tuple[bytes, int]]()
    check = QuoteCheck(lines, kinds.fields.copy(), odd, grammar)
    for i in incomplete:
        if i < next_free or i >= consumed:
            continue
        opened, end = _find_closing_line(odd, i)
        # The closing quote may be in the next block, but no farther than a block away.
        is_open = opened and end is None and not part.ends_rows
        # Nor may a record be cut where short lines wait for the next block.
        if (is_open and lines[i:].nbytes < BLOCK_BYTES) or (end is not None and end >= consumed):
            consumed = i
            break
        record = None if end is None else _join_record(lines, i, end, grammar)
        # A record with whole rows in a field is as bad as none, and so are these rows.
        is_doubtful = record is not None and end is not None and check.swallows_rows(i, end)
        if end is not None and record is not None and not is_doubtful:
            starts[i : end + 1], keep[i : end + 1] = False, True
            starts[i], next_free = True, end + 1
            kinds.fields[i : end + 1] = 0
            ends |= {end: record} if record[1] != grammar.width else {}
            continue
        next_free = 1 + (end if end is not None and is_doubtful else i)
        starts[i:next_free] = keep[i:next_free] = False
        broken += _list_broken(lines[i:next_free], first + i)
    starts[consumed:] = keep[consumed:] = False
    fitted = _fit_kept_lines(lines, kinds.fields, keep, ends, grammar)
    repairs.add(first, kinds.fields, keep, ends, grammar.width)
    return _parse_records(fitted, grammar), first + np.flatnonzero(starts), broken, consumed


def _list_broken(lines: pa.Array, first: int) -> Iterator[BrokenRecord]:
    """Yield a record for each line that is not blank; ``first`` is the number of the first one."""
    for line, text in enumerate(lines.to_pylist(), first):
        if text not in (b"", b"\r"):
            yield BrokenRecord(line, text.decode("utf-8", "replace"))


def _join_record(
    lines: pa.Array, begin: int, end: int, grammar: CsvDialect
) -> tuple[bytes, int] | None:
    """Return the last line of a record of several lines as it is with all fields.

    With it, the number of fields that it had; None if the lines are no record.
    """
    parts = lines[begin : end + 1].to_pylist()
    record = fit_record(b"\n".join(parts), grammar)
    if record is None:
        return None
    before = len(b"\n".join(parts[:-1])) + 1
    return record[0][before:], record[1]


def _fit_kept_lines(
    lines: pa.Array,
    fields: np.ndarray,
    keep: np.ndarray,
    ends: Mapping[int, tuple[bytes, int]],
    grammar: CsvDialect,
) -> pa.Array:
    """Return the lines of the rows with all fields; ``ends`` are last lines to put in place."""
    if ends:
        mask = np.zeros(len(lines), bool)
        mask[list(ends)] = True
        new = pa.array([text for text, _ in (ends[i] for i in sorted(ends))], lines.type)
        lines = pc.replace_with_mask(lines, pa.array(mask), new)
    kept = lines if keep.all() else lines.filter(pa.array(keep))
    own = fields[keep]
    return fit_lines(kept, own, grammar) if ((own > 0) & (own != grammar.width)).any() else kept


def _find_closing_line(odd: np.ndarray, line: int) -> tuple[bool, int | None]:
    """Return whether a line leaves a quote open, and the next line that can close it.

    Both have an odd number of quotes; ``odd`` are the numbers of such lines.
    """
    at = int(np.searchsorted(odd, line))
    opened = at < len(odd) and bool(odd[at] == line)
    return opened, int(odd[at + 1]) if opened and at + 1 < len(odd) else None


def _parse_records(lines: pa.Array, grammar: CsvDialect) -> pa.Table:
    names = [f"c{i}" for i in range(grammar.width)]
    if not len(lines):
        return pa.table({name: pa.array([], pa.string()) for name in names})
    data = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"\n")[0].as_buffer()
    # One block for all: Arrow (25.0.1) refuses a quoted value that straddles two. No text is null
    # here, not even "NA": which texts mean a missing value is up to the config.
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        arrow_csv.ReadOptions(column_names=names, block_size=len(data) + 1),
        arrow_csv.ParseOptions(delimiter=grammar.delimiter, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _to_numpy(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
