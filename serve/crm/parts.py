"""The numbered part files of a delivery, each within the limits of its CRM."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.tools.json_values import format_json
from features.tools.parallel import parallel_map
from serve.crm.formats import CrmFormat
from serve.delimited import BATCH_ROWS, concatenate_texts
from serve.export.atomic_folders import fingerprint_file, flush_to_disk, write_durably


def write_parts(
    folder: Path, texts: Sequence[pa.Table], names: Sequence[str], crm_format: CrmFormat
) -> list[dict[str, Any]]:
    """Write rows of cells as ``part-0001`` and so on; return file, rows, bytes and sha256 of each.

    ``texts`` are tables from ``render_cells``, ``names`` the header. Without rows no file is
    written.
    """
    parts = _PartWriter(folder, names, crm_format)
    batches = [batch for table in texts for batch in table.to_batches(max_chunksize=BATCH_ROWS)]
    for lines in parallel_map(partial(_join_lines, names=names, crm_format=crm_format), batches):
        parts.add(lines)
    return parts.close()


def write_parquet_part(folder: Path, table: pa.Table) -> list[dict[str, Any]]:
    """Write one Parquet file, if there are rows; return what ``write_parts`` returns."""
    if not table.num_rows:
        return []
    path = folder / "part-0001.parquet"
    write_durably(path, lambda file: pq.write_table(table, file, compression="zstd"))
    return [{"file": path.name, "rows": table.num_rows, **fingerprint_file(path)}]


def _join_lines(batch: pa.RecordBatch, names: Sequence[str], crm_format: CrmFormat) -> pa.Array:
    columns = [
        # Decoded by batch, so that the full texts of a large table are never all in memory.
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    if crm_format.extension == "csv":
        return pc.binary_join_element_wise(
            pc.binary_join_element_wise(*columns, ","), crm_format.line_end, ""
        )
    prefixes = [
        f"{', ' if position else '{'}{format_json(name)}: " for position, name in enumerate(names)
    ]
    pieces = [piece for pair in zip(prefixes, columns, strict=True) for piece in pair]
    return pc.binary_join_element_wise(*pieces, "}" + crm_format.line_end, "")


class _PartWriter:
    """Writes the parts; a line that would make one too large starts the next."""

    def __init__(self, folder: Path, names: Sequence[str], crm_format: CrmFormat) -> None:
        self._folder, self._format = folder, crm_format
        self._header = (
            b""
            if crm_format.extension != "csv"
            else crm_format.byte_order_mark + (",".join(names) + crm_format.line_end).encode()
        )
        self._file: IO[bytes] | None = None
        self._done: list[dict[str, Any]] = []

    def add(self, lines: pa.Array) -> None:
        """Write lines into as many files as they need."""
        for file, fitting_lines in self._cut(lines):
            content = concatenate_texts(fitting_lines)
            file.write(content)
            # Hashed while written: a part of hundreds of megabytes is not read a second time.
            self._hash.update(content)
            self._rows += len(fitting_lines)
            self._bytes += content.size

    def close(self) -> list[dict[str, Any]]:
        """Flush the last file to disk and return all of them."""
        if self._file is not None:
            flush_to_disk(self._file)
            self._file.close()
            totals = {"rows": self._rows, "bytes": self._bytes, "sha256": self._hash.hexdigest()}
            self._done.append({"file": Path(self._file.name).name, **totals})
            self._file = None
        return self._done

    def _cut(self, lines: pa.Array) -> Iterator[tuple[IO[bytes], pa.Array]]:
        """Yield the lines in pieces, each with the file that it fits into."""
        offsets = np.frombuffer(lines.buffers()[1], np.int32)[
            lines.offset : lines.offset + len(lines) + 1
        ]
        # In pieces and not line by line: a million leads are cut by a few searches in the offsets.
        first = 0
        while first < len(lines):
            file = self._file or self._open()
            last = first + self._room(offsets[first:])
            if last > first:
                yield file, lines.slice(first, last - first)
            if last < len(lines):
                self.close()
            first = last

    def _room(self, offsets: np.ndarray) -> int:
        """Return how many of the next lines fit; an empty file takes at least one."""
        room = len(offsets) - 1
        if self._format.max_rows is not None:
            room = min(room, self._format.max_rows - self._rows)
        if self._format.max_bytes is not None:
            room = min(
                room,
                int(
                    np.searchsorted(
                        offsets - offsets[0], self._format.max_bytes - self._bytes, "right"
                    )
                )
                - 1,
            )
        # A line longer than the limit gets a part of its own; otherwise no part would ever fit it.
        return max(room, 0 if self._rows else 1)

    def _open(self) -> IO[bytes]:
        path = self._folder / f"part-{len(self._done) + 1:04}.{self._format.extension}"
        self._file = path.open("xb")
        self._file.write(self._header)
        self._hash, self._rows, self._bytes = hashlib.sha256(self._header), 0, len(self._header)
        return self._file
