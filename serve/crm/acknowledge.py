"""Acknowledgement: the results of a loader matched to the rows of the delivery that it loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, join_names
from features.score_tables import DELIVERY_RESULTS, RESULT_STATUSES
from features.tools.id_index import IdIndex
from serve.crm.results_file import ResultsFile, read_results_file
from serve.crm.sent_rows import SentRows, read_layout, read_sent_rows
from serve.crm.stored_deliveries import StoredDelivery
from serve.crm.wide_table import CLEARED, SCORED

MAX_CANDIDATES = 7


@dataclass(frozen=True)
class Acknowledgement:
    """A results file matched to its delivery.

    Attributes:
        path: The file.
        form: Name of its form.
        delivery: The delivery; None for a file without rows.
        rows: Number of its rows.
        counts: Number of leads by status.
        repeated: Further rows of the same leads.
        unknown: Rows that were not in the delivery.
        results: DELIVERY_RESULTS rows, one per lead.
    """

    path: Path
    form: str
    delivery: StoredDelivery | None
    rows: int
    counts: Mapping[str, int]
    repeated: int
    unknown: int
    results: pa.Table

    def to_json(self) -> dict[str, Any]:
        """Return a summary as plain JSON values."""
        return {
            "file": str(self.path),
            "form": self.form,
            "name": self.delivery.manifest["name"] if self.delivery else None,
            "delivery": self.delivery.id if self.delivery else None,
            "rows": self.rows,
            **self.counts,
            "repeated": self.repeated,
            "unknown": self.unknown,
        }


@dataclass(frozen=True)
class _Match:
    """The rows of a file that a delivery holds: by key, and by all their cells."""

    positions: np.ndarray
    is_equal: np.ndarray


def acknowledge_files(
    paths: Sequence[Path], deliveries: Sequence[StoredDelivery], chosen: str | None, now: datetime
) -> list[Acknowledgement]:
    """Read results files and match each one to one of the deliveries that are kept.

    ``chosen`` is the delivery that the user names. Without it and without a column that names it,
    the delivery is the only one that holds all rows of the file that any delivery holds, with equal
    cells where the file has them. ``now`` is the machine's time.

    Raises ConfigError if a named delivery is not kept or several fit, and DataError for a file that
    cannot be read, of which no delivery holds half of the rows, or that joins several deliveries.
    """
    layouts = list(dict.fromkeys(read_layout(delivery) for delivery in deliveries))
    files = []
    for path in dict.fromkeys(paths):
        _require_not_sent(path, deliveries)
        files.append(read_results_file(path, layouts))
    named = [_find_named(file, deliveries, chosen) for file in files]
    matches: list[dict[int, _Match]] = [{} for _ in files]
    for number, delivery in enumerate(deliveries):
        wanting = [i for i, name in enumerate(named) if name in (None, delivery.id)]
        if any(len(files[i].keys) for i in wanting):
            # Of one delivery at a time, since one may hold a million rows.
            sent, columns = read_sent_rows(delivery), read_layout(delivery).columns
            index = IdIndex.from_column(sent.keys)
            for i in wanting:
                matches[i][number] = _match_rows(files[i], sent, index, columns)
    return [
        _build_acknowledgement(file, deliveries, file_matches, now)
        for file, file_matches in zip(files, matches, strict=True)
    ]


def _require_not_sent(path: Path, deliveries: Sequence[StoredDelivery]) -> None:
    """Raise DataError for a part of a delivery: it would read as rows that were not processed."""
    try:
        size = path.stat().st_size
    except OSError:
        return  # reading it reports the reason
    parts = {
        part["sha256"]
        for delivery in deliveries
        for part in delivery.manifest["parts"]
        if part["bytes"] == size
    }
    if not parts:
        return
    with path.open("rb") as file:
        is_sent = hashlib.file_digest(file, "sha256").hexdigest() in parts
    if is_sent:
        raise DataError(
            "the file is a part of a delivery, not the results of loading it",
            where=str(path),
            fix="give the files that the CRM returned",
        )


def _find_named(
    file: ResultsFile, deliveries: Sequence[StoredDelivery], chosen: str | None
) -> str | None:
    """Return the delivery that the user or the file names; raise ConfigError if it is not kept."""
    ids = [delivery.id for delivery in deliveries]
    name = chosen or file.delivery
    if chosen and file.delivery and chosen != file.delivery:
        raise ConfigError(
            "the file names another delivery",
            where=str(file.path),
            found=f"{file.delivery!r}, not {chosen!r}",
            fix="give one file for each delivery",
        )
    if name is None or name in ids:
        return name
    raise ConfigError(
        "no such delivery is kept",
        where="--delivery" if chosen else f"{file.path}: column delivery",
        found=repr(name),
        fix=f"name one of them: {join_names(ids, MAX_CANDIDATES) or 'there is none'}; what an "
        "older one lacks is delivered by --full",
    )


def _match_rows(
    file: ResultsFile, sent: SentRows, index: IdIndex, columns: frozenset[str]
) -> _Match:
    positions = index.find(file.keys)
    is_equal = positions >= 0
    if sent.hashes is not None and columns == file.columns:
        known = np.flatnonzero(is_equal)
        is_equal[known] = (sent.hashes[positions[known]] == file.hashes[known]).all(axis=1)
    return _Match(positions, is_equal)


def _build_acknowledgement(
    file: ResultsFile,
    deliveries: Sequence[StoredDelivery],
    matches: Mapping[int, _Match],
    now: datetime,
) -> Acknowledgement:
    """Choose the delivery of a file and return its results, one per lead."""
    size = len(file.keys)
    if not size:
        counts = dict.fromkeys(RESULT_STATUSES, 0)
        empty = DELIVERY_RESULTS.empty_table()
        return Acknowledgement(file.path, file.form, None, 0, counts, 0, 0, empty)
    number = _choose_delivery(file, deliveries, matches)
    delivery, positions = deliveries[number], matches[number].positions
    known = np.flatnonzero(positions >= 0)
    # The best status of each lead: the positions in RESULT_STATUSES are in that order.
    order = known[np.lexsort((file.statuses[known], positions[known]))]
    is_first = np.diff(positions[order], prepend=-1) != 0
    chosen = pa.array(order[is_first])
    statuses = file.statuses[order[is_first]]
    results = _build_results(
        delivery, file.keys.take(chosen), statuses, file.messages.take(chosen), now
    )
    counts = {
        status: int((statuses == place).sum()) for place, status in enumerate(RESULT_STATUSES)
    }
    repeated, unknown = len(known) - len(chosen), size - len(known)
    return Acknowledgement(file.path, file.form, delivery, size, counts, repeated, unknown, results)


def _choose_delivery(
    file: ResultsFile, deliveries: Sequence[StoredDelivery], matches: Mapping[int, _Match]
) -> int:
    """Return the position of the one delivery that fits; raise where none or several do."""
    size = len(file.keys)
    equal = {number: match.is_equal for number, match in matches.items()}
    if not any(mask.any() for mask in equal.values()):
        # A tool may have rewritten the cells; the keys are still those that were sent.
        equal = {number: match.positions >= 0 for number, match in matches.items()}
    in_any = np.any(list(equal.values()) or [np.zeros(size, bool)], axis=0)
    counts = {number: int(mask.sum()) for number, mask in equal.items() if mask.any()}
    # A lead that was forgotten since is in no delivery any more, and its results are dropped.
    if 2 * in_any.sum() < size or not in_any.any():
        raise DataError(
            "most rows were in no delivery that is kept",
            where=str(file.path),
            found=f"{size - in_any.sum():,} of {size:,} rows, in {len(deliveries)} deliveries",
            fix="give the results of this project; what a delivery lacks that is no longer kept is "
            "delivered by --full",
        )
    fitting = [number for number, count in counts.items() if count == in_any.sum()]
    if len(fitting) == 1:
        return fitting[0]
    listed = [f"{deliveries[number].id} ({counts[number]:,} rows)" for number in counts]
    if fitting:
        raise ConfigError(
            "several deliveries hold these rows",
            where=str(file.path),
            found=join_names([listed[list(counts).index(n)] for n in fitting], MAX_CANDIDATES),
            fix="name the one that was loaded: --delivery ID",
        )
    raise DataError(
        "the rows are of several deliveries",
        where=str(file.path),
        found=f"{in_any.sum():,} rows: {join_names(listed, MAX_CANDIDATES)}",
        fix="give one file for each delivery, or name the one that was loaded: --delivery ID",
    )


def _build_results(
    delivery: StoredDelivery,
    keys: pa.ChunkedArray,
    statuses: np.ndarray,
    messages: pa.ChunkedArray,
    now: datetime,
) -> pa.Table:
    """Return DELIVERY_RESULTS rows. A lead that is not in the state was cleared."""
    is_scored = IdIndex.from_column(delivery.state().keys).find(keys) >= 0
    names = pa.array(RESULT_STATUSES).take(pa.array(statuses))
    fixed = {
        **{name: delivery.manifest[name] for name in ("project", "name", "delivery", "sequence")},
        "acknowledged_at": now,
    }
    columns = {
        **{
            name: pa.repeat(pa.scalar(value, DELIVERY_RESULTS.field(name).type), len(keys))
            for name, value in fixed.items()
        },
        "entity_id": keys,
        "content": pc.if_else(pa.array(is_scored), SCORED, CLEARED),
        "status": names,
        "message": messages,
    }
    return pa.table([columns[name] for name in DELIVERY_RESULTS.names], schema=DELIVERY_RESULTS)
