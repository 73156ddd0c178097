"""leadscore's own engine, called like by a user of the package."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq

from features.build import build_features, stream_features
from features.contracts import Dataset
from features.definitions.catalog import Catalog
from tests.benchmarks import log
from tests.benchmarks.common import DAYS, NAMES

WINDOWS = tuple(timedelta(days=days) for days in DAYS.values() if days)
WHOLE = Catalog(
    types=tuple(log.TYPES),
    channels=tuple(log.CHANNELS),
    valued=tuple(log.VALUED),
    windows=WINDOWS,
    half_lives=tuple(timedelta(days=days) for days in (3, 14, 60)),
)
COMMON = WHOLE.select(NAMES)


def leadscore(path: str, leads: int, instants: list[int]) -> Callable:
    """The common set."""
    return _prepared(path, leads, instants, COMMON)


def catalogue(path: str, leads: int, instants: list[int]) -> Callable:
    """Every feature that the catalogue has for such a log."""
    return _prepared(path, leads, instants, WHOLE)


def growing(path: str, leads: int, instants: list[int]) -> Callable:
    """The common set by the call that is meant for logs of any size, from file to file."""
    table = log.leads_table(leads)
    spine, out = log.every(table, instants), Path(path).with_suffix(".features.parquet")

    def run():
        dataset = Dataset(table, Path(path), (), "generated")
        with tempfile.TemporaryDirectory() as scratch:
            parts = stream_features(dataset, spine, COMMON, scratch=Path(scratch))
            first = next(parts)
            with pq.ParquetWriter(out, first.schema) as writer:
                for part in chain([first], parts):
                    writer.write_table(part)
                    yield part

    return run


def whole_table(path: str, leads: int, instants: list[int]) -> Callable:
    """The common set as one table in memory, from a log in memory: the call that training makes."""
    table = log.leads_table(leads)
    spine = log.every(table, instants)
    return lambda: [build_features(log.dataset(path, table), spine, COMMON)]


def _prepared(path: str, leads: int, instants: list[int], catalog: Catalog) -> Callable:
    table = log.leads_table(leads)
    spine = log.every(table, instants)
    return lambda: stream_features(Dataset(table, Path(path), (), "generated"), spine, catalog)
