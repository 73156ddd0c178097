"""leadscore's own engine, called as a user of the package calls it."""

from collections.abc import Callable
from datetime import timedelta

from features.build import build_features
from features.catalog import Catalog
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
COMMON = WHOLE.keeping(NAMES)


def leadscore(path: str, leads: int, instants: list[int]) -> Callable:
    """The common set."""
    return _prepared(path, leads, instants, COMMON)


def catalogue(path: str, leads: int, instants: list[int]) -> Callable:
    """Every feature that the catalogue has for such a log."""
    return _prepared(path, leads, instants, WHOLE)


def growing(path: str, leads: int, instants: list[int]) -> Callable:
    """The common set by the call that is meant for logs of any size."""
    return leadscore(path, leads, instants)


def _prepared(path: str, leads: int, instants: list[int], catalog: Catalog) -> Callable:
    table = log.leads_table(leads)
    spine = log.every(table, instants)
    return lambda: build_features(log.dataset(path, table), spine, catalog)
