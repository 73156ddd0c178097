"""Point-in-time features of spine rows, in training and scoring alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import Dataset
from features.definitions.catalog import Catalog
from features.engine.assemble import build_feature_table, build_lead_columns
from features.engine.event_log import EventLog, encode_texts
from features.engine.kernels.stages import StageVisits, select_stage_events
from features.engine.lead_index import LeadIndex, sort_by_code
from features.engine.shard import Shard, ShardTask, compute_shard, rank_event_types
from features.progress.report import report_progress
from features.tools.instants import column_to_microseconds
from features.tools.parallel import parallel_map

ProgressCallback = Callable[[int, int], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class SpineRows:
    """The spine's rows, ordered by (position, cutoff).

    Attributes:
        spine_row: Row number in the spine.
        position: Position of the row's entity in the LeadIndex.
        cutoff: Cutoff in microseconds since 1970.
    """

    spine_row: np.ndarray
    position: np.ndarray
    cutoff: np.ndarray

    def part(self, first: int, end: int) -> SpineRows:
        """Return the rows of the positions ``[first, end)``, in the order of (position, cutoff)."""
        low, high = np.searchsorted(self.position, [first, end])
        return SpineRows(self.spine_row[low:high], self.position[low:high], self.cutoff[low:high])


@dataclass(frozen=True)
class BuildContext:
    """Input that all shards share.

    Attributes:
        task: Features to compute.
        lead_features: Features of the lead row, which need no history.
        index: Index of the leads.
        roles: Code of each position's role, -1 for none.
        log: Events.
        rows: Spine rows.
        visits: Past visits to stages of all entities, if a feature needs them.
    """

    task: ShardTask
    lead_features: dict[str, pa.Array]
    index: LeadIndex
    roles: np.ndarray
    log: EventLog
    rows: SpineRows
    visits: StageVisits | None

    def shard_numbers(self) -> list[int]:
        """Return the numbers of the shards with spine rows."""
        edges = np.searchsorted(self.rows.position, self.log.shard_starts)
        # A shard without spine rows is not even sorted.
        return np.flatnonzero(np.diff(edges)).tolist()

    def load_shard(self, number: int) -> tuple[Shard, SpineRows]:
        """Return the events and the spine rows of a shard."""
        first, end = self.log.shard_starts[number : number + 2]
        rows = self.rows.part(first, end)
        index = self.index
        account, joined, ends, roles = (
            column[first:end] for column in (index.account, index.known_at, index.ends, self.roles)
        )
        events = self.log.sorted_shard(number)
        return Shard(events, account, joined, ends, roles, self.visits), rows


def build_features(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    *,
    shards: int | None = None,
    workers: int = -1,
    progress: ProgressCallback | None = None,
) -> pa.Table:
    """Return the SPINE columns followed by the catalog's features.

    The result has one row per spine row, in the spine's order. Numbers are float64 with NaN if
    missing, categories strings with null. Features see only rows with ``available_at < cutoff``;
    static attributes are as the leads source shows them. Shards are whole accounts, so neither
    their number nor that of the workers (threads; -1 is one per core) changes a bit of the result.
    Raises DataError for a spine row without a lead.
    """
    context = _prepare_build(dataset, spine, catalog, shards, workers, None)
    out = np.empty((len(catalog.history_features), spine.num_rows))
    # Nothing to collect: each shard fills its own rows of the array.
    for _ in _run_shards(
        context, workers, progress, lambda number: _fill_shard(context, number, out)
    ):
        pass
    return build_feature_table(spine, catalog, out, context.lead_features)


def stream_features(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    *,
    shards: int | None = None,
    workers: int = -1,
    progress: ProgressCallback | None = None,
    scratch: Path | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows of ``build_features`` shard by shard, at least one table.

    This is for more rows than fit into memory. The rows are ordered by account, entity and cutoff,
    independent of the shards. ``dataset.events`` may be the Parquet file of an EVENTS table;
    ``scratch`` is a directory for unnamed files of up to 30 bytes per event, for a log larger than
    memory. Raises as ``build_features``.
    """
    context = _prepare_build(dataset, spine, catalog, shards, workers, scratch)
    # Even without a row, the reader of the stream needs the columns.
    if not context.shard_numbers():
        values = np.empty((len(catalog.history_features), 0))
        yield build_feature_table(spine, catalog, values, context.lead_features)
    yield from _run_shards(
        context, workers, progress, lambda number: _build_shard_table(context, number, spine)
    )


