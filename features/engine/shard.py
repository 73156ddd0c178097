"""All kernels over the events and rows of one shard: entity, account and account peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.definitions.catalog import Catalog
from features.definitions.feature import Feature
from features.engine.event_log import group_by_account
from features.engine.kernels import account_peers, amounts, decay, distinct, rhythm, windows
from features.engine.kernels.buying_group import GroupPlan, Members, compute_buying_group
from features.engine.kernels.kernel_plan import KernelPlan
from features.engine.kernels.sequence import SEQUENCE_COLUMNS, compute_sequence
from features.engine.kernels.stages import JOURNEY_COLUMNS, StageVisits, compute_journey
from features.engine.kernels.walk import AsOfLookups, EventHistory

# Kernels that need only events; ``compute_distinct`` needs the members' roles too.
KERNELS = (
    (windows.AGGREGATES, windows.compute_counts),
    (amounts.AGGREGATES, amounts.compute_amounts),
    (decay.AGGREGATES, decay.compute_decay),
    (rhythm.AGGREGATES, rhythm.compute_rhythm),
)

Kernel = Callable[[EventHistory, AsOfLookups, KernelPlan, np.ndarray], None]
ColumnFeatures = list[tuple[int, Feature]]
OrderColumns = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class AggregateKernels:
    """Kernels of one scope that have features to compute, with their plans.

    Attributes:
        kernels: pairs of kernel and plan.
        distinct: plan of ``compute_distinct``, None if it has nothing to compute.
    """

    kernels: tuple[tuple[Kernel, KernelPlan], ...]
    distinct: KernelPlan | None

    @classmethod
    def from_features(cls, catalog: Catalog, requested: ColumnFeatures) -> Self:
        """Plan the requested features, each with its column."""
        plans = [
            (kernel, KernelPlan.from_features(catalog, requested, aggregates))
            for aggregates, kernel in KERNELS
        ]
        kernels = tuple((kernel, plan) for kernel, plan in plans if plan is not None)
        return cls(kernels, KernelPlan.from_features(catalog, requested, distinct.AGGREGATES))

    def compute(
        self,
        events: EventHistory,
        lookups: AsOfLookups,
        out: np.ndarray,
        role: np.ndarray | None = None,
    ) -> None:
        """Write the features to ``out[column, row]``; ``role`` is the role code of each member."""
        for kernel, plan in self.kernels:
            kernel(events, lookups, plan, out)
        if self.distinct is not None:
            distinct.compute_distinct(events, lookups, self.distinct, out, role)


@dataclass(frozen=True)
class ShardTask:
    """Features of the event history to compute for every shard, by scope.

    Attributes:
        catalog: the catalogue of the features.
        entity: kernels of the entity's own events.
        order_columns: columns of the entity's features by (aggregate, index), for those that follow
            the order of events.
        account_columns: columns of the account's features.
        account: kernels of the account's events; they write to an array of their own, whose columns
            are in the order of ``account_columns``.
        account_peers: plan of the account's other entities, None if there is nothing to compute.
        group: plan of the account's buying group, None if there is nothing to compute.
    """

    catalog: Catalog
    entity: AggregateKernels
    order_columns: dict[tuple[str, int], int]
    account_columns: tuple[int, ...]
    account: AggregateKernels
    account_peers: KernelPlan | None
    group: GroupPlan | None

    @classmethod
    def from_catalog(cls, catalog: Catalog) -> Self:
        """Plan all features of the event history of a catalogue."""
        requested: dict[str, ColumnFeatures] = {"entity": [], "account": [], "others": []}
        for column, feature in enumerate(catalog.history_features):
            requested[feature.scope].append((column, feature))
        # Their array has a column for each (account, cutoff), not for each row, so that leads which
        # share both are computed once.
        account = [
            (position, feature) for position, (_, feature) in enumerate(requested["account"])
        ]
        return cls(
            catalog,
            AggregateKernels.from_features(catalog, requested["entity"]),
            {(feature.aggregate, feature.index): column for column, feature in requested["entity"]},
            tuple(column for column, _ in requested["account"]),
            AggregateKernels.from_features(catalog, account),
            KernelPlan.from_features(catalog, requested["others"], account_peers.AGGREGATES),
            GroupPlan.from_features(catalog, account),
        )


@dataclass(frozen=True)
class Shard:
    """Events and leads of whole accounts; leads are counted from the shard's first position.

    Attributes:
        events: events grouped by lead.
        account: number of each lead's account, ascending.
        known_at: when each lead row became known, in microseconds since 1970.
        ends: when each lead became another one, NEVER_US if it did not.
        roles: code of each lead's role, -1 for none.
        visits: past visits to stages of all entities, of this shard or not; None if not needed.
    """

    events: EventHistory
    account: np.ndarray
    known_at: np.ndarray
    ends: np.ndarray
    roles: np.ndarray
    visits: StageVisits | None


def compute_shard(
    shard: Shard,
    task: ShardTask,
    position: np.ndarray,
    cutoff: np.ndarray,
    output_row: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write all history features of the rows (position, cutoff) to ``out[column, output_row]``."""
    lookups = AsOfLookups.find(shard.events, position, cutoff, output_row)
    task.entity.compute(shard.events, lookups, out)
    _compute_order_features(shard, task, lookups, out)
    # Regrouping all events by account is only worth it if a feature needs it.
    if task.account_columns or task.account_peers is not None:
        _compute_account_features(shard, task, position, lookups, out)


