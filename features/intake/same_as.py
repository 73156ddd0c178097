"""Merges of ``sources.same_as``: which records of the sources became which other ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.contract import SourceContract
from configs.errors import DataError
from configs.schema import Project
from configs.source_rows import MergeRows
from features.contracts import SourceCount
from features.intake.identity.id_diagnosis import describe_diagnoses
from features.intake.ids import read_ids
from features.intake.quarantine import (
    NO_ID,
    SKIPPED,
    Rejections,
    find_common_flaws,
    make_row_reader,
    mark_duplicates,
    mask_columns,
    pick_first_reason,
    quarantine_rows,
)
from features.intake.reading import RawRows, read_rows
from features.intake.time_columns import TimeColumns
from features.intake.time_limits import TimeLimits
from features.intake.values import read_times
from features.merges import ALWAYS_US, Merges

# Ids that the message about a cycle names.
MAX_CYCLE_IDS = 5


def read_merges(
    project: Project, quarantine: Path | None, limits: TimeLimits
) -> tuple[Merges, list[SourceCount]]:
    """Return the merges of all sources of ``sources.same_as``, and the row counts of each.

    Rows that become known after the clock are left out, and so is a row that names one id twice.
    Of equal merges the one known first is used. Raises the errors of reading a source, and
    DataError for an id that was merged into two others, and for merges in a circle.
    """
    into, counts = dict[str, tuple[str, int]](), list[SourceCount]()
    for i, source in enumerate(project.sources.same_as):
        key = f"sources.same_as[{i}]"
        rows, count = _read_source(project, source, i, quarantine, limits)
        shown = {source.old_id, source.new_id}.isdisjoint(project.privacy.personal)
        _add_merges(into, rows, f"{source.label}: {key}", shows_ids=shown)
        counts.append(count)
    return Merges(into), counts


def describe_unknown_survivors(project: Project, merges: Merges, leads: pa.Table) -> list[str]:
    """Return the warning about merges that end in an id that is no lead."""
    finals = pa.array(sorted({merges.find_final(old) for old in merges.into}), pa.string())
    lost = finals.filter(pc.invert(pc.is_in(finals, value_set=leads["entity_id"].combine_chunks())))
    if not len(lost):
        return []
    shows_ids = _shows_ids(project)
    hint = describe_diagnoses(lost, leads["entity_id"].combine_chunks(), shows_ids)
    example = f", such as {lost[0].as_py()!r}" if shows_ids else ""
    return [
        f"sources.same_as: {len(lost):,} of {len(finals):,} new ids are no leads{example}; merges "
        f"into them change nothing{'; ' if hint else ''}{hint}"
    ]


def _shows_ids(project: Project) -> bool:
    names = {name for rows in project.sources.same_as for name in (rows.old_id, rows.new_id)}
    return names.isdisjoint(project.privacy.personal)


def _read_source(
    project: Project, source: MergeRows, i: int, quarantine: Path | None, limits: TimeLimits
) -> tuple[pa.Table, SourceCount]:
    """Return the used rows as a table of ``old``, ``new`` and ``known``, and the row counts."""
    key = f"sources.same_as[{i}]"
    needed = {f"{key}.from": source.old_id, f"{key}.to": source.new_id}
    needed |= {f"{key}.known_at": source.known_at} if source.known_at else {}
    times = TimeColumns.from_source(project, source, key, SourceContract(), {})
    raw = times.settle_rows(read_rows(source, needed))
    columns = _read_columns(project, source, raw)
    is_same = pc.fill_null(pc.equal(columns["entity_id"], columns["name"]), False)
    flaws = [*find_common_flaws(columns, skips=False), (pc.is_null(columns["name"]), NO_ID)]
    flaws += [*limits.find_later_rows(columns), (is_same, SKIPPED)]
    reasons = pick_first_reason(flaws, len(raw.table))
    table = pa.table({"nr": raw.table["nr"], "old": columns["entity_id"], "new": columns["name"]})
    rows = table.append_column("known", columns["time"]).filter(reasons.is_null())
    rows = rows.sort_by([("known", "ascending"), ("nr", "ascending")])
    first = rows.group_by(["old", "new"], use_threads=False).aggregate([("nr", "first")])
    again = rows["nr"].filter(pc.invert(pc.is_in(rows["nr"], value_set=first["nr_first"])))
    reasons = mark_duplicates(reasons, raw.table["nr"], again)
    read_again = mask_columns(make_row_reader(raw), project.privacy.personal)
    count = quarantine_rows(
        f"same_as_{i + 1}",
        Rejections.from_reasons(reasons),
        read_again,
        quarantine,
        project.sources,
    )
    warnings = [*count.warnings, *raw.warnings, *times.list_warnings()]
    warnings += _describe_source(source, key, columns, is_same)
    count = replace(count, warnings=tuple(warnings), form=raw.form)
    return rows.filter(pc.is_in(rows["nr"], value_set=first["nr_first"])), count


def _read_columns(project: Project, source: MergeRows, raw: RawRows) -> dict[str, pa.Array]:
    """Return the columns under the names of the common checks; ``name`` is the new id."""
    size = len(raw.table)
    columns = {
        "unreadable": raw.unreadable_rows(),
        "entity_id": read_ids(raw, source.old_id, source),
        "name": read_ids(raw, source.new_id, source),
    }
    if source.known_at is not None:
        return columns | read_times(raw, source.known_at, None, source, project.zone)
    always = pa.array(np.full(size, ALWAYS_US))
    return columns | {
        "time": always,
        "available": always,
        "time_problem": pa.nulls(size, pa.string()),
        "time_missing": pa.array(np.zeros(size, bool)),
    }


def _describe_source(
    source: MergeRows, key: str, columns: dict[str, pa.Array], is_same: pa.Array
) -> Iterator[str]:
    """Yield the warnings about a source."""
    if source.known_at is None and len(is_same):
        yield (
            f"{source.label}: {key}: has no known_at, so its merges hold at every cutoff, also "
            "before they were made: give the column with the time of the merge if there is one"
        )
    if rows := pc.sum(is_same).as_py():
        yield f"{source.label}: {key}: {rows:,} of {len(is_same):,} rows merge an id into itself"


def _add_merges(
    into: dict[str, tuple[str, int]], rows: pa.Table, where: str, *, shows_ids: bool
) -> None:
    """Add the merges of a source.

    Raises DataError for an id that was merged into two others, and for a circle.
    """
    columns = (rows[name].to_pylist() for name in ("old", "new", "known"))
    for old, new, known in zip(*columns, strict=True):
        other, earlier = into.get(old, (new, known))
        if other != new:
            example = f"{old!r} into {other!r} and into {new!r}" if shows_ids else "1 id"
            raise DataError(
                "an id was merged into two others",
                where=where,
                found=example,
                fix="keep the merge that holds; if one of them was merged again, its own row says "
                "so",
            )
        into[old] = new, min(known, earlier)
    if circle := _find_circle(into):
        example = (
            " → ".join(map(repr, _shorten_circle(circle))) if shows_ids else f"{len(circle)} ids"
        )
        raise DataError(
            "ids were merged in a circle",
            where=where,
            found=example,
            fix="remove the row of the id that is still in use",
        )


def _find_circle(into: dict[str, tuple[str, int]]) -> list[str]:
    """Return the ids of a circle of merges, the first of them again at the end; empty without."""
    ended = set[str]()
    for start in into:
        path, entity = dict[str, None](), start
        while entity in into and entity not in ended and entity not in path:
            path[entity] = None
            entity = into[entity][0]
        if entity in path:
            names = [*path]
            return [*names[names.index(entity) :], entity]
        ended.update(path)
    return []


def _shorten_circle(circle: Iterable[str]) -> list[str]:
    names = [*circle]
    return names if len(names) <= MAX_CYCLE_IDS + 1 else [*names[:MAX_CYCLE_IDS], "…", names[-1]]