def _prepare_build(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    shards: int | None,
    workers: int,
    scratch: Path | None,
) -> BuildContext:
    index = LeadIndex.from_leads(dataset.leads, dataset.lead_ids, dataset.merges)
    lead_row = _find_leads(index, spine)
    position = index.position[lead_row]
    # Sorted by position, so that the rows of a shard are one slice.
    spine_row = sort_by_code(position, len(index.account))
    rows = SpineRows(
        spine_row, position[spine_row], column_to_microseconds(spine["cutoff"])[spine_row]
    )
    row_counts = np.bincount(rows.position, minlength=len(index.account))
    log = EventLog.from_dataset(
        dataset, index, catalog, row_counts * len(catalog.features), shards, workers, scratch
    )
    lead_features = build_lead_columns(dataset, spine, catalog, lead_row)
    return BuildContext(
        ShardTask.from_catalog(catalog),
        lead_features,
        index,
        _encode_roles(dataset, index, catalog),
        log,
        rows,
        _collect_stage_visits(log, index, catalog),
    )


def _find_leads(index: LeadIndex, spine: pa.Table) -> np.ndarray:
    lead_row = index.ids.find(spine["entity_id"])
    if (lead_row < 0).any():
        entity_id = spine["entity_id"][int(np.argmin(lead_row))].as_py()
        observed = f"{int((lead_row < 0).sum())}, such as {entity_id!r}"
        raise DataError("spine rows without a lead", where="entity_id", found=observed)
    return lead_row


def _encode_roles(dataset: Dataset, index: LeadIndex, catalog: Catalog) -> np.ndarray:
    roles = np.full(len(index.account), -1, np.int8)
    if catalog.role:
        roles[index.position] = encode_texts(
            pc.cast(dataset.leads[catalog.role], pa.string()), catalog.roles
        )
    return roles


def _collect_stage_visits(log: EventLog, index: LeadIndex, catalog: Catalog) -> StageVisits | None:
    """Return the past visits to stages of all entities, or None if no feature needs them."""
    if not any(feature.aggregate == "stalled" for feature in catalog.features):
        return None
    ranks = rank_event_types(catalog)
    # Unsorted is enough: only the stage events are sorted, which are few.
    parts = (
        (log.standing_shard(number), index.known_at[first:])
        for number, first in enumerate(log.shard_starts[:-1])
    )
    return StageVisits.concat(
        [
            StageVisits.from_stage_events(*select_stage_events(events, ranks), joined)
            for events, joined in parts
        ]
    )


def _run_shards(
    context: BuildContext,
    workers: int,
    progress: ProgressCallback | None,
    job: Callable[[int], Result],
) -> Iterator[Result]:
    """Run a job for every shard in parallel; yield the results in order and report progress."""
    numbers = context.shard_numbers()
    # parallel_map bounds the results that wait, so that no shard runs far ahead of the reader.
    for done, result in enumerate(parallel_map(job, numbers, workers), 1):
        report_progress("features", done, len(numbers))
        if progress:
            progress(done, len(numbers))
        yield result


def _fill_shard(context: BuildContext, number: int, out: np.ndarray) -> None:
    """Compute the features of a shard's rows into their rows of ``out``.

    The rows are processed in ascending order of their spine row, so that each column of ``out`` is
    written sequentially.
    """
    shard, rows = context.load_shard(number)
    order = np.argsort(rows.spine_row, kind="stable")
    compute_shard(
        shard,
        context.task,
        rows.position[order] - context.log.shard_starts[number],
        rows.cutoff[order],
        rows.spine_row[order],
        out,
    )


def _build_shard_table(context: BuildContext, number: int, spine: pa.Table) -> pa.Table:
    shard, rows = context.load_shard(number)
    out = np.empty((len(context.task.catalog.history_features), len(rows.spine_row)))
    compute_shard(
        shard,
        context.task,
        rows.position - context.log.shard_starts[number],
        rows.cutoff,
        np.arange(len(rows.spine_row)),
        out,
    )
    part = pa.array(rows.spine_row)
    return build_feature_table(
        spine.take(part),
        context.task.catalog,
        out,
        {name: column.take(part) for name, column in context.lead_features.items()},
    )
