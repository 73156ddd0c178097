"""Leads that a CRM did not load: those that are due again, and those that fail repeatedly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from features.tools.duckdb_sql import run_query
from features.tools.id_index import IdIndex
from serve.crm.sent_rows import read_sent_keys
from serve.crm.stored_deliveries import StoredDelivery

# A row that clears a lead and fails this often is not sent any more: the CRM has no such record.
MAX_CLEARINGS = 7
UNLOADED_SCHEMA = pa.schema(
    [
        pa.field("entity_id", pa.string()),
        pa.field("status", pa.string()),
        pa.field("failures", pa.int64()),
        pa.field("failed_clearings", pa.int64()),
        pa.field("first_delivery", pa.string()),
        pa.field("last_delivery", pa.string()),
        pa.field("sequence", pa.int64()),
        pa.field("message", pa.string()),
    ]
)


def _no_keys() -> pa.Array:
    return pa.array([], pa.string())


@dataclass(frozen=True)
class DueAgain:
    """Leads to deliver again because the CRM did not load them.

    Attributes:
        keys: All of them.
        clearable: Those that are cleared again if they are not scored any more.
    """

    keys: pa.Array = field(default_factory=_no_keys)
    clearable: pa.Array = field(default_factory=_no_keys)


def summarise_unloaded(results: pa.Table, newest: int | None = None) -> pa.Table:
    """Return one UNLOADED_SCHEMA row per lead whose newest result is not ``loaded``.

    ``results`` are DELIVERY_RESULTS of one export, of which those of deliveries up to number
    ``newest`` count. Failures are counted since the lead was loaded last. The leads that failed
    most come first.
    """
    if not results.num_rows:
        return UNLOADED_SCHEMA.empty_table()
    unloaded = run_query(
        """WITH past AS (SELECT * FROM results WHERE $newest IS NULL OR sequence <= $newest),
           loads AS (
             SELECT entity_id, max(sequence) AS last FROM past WHERE status = 'loaded' GROUP BY 1)
           SELECT entity_id, arg_max(status, sequence) AS status,
             count(*) FILTER (status = 'failed') AS failures,
             count(*) FILTER (status = 'failed' AND content = 'cleared') AS failed_clearings,
             arg_min(delivery, sequence) AS first_delivery,
             arg_max(delivery, sequence) AS last_delivery,
             max(sequence) AS sequence,
             arg_max(message, sequence) AS message
           FROM past LEFT JOIN loads USING (entity_id)
           WHERE status <> 'loaded' AND sequence > coalesce(loads.last, -1)
           GROUP BY entity_id ORDER BY failures DESC, entity_id""",
        {"newest": newest},
        results=results,
    )
    return unloaded.select(UNLOADED_SCHEMA.names).cast(UNLOADED_SCHEMA)


def find_due_again(
    results: pa.Table, deliveries: Sequence[StoredDelivery], base: str | None, key: str
) -> DueAgain:
    """Return the leads that a delivery after ``base`` must hold because they were not loaded.

    ``deliveries`` are all that are kept. A lead is due if its newest result up to the base is not
    ``loaded``, and no later delivery up to the base holds it. Results of later deliveries do not
    count, so that a repeated night gives the same delivery. A delivery with another key column
    addressed other records.
    """
    sequences = {delivery.id: int(delivery.manifest["sequence"]) for delivery in deliveries}
    if base is None or not results.num_rows:
        return DueAgain()
    comparable = [
        number
        for delivery, number in zip(deliveries, sequences.values(), strict=True)
        if delivery.manifest["key"] == key
    ]
    unloaded = summarise_unloaded(results, sequences[base])
    unloaded = unloaded.filter(pc.is_in(unloaded["sequence"], value_set=pa.array(comparable)))
    if not unloaded.num_rows:
        return DueAgain()
    failed_in = unloaded["sequence"].to_numpy()
    last_sent, index = failed_in.copy(), IdIndex.from_column(unloaded["entity_id"])
    for delivery in deliveries:
        number = sequences[delivery.id]
        if failed_in.min() < number <= sequences[base]:
            positions = index.find(read_sent_keys(delivery))
            last_sent[positions[positions >= 0]] = number
    due = unloaded.filter(pa.array(last_sent <= failed_in))
    clearable = due.filter(pc.less(due["failed_clearings"], MAX_CLEARINGS))
    return DueAgain(_combine_chunks(due["entity_id"]), _combine_chunks(clearable["entity_id"]))


def _combine_chunks(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)
