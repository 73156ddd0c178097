"""One shard: every kernel over its own events and rows, for the entity, its account, and the others there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import amounts, breadth, fading, others, rhythm, windows
from features.catalog import Catalog
from features.feature import Feature
from features.history import Seats, by_account
from features.journey import FIGURES as JOURNEY
from features.journey import Visits, journey
from features.plan import Plan
from features.sequence import FIGURES as SEQUENCE
from features.sequence import sequence
from features.windows import History, Looks

KERNELS = (
    (windows.AGGREGATES, windows.tally),
    (amounts.AGGREGATES, amounts.amounts),
    (fading.AGGREGATES, fading.fade),
    (rhythm.AGGREGATES, rhythm.rhythm),
)
"""The kernels that know only events; ``breadth`` knows people too."""

Wanted = list[tuple[int, Feature]]


@dataclass(frozen=True)
class Shard:
    """Whole accounts: their events by seat, counted from the shard's first, their seats, and the role of each."""

    events: History
    seats: Seats
    roles: np.ndarray
    catalog: Catalog
    visits: Visits | None


def fill(shard: Shard, seat: np.ndarray, cutoff: np.ndarray, place: np.ndarray, out: np.ndarray) -> None:
    """Write all features of history of the rows (seat, cutoff) into ``out[column, place]``."""
    history = [feature for feature in shard.catalog.features if feature.scope != "lead"]
    wanted: dict[str, Wanted] = {"entity": [], "account": [], "others": []}
    for column, feature in enumerate(history):
        wanted[feature.scope].append((column, feature))
    looks = Looks.of(shard.events, seat, cutoff, place)
    _aggregates(shard.events, looks, shard.catalog, wanted["entity"], out)
    _order(shard, seat, looks, wanted["entity"], out)
    if wanted["account"] or wanted["others"]:
        _account(shard, seat, looks, wanted, out)


def stage_ranks(catalog: Catalog) -> np.ndarray:
    """Return the place of each event type among the stages, -1 if it is none."""
    return np.array([catalog.stages.index(name) if name in catalog.stages else -1 for name in catalog.types], np.int64)


def _aggregates(
    events: History, looks: Looks, catalog: Catalog, wanted: Wanted, out: np.ndarray, role: np.ndarray | None = None
) -> None:
    """Run each kernel that has something to compute."""
    for aggregates, kernel in KERNELS:
        plan = Plan.of(catalog, wanted, aggregates)
        if plan is not None:
            kernel(events, looks, plan, out)
    plan = Plan.of(catalog, wanted, breadth.AGGREGATES)
    if plan is not None:
        breadth.breadth(events, looks, plan, out, role)


def _order(shard: Shard, seat: np.ndarray, looks: Looks, wanted: Wanted, out: np.ndarray) -> None:
    """Run the kernels that follow the order of events."""
    asked = {(feature.aggregate, feature.index): column for column, feature in wanted}
    if asked.keys() & set(SEQUENCE):
        _copy(dict(zip(SEQUENCE, sequence(shard.events, looks, shard.catalog), strict=True)), asked, looks, out)
    stages = len(shard.catalog.stages)
    names = [(name, 0) for name in JOURNEY]
    names += [(name, rank) for name in ("visits", "stage_days") for rank in range(stages)]
    if asked.keys() & {*names, ("stalled", 0)}:
        ranks = stage_ranks(shard.catalog)
        found = dict(zip(names, journey(shard.events, seat, looks, ranks, stages), strict=True))
        if shard.visits is not None:
            now, age = found["stage_now", 0].astype(np.int64), found["stage_age", 0]
            found["stalled", 0] = shard.visits.shorter(now, age, looks.cutoff)
        _copy(found, asked, looks, out)


def _copy(
    found: dict[tuple[str, int], np.ndarray], asked: dict[tuple[str, int], int], looks: Looks, out: np.ndarray
) -> None:
    for figure, values in found.items():
        if figure in asked:
            out[asked[figure], looks.place] = values


def _account(shard: Shard, seat: np.ndarray, looks: Looks, wanted: dict[str, Wanted], out: np.ndarray) -> None:
    """Look back from each different (account, cutoff) once: many entities of one account share a cutoff."""
    account = shard.seats.account - shard.seats.account[0]
    events = by_account(shard.events, account, shard.seats.joined)
    looked, back = _distinct(account[seat], looks.cutoff)
    together = Looks.of(events, account[seat][looked], looks.cutoff[looked], np.arange(len(looked)))
    shared = np.empty((len(wanted["account"]), len(looked)))
    own = [(place, feature) for place, (_, feature) in enumerate(wanted["account"])]
    _aggregates(events, together, shard.catalog, own, shared, shard.roles)
    for (column, _), values in zip(wanted["account"], shared, strict=True):
        out[column, looks.place] = values[back]
    plan = Plan.of(shard.catalog, wanted["others"], others.AGGREGATES)
    if plan is not None:
        who = (seat, shard.seats.joined[seat])
        others.others(shard.events, looks, who, back, others.together(events, together, plan), plan, out)


def _distinct(account: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that stand for each different (account, cutoff), and for every row the place of its own."""
    order = np.lexsort((cutoff, account))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(account[order]) != 0) | (np.diff(cutoff[order]) != 0)
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(new) - 1
    return order[new], back
