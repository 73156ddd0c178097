"""``build_features``: the only way to get features, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed

from configs.errors import DataError
from features.catalog import Catalog, Feature, Scope
from features.contracts import US_PER_DAY, Dataset
from features.history import Log, codes, grouped
from features.journey import stage_now
from features.spine import entity_codes, instants
from features.windows import OVERALL, Plan, look_back, slot

ROWS_PER_SHARD = 50_000
"""Rows that one worker takes at a time: enough to keep it busy, few enough to show progress."""


@dataclass(frozen=True)
class Rows:
    """The spine's rows in the order of seats: where each one stands in the spine, its seat, account and cutoff."""

    place: np.ndarray
    seat: np.ndarray
    account: np.ndarray
    cutoff: np.ndarray

    def part(self, begin: int, end: int) -> Rows:
        """Return the rows ``[begin, end)`` in the order of their places, so that each column is written in order."""
        order = begin + np.argsort(self.place[begin:end], kind="stable")
        return Rows(self.place[order], self.seat[order], self.account[order], self.cutoff[order])


@dataclass(frozen=True)
class Columns:
    """The features of history: names, and one array (features, spine rows) that the shards fill."""

    names: tuple[str, ...]
    values: np.ndarray

    def at(self, name: str) -> int:
        """Return the row of ``values`` that holds a feature."""
        return self.names.index(name)


