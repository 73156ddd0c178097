"""One shard: every kernel over its own events and rows, for the entity, its account, and the others there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.definitions.catalog import Catalog
from features.definitions.feature import Feature
from features.engine.event_log import group_by_account
from features.engine.kernels import account_peers, amounts, decay, distinct, rhythm, windows
from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.sequence import FIGURES as SEQUENCE
from features.engine.kernels.sequence import sequence
from features.engine.kernels.stages import FIGURES as JOURNEY
from features.engine.kernels.stages import Visits, journey
from features.engine.kernels.windows import History, Looks

KERNELS = (
    (windows.AGGREGATES, windows.tally),
    (amounts.AGGREGATES, amounts.amounts),
    (decay.AGGREGATES, decay.fade),
    (rhythm.AGGREGATES, rhythm.rhythm),
)
"""The kernels that know only events; ``breadth`` knows people too."""

Kernel = Callable[[History, Looks, Plan, np.ndarray], None]
Wanted = list[tuple[int, Feature]]
Figures = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Aggregates:
    """Which kernels have something to compute in a scope, and what."""

    kernels: tuple[tuple[Kernel, Plan], ...]
    breadth: Plan | None

    @classmethod
    def of(cls, catalog: Catalog, wanted: Wanted) -> Self:
        """Plan the features that are wanted, each with its column."""
        plans = [(kernel, Plan.of(catalog, wanted, aggregates)) for aggregates, kernel in KERNELS]
        kernels = tuple((kernel, plan) for kernel, plan in plans if plan is not None)
        return cls(kernels, Plan.of(catalog, wanted, distinct.AGGREGATES))

    def fill(
        self, events: History, looks: Looks, out: np.ndarray, role: np.ndarray | None = None
    ) -> None:
        """Write the features into ``out[column, place]``; ``role`` is the code of each member's role."""
        for kernel, plan in self.kernels:
            kernel(events, looks, plan, out)
        if self.breadth is not None:
            distinct.breadth(events, looks, self.breadth, out, role)


@dataclass(frozen=True)
class Task:
    """What to compute for every shard: which column each feature of history goes to, by scope.

    ``order`` are the features that follow the order of events; ``account`` the columns of the account's features, in
    the order of its aggregates' own columns.
    """

    catalog: Catalog
    entity: Aggregates
    order: dict[tuple[str, int], int]
    account: tuple[int, ...]
    shared: Aggregates
    others: Plan | None

    @classmethod
    def of(cls, catalog: Catalog) -> Self:
        """Plan all features of history of a catalogue."""
        wanted: dict[str, Wanted] = {"entity": [], "account": [], "others": []}
        for column, feature in enumerate(catalog.history_features):
            wanted[feature.scope].append((column, feature))
        shared = [(place, feature) for place, (_, feature) in enumerate(wanted["account"])]
        return cls(
            catalog,
            Aggregates.of(catalog, wanted["entity"]),
            {(feature.aggregate, feature.index): column for column, feature in wanted["entity"]},
            tuple(column for column, _ in wanted["account"]),
            Aggregates.of(catalog, shared),
            Plan.of(catalog, wanted["others"], account_peers.AGGREGATES),
        )


@dataclass(frozen=True)
class Shard:
    """Whole accounts: their events by seat, counted from the shard's first, and of each seat account, time and role.

    ``joined`` is when the lead row became known. ``visits`` are the past visits to stages of all entities, of this
    shard or not.
    """

    events: History
    account: np.ndarray
    joined: np.ndarray
    roles: np.ndarray
    visits: Visits | None


def fill(
    shard: Shard,
    task: Task,
    seat: np.ndarray,
    cutoff: np.ndarray,
    place: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write all features of history of the rows (seat, cutoff) into ``out[column, place]``."""
    looks = Looks.of(shard.events, seat, cutoff, place)
    task.entity.fill(shard.events, looks, out)
    _order(shard, task, looks, out)
    if task.account or task.others is not None:
        _account(shard, task, seat, looks, out)


def stage_ranks(catalog: Catalog) -> np.ndarray:
    """Return the place of each event type among the stages, -1 if it is none."""
    return np.array(
        [catalog.stages.index(name) if name in catalog.stages else -1 for name in catalog.types],
        np.int64,
    )


def _order(shard: Shard, task: Task, looks: Looks, out: np.ndarray) -> None:
    """Run the kernels that follow the order of events."""
    found: Figures = {}
    if task.order.keys() & set(SEQUENCE):
        found |= zip(SEQUENCE, sequence(shard.events, looks, task.catalog), strict=True)
    stages = len(task.catalog.stages)
    names = [(name, 0) for name in JOURNEY]
    names += [(name, rank) for name in ("visits", "stage_days") for rank in range(stages)]
    if task.order.keys() & {*names, ("stalled", 0)}:
        found |= zip(
            names, journey(shard.events, looks, stage_ranks(task.catalog), stages), strict=True
        )
        if shard.visits is not None:
            now, age = found["stage_now", 0].astype(np.int64), found["stage_age", 0]
            found["stalled", 0] = shard.visits.shorter(now, age, looks.cutoff)
    for figure in task.order.keys() & found.keys():
        out[task.order[figure], looks.place] = found[figure]


def _account(shard: Shard, task: Task, seat: np.ndarray, looks: Looks, out: np.ndarray) -> None:
    """Look back from each different (account, cutoff) once: many entities of one account share a cutoff."""
    account = shard.account - shard.account[0]
    events = group_by_account(shard.events, account, shard.joined)
    looked, back = _distinct(account[seat], looks.cutoff)
    together = Looks.of(events, account[seat][looked], looks.cutoff[looked], np.arange(len(looked)))
    shared = np.empty((len(task.account), len(looked)))
    task.shared.fill(events, together, shared, shard.roles)
    for column, values in zip(task.account, shared, strict=True):
        out[column, looks.place] = values[back]
    if task.others is not None:
        who = (seat, shard.joined[seat])
        whole = account_peers.together(events, together, task.others)
        account_peers.others(shard.events, looks, who, back, whole, task.others, out)


def _distinct(account: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that stand for each different (account, cutoff), and for every row the place of its own."""
    order = np.lexsort((cutoff, account))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(account[order]) != 0) | (np.diff(cutoff[order]) != 0)
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(new) - 1
    return order[new], back
