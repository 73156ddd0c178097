"""Fingerprint of a data set, independent of the order and the files of the events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from features.merges import LeadMerges
from features.visitors.links import VisitorLinks


def compute_fingerprint(
    leads: pa.Table,
    events: pa.Table,
    events_sum: bytes,
    values: pa.Table,
    merges: LeadMerges | None = None,
    links: VisitorLinks | None = None,
) -> str:
    """Return a hash of names, types and values of the tables, independent of their chunks.

    ``leads`` and ``values`` have a defined order; the events enter by ``events_sum``, the sum of
    their hashes.
    """
    digest = hashlib.sha256()
    log = [_schema_bytes(events), *([events_sum] if events.num_rows else [])]
    # Without values, merges or links nothing is added, so that data without them keeps the
    # fingerprint that it had before there were any.
    for part in chain(
        _iter_table_bytes(leads),
        log,
        _iter_table_bytes(values) if values.num_rows else (),
        _iter_table_bytes(merges.views) if merges else (),
        _iter_table_bytes(links.ownerships) if links else (),
    ):
        digest.update(part)
    return digest.hexdigest()[:16]


def _iter_table_bytes(table: pa.Table) -> Iterator[bytes]:
    yield _schema_bytes(table)
    for column in table.columns:
        yield from _iter_column_bytes(column)


def _schema_bytes(table: pa.Table) -> bytes:
    return repr([(field.name, str(field.type)) for field in table.schema] + [len(table)]).encode()


def _iter_column_bytes(column: pa.ChunkedArray, step: int = 1 << 16) -> Iterator[bytes]:
    """Yield the bytes of a column, in steps of rows: null mask, then texts or numbers.

    Texts are preceded by their lengths, so that no two columns give the same bytes.
    """
    for start in range(0, len(column), step):
        values = column.slice(start, step).combine_chunks()
        yield pc.is_null(values).to_numpy(zero_copy_only=False).tobytes()
        if pa.types.is_string(values.type):
            filled = pc.fill_null(values, "")
            yield pc.binary_length(filled).to_numpy().tobytes()
            yield (
                pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0]
                .as_py()
                .encode()
            )
        else:
            number = values if pa.types.is_floating(values.type) else values.cast(pa.int64())
            yield pc.fill_null(number, 0).to_numpy().tobytes()