def build_features(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    *,
    shards: int | None = None,
    workers: int = -1,
    progress: Callable[[int, int], None] | None = None,
) -> pa.Table:
    """Return the SPINE columns and then the catalogue's features, one row a spine row, in the spine's order.

    Numbers are float64 with NaN where there is none, categories strings with null. Features see only rows with
    ``available_at < cutoff``; attributes are as the leads source shows them. Shards are whole accounts, so neither
    their number nor that of the workers (threads; -1 is one a core) changes a bit. Raises DataError for a spine row
    without a lead.
    """
    entity = _known_entities(dataset, spine)
    log = Log.of(dataset, catalog)
    rows = _in_seats(log, entity, instants(spine["cutoff"]))
    names = tuple(feature.name for feature in catalog.features if feature.scope != "lead")
    columns = Columns(names, np.empty((len(names), spine.num_rows)))
    parts = _shards(rows, shards or -(-spine.num_rows // ROWS_PER_SHARD))
    jobs = (delayed(_fill)(log, rows.part(*part), catalog, columns) for part in parts)
    run = Parallel(n_jobs=workers if len(parts) > 1 else 1, prefer="threads", return_as="generator")
    for done, _ in enumerate(run(jobs), 1):
        if progress:
            progress(done, len(parts))
    return _assemble(dataset, spine, catalog, entity, columns)


def _known_entities(dataset: Dataset, spine: pa.Table) -> np.ndarray:
    entity = entity_codes(spine["entity_id"], dataset.leads)
    if (entity < 0).any():
        lost = spine["entity_id"][int(np.argmin(entity))].as_py()
        found = f"{int((entity < 0).sum())}, such as {lost!r}"
        raise DataError("spine rows without a lead", where="entity_id", found=found)
    return entity


def _in_seats(log: Log, entity: np.ndarray, cutoff: np.ndarray) -> Rows:
    seat = log.seat[entity]
    place = grouped(seat, len(log.seat))
    return Rows(place, seat[place], log.account[seat[place]], cutoff[place])


def _shards(rows: Rows, wanted: int) -> list[tuple[int, int]]:
    """Cut the rows into about as many runs as wanted, between accounts."""
    total = len(rows.account)
    aims = [total * number // max(wanted, 1) for number in range(max(wanted, 1))]
    edges = sorted({int(np.searchsorted(rows.account, rows.account[aim])) for aim in aims if aim < total} | {total})
    return list(pairwise(edges))


def _fill(log: Log, rows: Rows, catalog: Catalog, columns: Columns) -> None:
    """Compute one shard's features of history."""
    first = int(np.searchsorted(log.account, rows.account.min(), "left"))
    end = int(np.searchsorted(log.account, rows.account.max(), "right"))
    own = log.by_entity(first, end)
    look_back(own, rows.seat, rows.cutoff, _plan(catalog, "entity", columns), columns.values, rows.place)
    if catalog.stages and catalog.types:
        rank = codes(pa.chunked_array([pa.array(catalog.types, pa.string())]), catalog.stages)
        stage, age = stage_now(own, rows.seat, rows.cutoff, rank)
        columns.values[columns.at("stage_now"), rows.place] = stage
        columns.values[columns.at("stage_age"), rows.place] = age
    if catalog.accounts:
        _fill_account(log, first, end, rows, catalog, columns)


def _fill_account(log: Log, first: int, end: int, rows: Rows, catalog: Catalog, columns: Columns) -> None:
    """Look back from each different (account, cutoff) once: many entities of one account share a cutoff."""
    looked, back = _distinct(rows.account, rows.cutoff)
    names = tuple(f.name for f in catalog.features if f.scope == "account")
    shared = Columns(names, np.empty((len(names), len(looked))))
    plan = _plan(catalog, "account", shared)
    events = log.by_account(first, end)
    look_back(events, rows.account[looked], rows.cutoff[looked], plan, shared.values, np.arange(len(looked)))
    for name, values in zip(names, shared.values, strict=True):
        columns.values[columns.at(name), rows.place] = values[back]


def _distinct(account: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that stand for each different (account, cutoff), and for every row the place of its own."""
    order = np.lexsort((cutoff, account))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(account[order]) != 0) | (np.diff(cutoff[order]) != 0)
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(new) - 1
    return order[new], back


def _plan(catalog: Catalog, scope: Scope, columns: Columns) -> Plan:
    """Say which column each feature of a scope goes to."""
    spans = len(catalog.windows) + 1
    subject = np.full((len(catalog.subjects), slot("decay", spans, len(catalog.half_lives))), -1, np.int64)
    overall = np.full((len(OVERALL), spans), -1, np.int64)
    for feature in catalog.features:
        if feature.scope != scope or feature.category or feature.aggregate == "stage_age":
            continue
        index, column = _span(catalog, feature), columns.at(feature.name)
        if feature.aggregate in OVERALL:
            overall[OVERALL.index(feature.aggregate), index] = column
        else:
            subject[catalog.subjects.index(feature.subject), slot(feature.aggregate, spans, index)] = column
    windows, half_lives = (_microseconds(spans) for spans in (catalog.windows, catalog.half_lives))
    return Plan(len(catalog.types), windows, half_lives, subject, overall)


def _span(catalog: Catalog, feature: Feature) -> int:
    """Return the place of a feature's window or half-life among the catalogue's; 0 for an age, which has none."""
    if feature.aggregate in ("age", "first"):
        return 0
    spans = catalog.half_lives if feature.aggregate == "decay" else (*catalog.windows, None)
    return [length == feature.span for length in spans].index(True)


def _microseconds(spans: tuple[timedelta, ...]) -> np.ndarray:
    return np.array([span // timedelta(microseconds=1) for span in spans], np.int64)


def _assemble(dataset: Dataset, spine: pa.Table, catalog: Catalog, entity: np.ndarray, columns: Columns) -> pa.Table:
    table = {name: spine[name] for name in ("entity_id", "cutoff")}
    for feature in catalog.features:
        if feature.scope == "lead":
            table[feature.name] = _lead_column(dataset, feature, entity, spine)
        else:
            values = columns.values[columns.at(feature.name)]
            table[feature.name] = _stage_names(catalog, values) if feature.category else pa.array(values)
    return pa.table(table)


def _stage_names(catalog: Catalog, stage: np.ndarray) -> pa.Array:
    return pa.array(catalog.stages, pa.string()).take(pa.array(stage.astype(np.int64), mask=stage < 0))


def _lead_column(dataset: Dataset, feature: Feature, entity: np.ndarray, spine: pa.Table) -> pa.Array:
    if feature.aggregate == "created_age":
        return pa.array((instants(spine["cutoff"]) - instants(dataset.leads["created_at"])[entity]) / US_PER_DAY)
    if feature.subject not in dataset.leads.column_names:
        mend = "restore the column, or train again"
        raise DataError("attribute is gone from the leads source", where=feature.subject, mend=mend)
    wanted = pa.string() if feature.category else pa.float64()
    try:
        return pc.cast(dataset.leads[feature.subject], wanted).take(pa.array(entity)).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError("attribute was a number and is text now", where=feature.subject, found=str(error)) from error
