"""``build_features``: the only way to get features, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed

from configs.errors import DataError
from features.catalog import Catalog, Feature
from features.contracts import EVENTS, US_PER_DAY, Dataset
from features.journey import stage_now
from features.spine import entity_codes, instants
from features.windows import Blocks, History, look_back

ROWS_PER_SHARD = 50_000
"""Rows whose blocks are held at once by one worker: about half a gigabyte at 25 subjects."""


def build_features(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    *,
    shards: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> pa.Table:
    """Return the SPINE columns and then the catalogue's features, one row a spine row, in the spine's order.

    Numbers are float64 with NaN where there is none, categories strings with null. Features see only rows with
    ``available_at < cutoff``; attributes are as the leads source shows them. Shards are whole accounts, so neither
    their number nor that of the workers changes a bit. Raises DataError for a spine row without a lead.
    """
    entity = entity_codes(spine["entity_id"], dataset.leads)
    if (entity < 0).any():
        lost = spine["entity_id"].to_pylist()[int(np.argmin(entity))]
        raise DataError(
            "spine rows without a lead",
            where="entity_id",
            found=f"{int((entity < 0).sum())}, such as {lost!r}",
        )
    account = _account_codes(dataset.leads)
    events = _Events(dataset, catalog, account)
    shards = shards or max(1, -(-spine.num_rows // ROWS_PER_SHARD))
    cutoff, shard = instants(spine["cutoff"]), account[entity] % shards
    picks = [rows for rows in (np.flatnonzero(shard == number) for number in range(shards)) if len(rows)]
    jobs = (
        delayed(_shard)(
            events.of(account % shards == shard[rows[0]]),
            catalog,
            entity[rows],
            account[entity[rows]],
            cutoff[rows],
        )
        for rows in picks
    )
    parts: list[dict[str, np.ndarray]] = []
    for part in Parallel(n_jobs=workers, prefer="threads", return_as="generator")(jobs):
        parts.append(part)
        if progress:
            progress(len(parts), len(picks))
    back = np.argsort(np.concatenate(picks), kind="stable") if picks else np.empty(0, np.int64)
    return _assemble(dataset, spine, catalog, entity, parts, back)


def _account_codes(leads: pa.Table) -> np.ndarray:
    """Return a number for each lead's account; a lead without one is an account of its own."""
    known = pc.dictionary_encode(leads["account_id"].combine_chunks())
    code = pc.fill_null(known.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = code < 0
    code[alone] = len(known.dictionary) + np.arange(alone.sum())
    return code


class _Events:
    """The event log as arrays, ordered by EVENTS' columns, from which shards are cut."""

    def __init__(self, dataset: Dataset, catalog: Catalog, account: np.ndarray) -> None:
        log = dataset.events.select(EVENTS.names)
        self.entity = entity_codes(log["entity_id"], dataset.leads)
        self.account, self.joined = account, instants(dataset.leads["available_at"])
        self.time, self.available = instants(log["event_time"]), instants(log["available_at"])
        self.kind = _codes(log["event_type"], catalog.types)
        self.channel = _codes(log["channel"], catalog.channels)
        self.value = pc.fill_null(log["value"], np.nan).to_numpy()

    def of(self, wanted: np.ndarray) -> tuple[History, History]:
        """Return the histories by entity and by account of the wanted entities' events."""
        rows = np.flatnonzero(wanted[self.entity] & (self.entity >= 0))
        by_entity = self._history(rows, self.entity[rows])
        rows = rows[np.lexsort((rows, self.time[rows], self.account[self.entity[rows]]))]
        by_account = self._history(rows, self.account[self.entity[rows]])
        # Who belongs to the account is known from the lead row, so its events say nothing before that.
        joined = np.maximum(by_account.available, self.joined[by_account.member])
        return by_entity, replace(by_account, available=joined)

    def _history(self, rows: np.ndarray, group: np.ndarray) -> History:
        columns = (self.entity, self.time, self.available, self.kind, self.channel, self.value)
        return History(group, *(column[rows] for column in columns))


def _codes(column: pa.ChunkedArray, known: tuple[str, ...]) -> np.ndarray:
    found = pc.index_in(column, value_set=pa.array(known, pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)


def _shard(
    histories: tuple[History, History],
    catalog: Catalog,
    entity: np.ndarray,
    account: np.ndarray,
    cutoff: np.ndarray,
) -> dict[str, np.ndarray]:
    """Compute one shard's features of history, by name."""
    columns: dict[str, np.ndarray] = {}
    for scope, history, group in (("entity", histories[0], entity), ("account", histories[1], account)):
        wanted = [f for f in catalog.features if f.scope == scope and not f.aggregate.startswith("stage")]
        if wanted:
            blocks = look_back(history, group, cutoff, *_shape(catalog))
            columns |= {feature.name: _pick(blocks, catalog, feature) for feature in wanted}
    if catalog.stages and catalog.types:
        rank = _codes(pa.chunked_array([pa.array(catalog.types, pa.string())]), catalog.stages)
        columns["stage_now"], columns["stage_age"] = stage_now(histories[0], entity, cutoff, rank)
    return columns


def _shape(catalog: Catalog) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    in_us = [
        [int(span.total_seconds() * 1_000_000) for span in spans] for spans in (catalog.windows, catalog.half_lives)
    ]
    return (
        (len(catalog.types), len(catalog.channels)),
        np.array(in_us[0], np.int64),
        np.array(in_us[1], np.int64),
    )


def _pick(blocks: Blocks, catalog: Catalog, feature: Feature) -> np.ndarray:
    """Take one feature's column out of the blocks."""
    subject = catalog.subjects.index(feature.subject)
    window = catalog.windows.index(feature.span) if feature.span in catalog.windows else len(catalog.windows)
    match feature.aggregate:
        case "count":
            return blocks.count[:, subject, window].copy()
        case "total":
            return blocks.total[:, subject, window].copy()
        case "age":
            return blocks.age[:, subject].copy()
        case "first":
            return blocks.first[:, subject].copy()
        case "decay":
            return blocks.decay[:, subject, catalog.half_lives.index(feature.span)].copy()
        case "active_days":
            return blocks.active_days[:, window].copy()
        case "people":
            return blocks.people[:, window].copy()
    first = 1 if feature.aggregate == "types" else 1 + len(catalog.types)
    last = 1 + len(catalog.types) if feature.aggregate == "types" else blocks.count.shape[1]
    return (blocks.count[:, first:last, window] > 0).sum(axis=1).astype(np.float64)


def _assemble(
    dataset: Dataset,
    spine: pa.Table,
    catalog: Catalog,
    entity: np.ndarray,
    parts: list[dict[str, np.ndarray]],
    back: np.ndarray,
) -> pa.Table:
    columns = {name: spine[name] for name in ("entity_id", "cutoff")}
    for feature in catalog.features:
        if feature.scope == "lead":
            columns[feature.name] = _lead_column(dataset, feature, entity, spine)
            continue
        values = np.concatenate([part[feature.name] for part in parts])[back] if parts else np.empty(0)
        columns[feature.name] = _stage_names(catalog, values) if feature.aggregate == "stage_now" else pa.array(values)
    return pa.table(columns)


def _stage_names(catalog: Catalog, codes: np.ndarray) -> pa.Array:
    return pa.array(catalog.stages, pa.string()).take(pa.array(codes.astype(np.int64), mask=codes < 0))


def _lead_column(dataset: Dataset, feature: Feature, entity: np.ndarray, spine: pa.Table) -> pa.Array:
    if feature.aggregate == "created_age":
        return pa.array((instants(spine["cutoff"]) - instants(dataset.leads["created_at"])[entity]) / US_PER_DAY)
    if feature.subject not in dataset.leads.column_names:
        raise DataError(
            "attribute is gone from the leads source",
            where=feature.subject,
            mend="restore it, or train again",
        )
    wanted = pa.string() if feature.category else pa.float64()
    try:
        return _cast(dataset.leads[feature.subject], wanted).take(pa.array(entity)).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError("attribute was a number and is text now", where=feature.subject, found=str(error)) from error


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == wanted else pc.cast(column, wanted)
