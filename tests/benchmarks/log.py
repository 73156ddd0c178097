"""A generated event log in Parquet, ordered by time, with a geometric number of events per lead."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.contracts import EVENTS, INSTANT, LEADS, Dataset
from features.tools.instants import US_PER_DAY

START = 1_704_067_200_000_000  # 2024-01-01
SPAN = 548 * US_PER_DAY  # 18 months
TYPES = [f"type_{n}" for n in range(8)]
VALUED = TYPES[:2]
CHANNELS = [f"channel_{n}" for n in range(6)]
BATCH = 2_000_000


def write(path, events, mean=20, seed=5):
    """Write about ``events`` rows of ``events / mean`` leads and return the number of leads.

    Each lead's events are spread evenly over the 18 months. The log is written in batches of equal
    time spans: each event is assigned to a batch at random, so that only the counts per lead are
    held in memory.
    """
    rng = np.random.default_rng(seed)
    left = rng.geometric(1 / mean, events // mean)
    ids, batches = names(np.arange(len(left))), -(-events // BATCH)
    with pq.ParquetWriter(path, EVENTS) as writer:
        for batch in range(batches):
            taken = rng.binomial(left, 1 / (batches - batch))
            left -= taken
            begin, end = (START + SPAN * edge // batches for edge in (batch, batch + 1))
            lead = rng.permutation(np.repeat(np.arange(len(left), dtype=np.int32), taken))
            writer.write_table(_table(rng, ids.take(pa.array(lead)), begin, end))
    return len(left)


def _table(rng, entity, begin, end):
    size = len(entity)
    at = pa.array(np.sort(rng.integers(begin, end, size))).cast(INSTANT)
    kind, channel = rng.integers(0, len(TYPES), size), rng.integers(0, len(CHANNELS), size)
    value = pa.array(np.round(rng.lognormal(3, 1, size), 2), mask=kind >= len(VALUED))
    texts = (pa.array(TYPES).take(pa.array(kind)), pa.array(CHANNELS).take(pa.array(channel)))
    return pa.table([entity, at, at, *texts, value], schema=EVENTS)


def names(numbers):
    """Return lead ids of one length, so that their order is that of the numbers."""
    return pa.array(np.char.add("L", np.char.zfill(numbers.astype("U8"), 8)), pa.string())


def leads_table(leads):
    """Return one lead row for each lead, as LEADS."""
    start = pa.array(np.full(leads, START)).cast(INSTANT)
    return pa.table(
        [names(np.arange(leads)), pa.nulls(leads, pa.string()), start, start], schema=LEADS
    )


def dataset(path, leads):
    """Read the log as the data set of these lead rows."""
    return Dataset(leads, pq.read_table(path), (), "generated")


def cutoffs(count, step_days):
    """Return ``count`` instants, ``step_days`` apart, the last one at the end of the log."""
    return [START + SPAN - k * step_days * US_PER_DAY for k in range(count)][::-1]


def every(leads, instants):
    """Return a spine of all lead rows at all instants, ordered by cutoff and entity."""
    cutoff = pa.array(np.repeat(instants, len(leads))).cast(INSTANT)
    ids = leads["entity_id"].chunks * len(instants)
    return pa.table({"entity_id": pa.concat_arrays(ids), "cutoff": cutoff})