def rank_event_types(catalog: Catalog) -> np.ndarray:
    """Return the rank of each event type among the stages, -1 if it is none."""
    return np.array(
        [catalog.stages.index(name) if name in catalog.stages else -1 for name in catalog.types],
        np.int64,
    )


def _compute_order_features(
    shard: Shard, task: ShardTask, lookups: AsOfLookups, out: np.ndarray
) -> None:
    """Run the kernels of the order of events."""
    columns: OrderColumns = {}
    if task.order_columns.keys() & set(SEQUENCE_COLUMNS):
        columns |= zip(
            SEQUENCE_COLUMNS, compute_sequence(shard.events, lookups, task.catalog), strict=True
        )
    stages = len(task.catalog.stages)
    # In the order of compute_journey's columns, with which they are paired below.
    names = [(name, 0) for name in JOURNEY_COLUMNS]
    names += [(name, rank) for name in ("visits", "stage_days") for rank in range(stages)]
    if task.order_columns.keys() & {*names, ("stalled", 0)}:
        columns |= zip(
            names,
            compute_journey(shard.events, lookups, rank_event_types(task.catalog), stages),
            strict=True,
        )
        # No kernel of one shard can do this: the visits are those of all entities.
        if shard.visits is not None:
            now, age = columns["stage_now", 0].astype(np.int64), columns["stage_age", 0]
            columns["stalled", 0] = shard.visits.share_shorter(now, age, lookups.cutoff)
    for key in task.order_columns.keys() & columns.keys():
        out[task.order_columns[key], lookups.output_row] = columns[key]


def _compute_account_features(
    shard: Shard, task: ShardTask, position: np.ndarray, lookups: AsOfLookups, out: np.ndarray
) -> None:
    """Compute each distinct (account, cutoff) once: many entities of an account share a cutoff."""
    # Counted from the shard's first: lookups allocate an element for each number up to the largest.
    account = shard.account - shard.account[0]
    events = group_by_account(shard.events, account, shard.known_at, shard.ends)
    distinct_rows, lookup_of_row = _find_distinct(account[position], lookups.cutoff)
    account_lookups = AsOfLookups.find(
        events,
        account[position][distinct_rows],
        lookups.cutoff[distinct_rows],
        np.arange(len(distinct_rows)),
    )
    values = np.empty((len(task.account_columns), len(distinct_rows)))
    task.account.compute(events, account_lookups, values, shard.roles)
    if task.group is not None:
        members = Members(shard.known_at, shard.ends, shard.roles)
        at_rows = account[position][distinct_rows]
        compute_buying_group(events, account_lookups, at_rows, members, account, task.group, values)
    for column, account_values in zip(task.account_columns, values, strict=True):
        out[column, lookups.output_row] = account_values[lookup_of_row]
    if task.account_peers is not None:
        summary = account_peers.summarize_accounts(events, account_lookups, task.account_peers)
        rows = account_peers.PeerRows(position, shard.known_at[position], lookup_of_row)
        account_peers.compute_account_peers(
            shard.events, lookups, rows, summary, task.account_peers, out
        )


def _find_distinct(account: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a row for each distinct (account, cutoff), and for every row the number of its own."""
    order = np.lexsort((cutoff, account))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(account[order]) != 0) | (np.diff(cutoff[order]) != 0)
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(is_new) - 1
    return order[is_new], number
