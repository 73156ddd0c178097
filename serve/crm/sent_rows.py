"""The rows that a delivery sent, read back from its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json

from serve.crm.results_file import Layout, hash_cells
from serve.crm.stored_deliveries import StoredDelivery


@dataclass(frozen=True)
class SentRows:
    """Keys of the rows of a delivery, and hashes of all their cells, uint64 (rows, 2).

    Only CSV has the texts that a CRM returns: other files have no hashes.
    """

    keys: pa.ChunkedArray
    hashes: np.ndarray | None


def read_layout(delivery: StoredDelivery) -> Layout:
    """Return the key and the columns of a delivery."""
    names = [column["name"] for column in delivery.manifest["columns"]]
    return Layout(delivery.manifest["key"], frozenset([delivery.manifest["key"], *names]))


def read_sent_keys(delivery: StoredDelivery) -> pa.ChunkedArray:
    """Return the keys of the rows of a delivery, of scored leads and of leads to clear."""
    key = delivery.manifest["key"]
    chunks = [chunk for path in _list_parts(delivery) for chunk in _read_keys(path, key).chunks]
    return pa.chunked_array(chunks, pa.string())


def read_sent_rows(delivery: StoredDelivery) -> SentRows:
    """Return keys and hashes of the rows of a delivery; the files are read in batches."""
    if any(path.suffix != ".csv" for path in _list_parts(delivery)):
        return SentRows(read_sent_keys(delivery), None)
    keys, hashes = list[pa.Array](), [np.empty((0, 2), np.uint64)]
    # Sorted by name, as in a results file, where the columns may come in any order.
    names = sorted(read_layout(delivery).columns)
    for path in _list_parts(delivery):
        for batch in _read_batches(path, names):
            keys.append(batch.column(delivery.manifest["key"]))
            hashes.append(hash_cells([batch.column(name) for name in names]))
    return SentRows(pa.chunked_array(keys, pa.string()), np.concatenate(hashes))


def _list_parts(delivery: StoredDelivery) -> list[Path]:
    return [delivery.folder / part["file"] for part in delivery.manifest["parts"]]


def _read_keys(path: Path, key: str) -> pa.ChunkedArray:
    if path.suffix == ".parquet":
        return pq.read_table(path, columns=[key])[key]
    if path.suffix == ".csv":
        batches = list(_read_batches(path, [key]))
        return pa.chunked_array([batch.column(key) for batch in batches], pa.string())
    schema = pa.schema([pa.field(key, pa.string())])
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return arrow_json.read_json(path, parse_options=options)[key]


def _read_batches(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of a part as texts; its lines are records, without breaks in a value."""
    options = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        strings_can_be_null=False,
    )
    with arrow_csv.open_csv(path, convert_options=options) as reader:
        yield from reader
