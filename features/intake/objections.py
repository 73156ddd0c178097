"""Suppressed entities: by the config's list, a column of the leads, or the workspace's own list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.privacy import SuppressList, SuppressWhere
from configs.schema import Project
from features.intake.formats.files import FIX_SOURCES
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.ids import read_ids
from features.intake.quarantine import SUPPRESSED_REASON, Flaw
from features.intake.reading import RawRows, read_rows
from features.intake.values import clean_column
from features.suppressed import SUPPRESSED, Suppression
from features.tools.id_index import IdIndex

# Reasons of a suppression; the last one is requested by ``leadscore forget --and-suppress``.
LIST_REASON, COLUMN_REASON, FORGET_REASON = "privacy.suppress", "privacy.suppress_where", "forget"
# File of the workspace's own list of ids.
WORKSPACE_LIST = "suppressed.csv"


class Objections:
    """Finds the rows of suppressed entities, and records which entities the data contains."""

    def __init__(self, project: Project) -> None:
        """Read the lists.

        Raises the errors of reading a source, and DataError for a row of a list without an id.
        """
        self._learn, self._where = project.privacy.learn, project.privacy.suppress_where
        self._named = dict[str, pa.Array]()
        if project.privacy.suppress is not None:
            self._named[LIST_REASON] = _read_list(project.privacy.suppress, LIST_REASON)
        own = project.workspace_path / WORKSPACE_LIST
        if own.exists():
            self._named[FORGET_REASON] = _read_list(workspace_list_source(own), FORGET_REASON)
        self._look_up()

    def add_opt_outs(self, raw: RawRows, ids: pa.ChunkedArray, missing: tuple[str, ...]) -> None:
        """Add entities that a column of the leads suppresses; one row of an entity is enough."""
        if self._where is not None:
            out = pc.and_(_find_opt_outs(raw, self._where, missing), pc.is_valid(ids))
            self._named[COLUMN_REASON] = pc.unique(ids.filter(out))
            self._look_up()

    def find_flaws(self, ids: pa.ChunkedArray, *, marks_held: bool = False) -> list[Flaw]:
        """Return the rows to leave out as if absent; none if models may learn from them.

        ``marks_held`` records the entities of these rows as contained in the data.
        """
        if not len(self._held):
            return []
        position = self._ids.find(ids)
        if marks_held:
            self._held[position[position >= 0]] = True
        return [] if self._learn else [(pa.array(position >= 0), SUPPRESSED_REASON)]

    def to_suppression(self) -> Suppression:
        """Return the suppressed entities, after all sources have been read."""
        held = self._all.filter(pa.array(self._held))
        parts = [SUPPRESSED.empty_table()]
        for reason, ids in self._named.items():
            held_ids = ids.filter(pc.is_in(ids, value_set=held))
            parts.append(pa.table([held_ids, pa.repeat(reason, len(held_ids))], schema=SUPPRESSED))
        rows = pa.concat_tables(parts).sort_by(
            [("entity_id", "ascending"), ("reason", "ascending")]
        )
        return Suppression(rows, {reason: len(ids) for reason, ids in self._named.items()})

    @property
    def named_ids(self) -> pa.Array:
        """Return the distinct ids listed so far, whether the data contains them or not."""
        return self._all

    def _look_up(self) -> None:
        # This forgets which entities are held, so all lists must be read before rows are marked.
        named = [pa.array([], pa.string()), *self._named.values()]
        self._all = pc.unique(pa.chunked_array(named))
        self._ids, self._held = IdIndex.from_column(self._all), np.zeros(len(self._all), bool)


def read_listed_ids(project: Project) -> pa.Array:
    """Return the distinct ids of today's lists; no other source is read.

    Raises the errors of reading a source, and DataError for a row of a list without an id.
    """
    return Objections(project).named_ids


def workspace_list_source(path: Path) -> SuppressList:
    """Return the workspace's own list as a source."""
    return SuppressList(path=str(path), format="csv", delimiter=",", entity_id="entity_id")


def _read_list(source: SuppressList, key: str) -> pa.Array:
    """Return the distinct ids of a list.

    A row without an id could be anyone's, so it raises DataError and stops the run.
    """
    try:
        raw = read_rows(source, {f"{key}.entity_id": source.entity_id})
    except DataError as error:
        # The reader knows only the file; name the key, and the consequence for scoring.
        where = error.where if key in error.where else f"{key}: {error.where}"
        fix = f"put the list back, or fix {key}.path" if error.fix == FIX_SOURCES else error.fix
        fix = f"{fix}; no lead is scored until it can be read"
        raise DataError(error.what, where=where, found=error.found, fix=fix) from error
    ids = read_ids(raw, source.entity_id, source.missing)
    invalid = pc.or_(raw.unreadable_rows(), pc.is_null(ids))
    if pc.any(invalid).as_py():
        lines = raw.table["row"].filter(invalid)
        raise DataError(
            "a suppression list has rows without an id",
            where=f"{source.label}: {key}.entity_id",
            found=f"{len(lines):,} of {len(invalid):,}, the first is row {lines[0]}",
            fix="fix the list; no lead is scored until all of it can be read",
        )
    return pc.unique(ids)


def _find_opt_outs(raw: RawRows, where: SuppressWhere, missing: tuple[str, ...]) -> pa.ChunkedArray:
    value = to_plain_text(
        to_text(clean_column(raw.column(where.column, f"{COLUMN_REASON}.column"), missing))
    )
    value = pc.utf8_lower(pc.utf8_trim_whitespace(value))
    out = pc.is_in(value, value_set=pa.array(sorted(where.normalized_values), pa.string()))
    return pc.or_(out, pc.is_null(value)) if where.includes_missing else out
