"""``build_features``: the only way to get features, in training and in scoring alike."""

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
from features.engine.assemble import lead_columns, table_of
from features.engine.event_log import LEAD, Log, Seats, codes, grouped
from features.engine.kernels.stages import Visits, stage_events
from features.engine.shard import Shard, Task, fill, stage_ranks
from features.tools.instants import column_to_microseconds
from features.tools.parallel import side_by_side

ProgressCallback = Callable[[int, int], None]
Result = TypeVar("Found")


@dataclass(frozen=True)
class SpineRows:
    """The spine's rows in the order of seats: where each one stands in the spine, its seat and its cutoff."""

    place: np.ndarray
    seat: np.ndarray
    cutoff: np.ndarray

    def part(self, first: int, end: int) -> SpineRows:
        """Return the rows of the seats ``[first, end)``, in the order of (seat, cutoff)."""
        low, high = np.searchsorted(self.seat, [first, end])
        return SpineRows(self.place[low:high], self.seat[low:high], self.cutoff[low:high])


@dataclass(frozen=True)
class BuildContext:
    """All that the shards share: what to compute, of which events, for which rows; and the past visits to stages.

    ``lead`` are the features of the lead row, which need no history; ``roles`` is the code of each seat's role, -1
    for none.
    """

    task: Task
    lead: dict[str, pa.Array]
    seats: Seats
    roles: np.ndarray
    log: Log
    rows: SpineRows
    visits: Visits | None

    def shard_numbers(self) -> list[int]:
        """Return the numbers of the shards that have rows."""
        edges = np.searchsorted(self.rows.seat, self.log.seats)
        return np.flatnonzero(np.diff(edges)).tolist()

    def load_shard(self, number: int) -> tuple[Shard, SpineRows]:
        """Return one shard's events and rows."""
        first, end = self.log.seats[number : number + 2]
        rows = self.rows.part(first, end)
        account, joined, roles = (
            column[first:end] for column in (self.seats.account, self.seats.joined, self.roles)
        )
        return Shard(self.log.shard(number), account, joined, roles, self.visits), rows


def build_features(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    *,
    shards: int | None = None,
    workers: int = -1,
    progress: ProgressCallback | None = None,
) -> pa.Table:
    """Return the SPINE columns and then the catalogue's features, one row a spine row, in the spine's order.

    Numbers are float64 with NaN where there is none, categories strings with null. Features see only rows with
    ``available_at < cutoff``; static attributes are as the leads source shows them. Shards are whole accounts, so
    neither their number nor that of the workers (threads; -1 is one a core) changes a bit. Raises DataError for a
    spine row without a lead.
    """
    work = _prepare_build(dataset, spine, catalog, shards, workers, None)
    out = np.empty((len(catalog.history), spine.num_rows))
    for _ in _run_shards(work, workers, progress, lambda number: _fill_shard(work, number, out)):
        pass
    return table_of(spine, catalog, out, work.lead)


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
    """Yield the rows of ``build_features`` shard by shard, for more rows than fit into memory; one table at least.

    They come in the order of account, entity and cutoff, whatever the shards. ``dataset.events`` may be the Parquet
    file of an EVENTS table; ``scratch`` is a directory for nameless files of up to 30 bytes an event, for a log larger
    than memory. Raises as ``build_features``.
    """
    work = _prepare_build(dataset, spine, catalog, shards, workers, scratch)
    if not work.shard_numbers():
        yield table_of(spine, catalog, np.empty((len(catalog.history), 0)), work.lead)
    yield from _run_shards(work, workers, progress, lambda number: _build_shard_table(work, number, spine))


def _prepare_build(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    shards: int | None,
    workers: int,
    scratch: Path | None,
) -> BuildContext:
    seats = Seats.of(dataset.leads, dataset.lead_ids)
    entity = _find_leads(seats, spine)
    seat = seats.of_lead[entity]
    place = grouped(seat, len(seats.account))
    rows = SpineRows(place, seat[place], column_to_microseconds(spine["cutoff"])[place])
    number = np.bincount(rows.seat, minlength=len(seats.account))
    known = dataset.lead_row_of_events
    events = dataset.events if known is None else dataset.events.append_column(LEAD, known)
    log = Log.of(events, seats, catalog, number * len(catalog.features), shards, workers, scratch)
    lead = lead_columns(dataset, spine, catalog, entity)
    return BuildContext(
        Task.of(catalog),
        lead,
        seats,
        _encode_roles(dataset, seats, catalog),
        log,
        rows,
        _collect_stage_visits(log, seats, catalog),
    )


def _find_leads(seats: Seats, spine: pa.Table) -> np.ndarray:
    entity = seats.ids.find(spine["entity_id"])
    if (entity < 0).any():
        lost = spine["entity_id"][int(np.argmin(entity))].as_py()
        found = f"{int((entity < 0).sum())}, such as {lost!r}"
        raise DataError("spine rows without a lead", where="entity_id", found=found)
    return entity


def _encode_roles(dataset: Dataset, seats: Seats, catalog: Catalog) -> np.ndarray:
    found = np.full(len(seats.account), -1, np.int8)
    if catalog.role:
        found[seats.of_lead] = codes(
            pc.cast(dataset.leads[catalog.role], pa.string()), catalog.roles
        )
    return found


def _collect_stage_visits(log: Log, seats: Seats, catalog: Catalog) -> Visits | None:
    """Gather the past visits to stages of all entities, where a feature asks for them."""
    if not any(feature.aggregate == "stalled" for feature in catalog.features):
        return None
    ranks = stage_ranks(catalog)
    parts = (
        (log.loose(number), seats.joined[first:]) for number, first in enumerate(log.seats[:-1])
    )
    return Visits.joined(
        [Visits.of(*stage_events(events, ranks), joined) for events, joined in parts]
    )


def _run_shards(
    work: BuildContext, workers: int, progress: ProgressCallback | None, job: Callable[[int], Result]
) -> Iterator[Result]:
    """Run a job for every shard, side by side; yield what each returns, in order, and tell of it."""
    numbers = work.shard_numbers()
    for done, found in enumerate(side_by_side(job, numbers, workers), 1):
        if progress:
            progress(done, len(numbers))
        yield found


def _fill_shard(work: BuildContext, number: int, out: np.ndarray) -> None:
    """Compute a shard's rows into their places, in the order of these so that each column is written in order."""
    shard, rows = work.load_shard(number)
    order = np.argsort(rows.place, kind="stable")
    fill(
        shard,
        work.task,
        rows.seat[order] - work.log.seats[number],
        rows.cutoff[order],
        rows.place[order],
        out,
    )


def _build_shard_table(work: BuildContext, number: int, spine: pa.Table) -> pa.Table:
    shard, rows = work.load_shard(number)
    out = np.empty((len(work.task.catalog.history), len(rows.place)))
    fill(
        shard,
        work.task,
        rows.seat - work.log.seats[number],
        rows.cutoff,
        np.arange(len(rows.place)),
        out,
    )
    part = pa.array(rows.place)
    return table_of(
        spine.take(part),
        work.task.catalog,
        out,
        {name: column.take(part) for name, column in work.lead.items()},
    )
