"""The numbered files of a delivery, each within what its CRM takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.tools.parallel import side_by_side
from serve.crm.formats import Format
from serve.delimited import BATCH, joined
from serve.export.atomic_folders import fingerprint, settle, write


def write_parts(
    folder: Path, texts: Sequence[pa.Table], names: Sequence[str], form: Format
) -> list[dict[str, Any]]:
    """Write rows of cells as ``part-0001`` and so on; return file, rows, bytes and sha256 of each.

    ``texts`` are cells as ``rendered`` gives them, ``names`` the header. No rows make no file.
    """
    parts = _Parts(folder, names, form)
    batches = [batch for table in texts for batch in table.to_batches(max_chunksize=BATCH)]
    for lines in side_by_side(partial(_lines, names=names, form=form), batches):
        parts.add(lines)
    return parts.close()


def write_parquet(folder: Path, table: pa.Table) -> list[dict[str, Any]]:
    """Write one Parquet file; return it as ``write_parts`` does."""
    if not table.num_rows:
        return []
    path = folder / "part-0001.parquet"
    write(path, lambda file: pq.write_table(table, file, compression="zstd"))
    return [{"file": path.name, "rows": table.num_rows, **fingerprint(path)}]


def _lines(batch: pa.RecordBatch, names: Sequence[str], form: Format) -> pa.Array:
    columns = [
        c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns
    ]
    if form.ending == "csv":
        return pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, ","), form.end, "")
    heads = [
        f"{', ' if place else '{'}{json.dumps(name, ensure_ascii=False)}: "
        for place, name in enumerate(names)
    ]
    pieces = [piece for pair in zip(heads, columns, strict=True) for piece in pair]
    return pc.binary_join_element_wise(*pieces, "}" + form.end, "")


class _Parts:
    """The files as they grow: a line that would make one too large begins the next."""

    def __init__(self, folder: Path, names: Sequence[str], form: Format) -> None:
        self._folder, self._form = folder, form
        self._head = (
            b"" if form.ending != "csv" else form.mark + (",".join(names) + form.end).encode()
        )
        self._file: IO[bytes] | None = None
        self._done: list[dict[str, Any]] = []

    def add(self, lines: pa.Array) -> None:
        """Write lines, in as many files as they need."""
        for file, piece in self._cut(lines):
            text = joined(piece)
            file.write(text)
            self._hash.update(text)
            self._rows += len(piece)
            self._bytes += text.size

    def close(self) -> list[dict[str, Any]]:
        """See the last file on the disk and return all of them."""
        if self._file is not None:
            settle(self._file)
            self._file.close()
            sums = {"rows": self._rows, "bytes": self._bytes, "sha256": self._hash.hexdigest()}
            self._done.append({"file": Path(self._file.name).name, **sums})
            self._file = None
        return self._done

    def _cut(self, lines: pa.Array) -> Iterator[tuple[IO[bytes], pa.Array]]:
        """Yield the lines in pieces, each with the file that it fits into."""
        ends = np.frombuffer(lines.buffers()[1], np.int32)[
            lines.offset : lines.offset + len(lines) + 1
        ]
        first = 0
        while first < len(lines):
            file = self._file or self._open()
            last = first + self._room(ends[first:])
            if last > first:
                yield file, lines.slice(first, last - first)
            if last < len(lines):
                self.close()
            first = last

    def _room(self, ends: np.ndarray) -> int:
        """Return how many of the next lines fit; one does in a file that has none."""
        room = len(ends) - 1
        if self._form.rows is not None:
            room = min(room, self._form.rows - self._rows)
        if self._form.bytes is not None:
            room = min(
                room,
                int(np.searchsorted(ends - ends[0], self._form.bytes - self._bytes, "right")) - 1,
            )
        return max(room, 0 if self._rows else 1)

    def _open(self) -> IO[bytes]:
        path = self._folder / f"part-{len(self._done) + 1:04}.{self._form.ending}"
        self._file = path.open("xb")
        self._file.write(self._head)
        self._hash, self._rows, self._bytes = hashlib.sha256(self._head), 0, len(self._head)
        return self._file
