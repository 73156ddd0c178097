"""Suppressed entities: by the config's list, a column of the leads, or the workspace's own list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.privacy import SuppressList, SuppressWhere
from configs.schema import Project
from configs.source_rows import LeadRows
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.identity.id_diagnosis import describe_diagnoses
from features.intake.ids import read_ids
from features.intake.quarantine import SUPPRESSED_REASON, Flaw
from features.intake.reading import RawRows, read_rows
from features.intake.same_as import read_merges
from features.intake.storage.source_file import FIX_SOURCES
from features.intake.time_limits import TimeLimits
from features.intake.values import clean_column
from features.merges import Merges
from features.suppressed import SUPPRESSED, Suppression
from features.tools.duckdb_sql import run_query
from features.tools.folding import fold_texts
from features.tools.id_index import IdIndex

# Reasons of a suppression; the last one is requested by ``leadscore forget --and-suppress``.
LIST_REASON, COLUMN_REASON, FORGET_REASON = "privacy.suppress", "privacy.suppress_where", "forget"
# File of the workspace's own list of ids.
WORKSPACE_LIST = "suppressed.csv"

# Listed ids that are compared with all known ones for a message, and the comparisons of ids, about:
# one second.
MAX_COMPARED_IDS, MAX_COMPARISONS = 100, 2_000_000
# Least similarity of two ids that are shown as similar; 0.6 is one of five characters and a blank.
MIN_ID_SIMILARITY = 0.6


class Objections:
    """Finds the rows of suppressed entities, and records which entities the data contains.

    Ids are compared without case and outer blanks: a person who objects must not be scored because
    two programs write her address differently. An objection holds for all records of a person that
    were merged: it names any of their ids.
    """

    def __init__(self, project: Project, merges: Merges) -> None:
        """Read the lists; ``merges`` are those known.

        Raises the errors of reading a source, and DataError for a row of a list without an id.
        """
        self._same_ids = _SameIds.from_merges(merges)
        self._learn, self._where = project.privacy.learn, project.privacy.suppress_where
        self._shows_ids = not has_personal_ids(project)
        self._named = dict[str, pa.Array]()
        if project.privacy.suppress is not None:
            self._named[LIST_REASON] = _read_list(project.privacy.suppress, LIST_REASON)
        own = project.workspace_path / WORKSPACE_LIST
        if own.exists():
            self._named[FORGET_REASON] = _read_list(workspace_list_source(own), FORGET_REASON)
        self._look_up()

    def add_opt_outs(self, raw: RawRows, ids: pa.ChunkedArray, source: LeadRows) -> None:
        """Add entities that a column of the leads suppresses; one row of an entity is enough."""
        if self._where is not None:
            missing = source.list_missing(self._where.column)
            out = pc.and_(_find_opt_outs(raw, self._where, missing), pc.is_valid(ids))
            self._named[COLUMN_REASON] = pc.unique(ids.filter(out))
            self._look_up()

    def find_flaws(self, ids: pa.ChunkedArray, *, marks_held: bool = False) -> list[Flaw]:
        """Return the rows to leave out as if absent; none if models may learn from them.

        ``marks_held`` records the entities of these rows as contained in the data.
        """
        if not len(self._keys):
            return []
        is_listed = self.contains(ids)
        if marks_held:
            self._held_ids.append(pc.unique(ids.filter(is_listed)))
        return [] if self._learn else [(is_listed, SUPPRESSED_REASON)]

    def contains(self, ids: pa.ChunkedArray) -> pa.Array:
        """Return a mask of the ids that a list or the column names."""
        if not len(self._keys):
            return pa.array(np.zeros(len(ids), bool))
        return pa.array(self._keys.find(fold_texts(ids)) >= 0)

    def to_suppression(self, known: pa.ChunkedArray) -> Suppression:
        """Return the suppressed entities, after all sources have been read.

        ``known`` are the ids of the leads that remain.
        """
        ids = pc.unique(pa.chunked_array([pa.array([], pa.string()), *self._held_ids]))
        keys, parts = fold_texts(ids), [SUPPRESSED.empty_table()]
        listed, met, warnings = dict[str, int](), dict[str, int](), list[str]()
        for reason, named in self._named.items():
            named_keys = fold_texts(named)
            meant_keys = self._same_ids.widen(named_keys)
            held = ids.filter(pc.is_in(keys, value_set=meant_keys))
            parts.append(pa.table([held, pa.repeat(reason, len(held))], schema=SUPPRESSED))
            held_keys = self._same_ids.widen(keys)
            unmet = named.filter(pc.invert(pc.is_in(named_keys, value_set=held_keys)))
            listed[reason] = len(pc.unique(named_keys))
            met[reason] = listed[reason] - len(pc.unique(fold_texts(unmet)))
            # Forgotten entities are meant to be absent.
            if len(unmet) and reason != FORGET_REASON:
                warnings.append(self._describe_unmet(reason, unmet, listed[reason], known))
        rows = pa.concat_tables(parts).sort_by(
            [("entity_id", "ascending"), ("reason", "ascending")]
        )
        return Suppression(rows, listed, met, tuple(warnings))

    def _describe_unmet(
        self, reason: str, unmet: pa.Array, listed: int, known: pa.ChunkedArray
    ) -> str:
        """Return the warning that listed ids are not in the data."""
        text = f"{reason}: {len(unmet):,} of {listed:,} listed ids are not in the data"
        written = describe_diagnoses(unmet, known.combine_chunks(), self._shows_ids)
        near = find_nearest_pair(unmet, known) if self._shows_ids and not written else None
        if written:
            return f"{text}; {written}"
        if near is not None:
            text += f"; {near[0]!r} is not, the most similar lead is {near[1]!r}"
        elif self._shows_ids:
            text += f", such as {min(unmet.to_pylist())!r}"
        return f"{text}. If they mean leads, write their ids as the sources do"

    def _look_up(self) -> None:
        # This forgets which entities are held, so all lists must be read before rows are marked.
        named = [pa.array([], pa.string()), *map(fold_texts, self._named.values())]
        keys = pc.unique(pa.chunked_array(named))
        self._keys = IdIndex.from_column(self._same_ids.widen(keys))
        self._held_ids = list[pa.Array]()


@dataclass(frozen=True)
class _SameIds:
    """Folded ids of merged records: one row per id, with the id that its record has in the end."""

    ids: pa.Array
    finals: pa.Array

    @classmethod
    def from_merges(cls, merges: Merges) -> _SameIds:
        finals = merges.list_finals()
        return cls(*(fold_texts(pa.array(ids, pa.string())) for ids in (finals, finals.values())))

    def widen(self, keys: pa.Array) -> pa.Array:
        """Return folded ids, and after them all others of the same records."""
        if not len(self.ids):
            return keys
        finals = self.finals.filter(pc.is_in(self.ids, value_set=keys))
        others = self.ids.filter(pc.is_in(self.finals, value_set=finals))
        return pc.unique(pa.concat_arrays([keys, others]))


def find_listed(project: Project, ids: pa.ChunkedArray) -> pa.Array:
    """Return a mask of the ids that today's lists name; of other sources only merges are read.

    Raises the errors of reading a source, and DataError for a row of a list without an id.
    """
    merges, _ = read_merges(project, None, TimeLimits())
    return Objections(project, merges).contains(ids)


def find_nearest_pair(listed: pa.Array, known: pa.ChunkedArray) -> tuple[str, str] | None:
    """Return the listed id that resembles a known one most, with that id; None if none does.

    Similarity is 1 minus the edit distance without case, as a share of the longer id. Of many
    listed ids the first in text order are compared, so that the work is bounded.
    """
    compared = max(1, min(MAX_COMPARED_IDS, MAX_COMPARISONS // max(len(known), 1)))
    examples = pc.unique(listed).sort().slice(0, compared)
    pairs = run_query(
        """SELECT l, k FROM (
             SELECT l.id AS l, k.id AS k, greatest(length(l.key), length(k.key)) AS size,
               CASE WHEN abs(length(l.key) - length(k.key)) <= size * (1 - $least)
                 THEN 1 - levenshtein(l.key, k.key) / size ELSE 0 END AS similarity
             FROM listed l, known k)
           WHERE similarity >= $least ORDER BY similarity DESC, l, k LIMIT 1""",
        {"least": MIN_ID_SIMILARITY},
        listed=pa.table({"id": examples, "key": fold_texts(examples)}),
        known=pa.table({"id": known, "key": fold_texts(known)}),
    ).to_pylist()
    return (pairs[0]["l"], pairs[0]["k"]) if pairs else None


def has_personal_ids(project: Project) -> bool:
    """Return whether a column that holds entity ids is declared personal."""
    return not set(project.privacy.personal).isdisjoint(_id_columns(project))


def _id_columns(project: Project) -> Iterator[str | None]:
    """Yield the columns that hold entity ids."""
    sources = project.sources
    for source in (sources.leads, project.privacy.suppress, *sources.events, *sources.attributes):
        yield source.entity_id if source else None
    for merged in sources.same_as:
        yield from (merged.old_id, merged.new_id)
    yield from (identity.entity_id for identity in sources.identities)
    yield from (experiment.entity_id for experiment in sources.experiments)


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
    ids = read_ids(raw, source.entity_id, source)
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
