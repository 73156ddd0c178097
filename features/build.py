"""``build_features``: the only way to get features, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed

from configs.errors import DataError
from features.catalog import Catalog, Feature, Scope
from features.contracts import EVENTS, US_PER_DAY, Dataset
from features.journey import stage_now
from features.spine import entity_codes, instants
from features.windows import Blocks, History, Question, look_back

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
    columns = _history_columns(histories[0], "entity", catalog, entity, cutoff)
    # Many entities of one account share a cutoff: look back from there once.
    looked, back = _distinct(account, cutoff)
    shared = _history_columns(histories[1], "account", catalog, account[looked], cutoff[looked])
    columns |= {name: values[back] for name, values in shared.items()}
    if catalog.stages and catalog.types:
        rank = _codes(pa.chunked_array([pa.array(catalog.types, pa.string())]), catalog.stages)
        columns["stage_now"], columns["stage_age"] = stage_now(histories[0], entity, cutoff, rank)
    return columns


def _distinct(account: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that stand for each different (account, cutoff), and for every row the place of its own."""
    order = np.lexsort((cutoff, account))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(account[order]) != 0) | (np.diff(cutoff[order]) != 0)
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(new) - 1
    return order[new], back


def _history_columns(
    history: History, scope: Scope, catalog: Catalog, group: np.ndarray, cutoff: np.ndarray
) -> dict[str, np.ndarray]:
    wanted = [f for f in catalog.features if f.scope == scope and not f.aggregate.startswith("stage")]
    if not wanted:
        return {}
    blocks = look_back(history, group, cutoff, _question(catalog, wanted))
    return {feature.name: _pick(blocks, catalog, feature) for feature in wanted}


def _question(catalog: Catalog, wanted: list[Feature]) -> Question:
    """Ask for what the wanted features need and no more."""
    faded = {catalog.subjects.index(f.subject) for f in wanted if f.aggregate == "decay"}
    summed = {f.subject for f in wanted if f.aggregate == "total"}
    in_us = [[span // timedelta(microseconds=1) for span in spans] for spans in (catalog.windows, catalog.half_lives)]
    return Question(
        types=len(catalog.types),
        channels=len(catalog.channels),
        windows=np.array(in_us[0], np.int64),
        half_lives=np.array(in_us[1], np.int64),
        faded=max(faded, default=-1) + 1,
        valued=np.array([subject in summed for subject in catalog.subjects]),
    )


def _pick(blocks: Blocks, catalog: Catalog, feature: Feature) -> np.ndarray:
    """Take one feature's column out of the blocks."""
    subject = catalog.subjects.index(feature.subject)
    window = catalog.windows.index(feature.span) if feature.span in catalog.windows else len(catalog.windows)
    match feature.aggregate:
        case "count" | "total":
            return getattr(blocks, feature.aggregate)[subject, window]
        case "age" | "first":
            return getattr(blocks, feature.aggregate)[subject]
        case "active_days" | "people":
            return getattr(blocks, feature.aggregate)[window]
        case "decay":
            return blocks.decay[subject, [span == feature.span for span in catalog.half_lives].index(True)]
    types = slice(1, 1 + len(catalog.types))
    channels = slice(1 + len(catalog.types), None)
    return (blocks.count[types if feature.aggregate == "types" else channels, window] > 0).sum(axis=0).astype(float)


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
