"""A generated event log: leads with a geometric number of events, Parquet ordered by time."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.contracts import EVENTS, INSTANT, LEADS, Dataset

START = 1_704_067_200_000_000  # 2024-01-01
SPAN = 548 * 86_400_000_000  # 18 months
TYPES = [f"type_{n}" for n in range(8)]
CHANNELS = [f"channel_{n}" for n in range(6)]
BATCH = 2_000_000


def write(path, events, mean=20, seed=5):
    """Write ``events`` rows of ``events / mean`` leads, ordered by time; types 0 and 1 carry values."""
    rng = np.random.default_rng(seed)
    leads = events // mean
    share = rng.geometric(1 / mean, leads).astype(float)
    edges = np.cumsum(share) / share.sum()
    with pq.ParquetWriter(path, EVENTS) as writer:
        for begin in range(0, events, BATCH):
            size = min(BATCH, events - begin)
            time = START + np.sort(((begin + rng.random(size) * size) / events * SPAN).astype(np.int64))
            lead = np.searchsorted(edges, rng.random(size))
            kind = rng.integers(0, 8, size)
            value = np.where(kind < 2, np.round(rng.lognormal(3, 1, size), 2), np.nan)
            writer.write_table(_table(time, lead, kind, rng.integers(0, 6, size), value))
    return leads


def _table(time, lead, kind, channel, value):
    at = pa.array(time).cast(INSTANT)
    columns = [
        names(lead),
        at,
        at,
        pa.array(TYPES).take(pa.array(kind)),
        pa.array(CHANNELS).take(pa.array(channel)),
        pa.array(value, mask=np.isnan(value)),
    ]
    return pa.table(columns, schema=EVENTS)


def names(numbers):
    """Return lead ids of one length, so that their order is that of the numbers."""
    return pa.array(np.char.add("L", np.char.zfill(numbers.astype("U8"), 8)), pa.string())


def dataset(path, leads):
    """Return the log with one lead row for each lead."""
    start = pa.array(np.full(leads, START)).cast(INSTANT)
    table = pa.table([names(np.arange(leads)), pa.nulls(leads, pa.string()), start, start], schema=LEADS)
    return Dataset(table, pq.read_table(path), (), "generated")


def cutoffs(count, step_days):
    """Return ``count`` instants, ``step_days`` apart, the last one at the end of the log."""
    return [START + SPAN - k * step_days * 86_400_000_000 for k in range(count)][::-1]


def every(leads, instants):
    """Return a spine of all leads at all instants, ordered by cutoff and entity."""
    ids = names(np.arange(leads))
    cutoff = pa.array(np.repeat(instants, leads)).cast(INSTANT)
    return pa.table({"entity_id": pa.concat_arrays([ids] * len(instants)), "cutoff": cutoff})
