"""Who objects to being scored, by the config's list, by a column of the leads, and by the workspace's own list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.privacy import SuppressList, SuppressWhere
from configs.schema import Project
from features.intake.formats.files import CHECK
from features.intake.formats.texts import plain, texts
from features.intake.quarantine import SUPPRESSED as LEFT_OUT
from features.intake.quarantine import Flaw
from features.intake.reading import RawRows, read_rows
from features.intake.values import clean, cleaned
from features.suppressed import SUPPRESSED, Suppression
from features.tools.id_index import Ids

LISTED, OPTED_OUT, ASKED = "privacy.suppress", "privacy.suppress_where", "forget"
"""Why an entity is suppressed; the last one was asked for with ``leadscore forget --and-suppress``."""
OWN_LIST = "suppressed.csv"
"""The workspace's own list of ids."""


class Objections:
    """Tells the rows of suppressed entities, and remembers which of these the data holds."""

    def __init__(self, project: Project) -> None:
        """Read the lists; raise what reading any source raises, and DataError for a row of a list without an id."""
        self._learn, self._where = project.privacy.learn, project.privacy.suppress_where
        self._named = dict[str, pa.Array]()
        if project.privacy.suppress is not None:
            self._named[LISTED] = _read_list(project.privacy.suppress, LISTED)
        own = project.workspace_path / OWN_LIST
        if own.exists():
            self._named[ASKED] = _read_list(own_list(own), ASKED)
        self._look_up()

    def opted_out(self, raw: RawRows, ids: pa.ChunkedArray, missing: tuple[str, ...]) -> None:
        """Add who opted out by the column of the leads that says so; any one row of an entity is enough."""
        if self._where is not None:
            out = pc.and_(_find_opt_outs(raw, self._where, missing), pc.is_valid(ids))
            self._named[OPTED_OUT] = pc.unique(ids.filter(out))
            self._look_up()

    def flaws(self, ids: pa.ChunkedArray, *, meets: bool = False) -> list[Flaw]:
        """Return the rows to leave out as if they were not there: none if models may learn from them.

        ``meets`` says that these rows make the entities that the data holds.
        """
        if not len(self._held):
            return []
        place = self._ids.find(ids)
        if meets:
            self._held[place[place >= 0]] = True
        return [] if self._learn else [(pa.array(place >= 0), LEFT_OUT)]

    def found(self) -> Suppression:
        """Return who is suppressed, once all sources are read."""
        held = self._all.filter(pa.array(self._held))
        parts = [SUPPRESSED.empty_table()]
        for reason, ids in self._named.items():
            own = ids.filter(pc.is_in(ids, value_set=held))
            parts.append(pa.table([own, pa.repeat(reason, len(own))], schema=SUPPRESSED))
        rows = pa.concat_tables(parts).sort_by(
            [("entity_id", "ascending"), ("reason", "ascending")]
        )
        return Suppression(rows, {reason: len(ids) for reason, ids in self._named.items()})

    @property
    def named(self) -> pa.Array:
        """The different entities that are named so far, whether the data holds them or not."""
        return self._all

    def _look_up(self) -> None:
        named = [pa.array([], pa.string()), *self._named.values()]
        self._all = pc.unique(pa.chunked_array(named))
        self._ids, self._held = Ids.of(self._all), np.zeros(len(self._all), bool)


def listed(project: Project) -> pa.Array:
    """Return the different ids that the lists of today name; no other source is read.

    Raises what reading any source raises, and DataError for a row of a list without an id.
    """
    return Objections(project).named


def own_list(path: Path) -> SuppressList:
    """Return the workspace's own list as a source."""
    return SuppressList(path=str(path), format="csv", delimiter=",", entity_id="entity_id")


def _read_list(source: SuppressList, key: str) -> pa.Array:
    """Return the different ids of a list. A row without one may be anybody's, so it stops the run."""
    try:
        raw = read_rows(source, {f"{key}.entity_id": source.entity_id})
    except (
        DataError
    ) as error:  # the reading knows the file, not that it is what keeps leads from being scored
        where = error.where if key in error.where else f"{key}: {error.where}"
        fix = f"put the list back, or fix {key}.path" if error.fix == CHECK else error.fix
        fix = f"{fix}; until it can be read nobody is scored"
        raise DataError(error.what, where=where, found=error.found, fix=fix) from error
    ids = plain(cleaned(raw, source.entity_id, source.missing))
    bad = pc.or_(raw.unreadable(), pc.is_null(ids))
    if pc.any(bad).as_py():
        lines = raw.table["row"].filter(bad)
        raise DataError(
            "a suppression list has rows without an id",
            where=f"{source.label}: {key}.entity_id",
            found=f"{len(lines):,} of {len(bad):,}, the first is row {lines[0]}",
            fix="fix the list; until all of it can be read nobody is scored",
        )
    return pc.unique(ids)


def _find_opt_outs(raw: RawRows, where: SuppressWhere, missing: tuple[str, ...]) -> pa.ChunkedArray:
    said = plain(texts(clean(raw.column(where.column, f"{OPTED_OUT}.column"), missing)))
    said = pc.utf8_lower(pc.utf8_trim_whitespace(said))
    out = pc.is_in(said, value_set=pa.array(sorted(where.normalized_values), pa.string()))
    return pc.or_(out, pc.is_null(said)) if where.includes_missing else out
