"""Tables assembled piece by piece, spilled from memory to an unnamed file once they grow large."""

from __future__ import annotations

import functools
import mmap
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pyarrow as pa

from configs.errors import ConfigError
from features.tools.duckdb_sql import run_query

# A table may take one eighth of DuckDB's memory limit before it is spilled. That limit is four
# fifths of the memory, so a table gets a tenth of it.
MEMORY_LIMIT_DIVISOR = 8

BYTES_PER_UNIT = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@functools.cache
def get_max_bytes_in_memory() -> int:
    """Return the size in bytes beyond which a table is spilled.

    It is a tenth of the memory that a process may use here. DuckDB knows that of the machine or of
    its container, and sets its own limit to four fifths of it by default.
    """
    query = "SELECT current_setting('memory_limit') AS memory_limit"
    text = run_query(query)["memory_limit"][0].as_py()
    number, unit = text.split()
    return int(float(number) * BYTES_PER_UNIT[unit]) // MEMORY_LIMIT_DIVISOR


class SpillBuffer:
    """Collects the pieces of one table and returns it whole, in memory or mapped from a file.

    With a ``scratch`` folder, which need not exist yet, a table beyond ``get_max_bytes_in_memory``
    becomes an uncompressed Arrow file there that is mapped into memory, so that its pages belong to
    the operating system. The file never has a name: it vanishes with the table or with the process,
    however that ends.
    """

    def __init__(self, schema: pa.Schema, scratch: Path | None) -> None:
        self._schema, self._scratch = schema, scratch
        self._pieces, self._size = list[pa.Table](), 0
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchFileWriter | None = None

    @classmethod
    def collect(
        cls, schema: pa.Schema, pieces: Iterable[pa.Table], scratch: Path | None
    ) -> pa.Table:
        """Return the table of all pieces."""
        buffer = cls(schema, scratch)
        for piece in pieces:
            buffer.add(piece)
        return buffer.to_table()

    def add(self, piece: pa.Table) -> None:
        """Append rows of the schema; raise ConfigError if the scratch folder cannot take them."""
        self._size += piece.nbytes
        self._pieces.append(piece)
        if self._scratch is None or (
            self._writer is None and self._size <= get_max_bytes_in_memory()
        ):
            return
        try:
            self._spill(self._scratch)
        except OSError as error:
            raise _build_scratch_error(self._scratch, error) from error

    def to_table(self) -> pa.Table:
        """Return all rows in the order in which they were added; nothing can be added later."""
        if self._writer is None or self._file is None:
            return pa.concat_tables([self._schema.empty_table(), *self._pieces])
        try:
            self._writer.close()
            self._file.flush()
        except OSError as error:
            raise _build_scratch_error(self._scratch, error) from error
        with self._file as file:  # the mapping outlives the file's handle
            return pa.ipc.open_file(
                pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            ).read_all()

    def _spill(self, scratch: Path) -> None:
        if self._writer is None:
            self._file = open_unnamed_file(scratch)
            self._writer = pa.ipc.new_file(self._file, self._schema)
        for piece in self._pieces:
            self._writer.write_table(piece)
        self._pieces.clear()


def exceeds_memory(table: pa.Table) -> bool:
    """Return whether a table is too large to be kept in memory."""
    return table.nbytes > get_max_bytes_in_memory()


def open_unnamed_file(scratch: Path) -> IO[bytes]:
    """Open a file without a name in a folder, created if missing; it vanishes once it is closed."""
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=scratch)


def _build_scratch_error(scratch: Path | None, error: OSError) -> ConfigError:
    fix = "free disk space there, or move the workspace with LEADSCORE_WORKSPACE"
    return ConfigError(
        "cannot write to the scratch folder", where=str(scratch), found=str(error), fix=fix
    )
