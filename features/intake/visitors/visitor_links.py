"""Links of ``sources.identities``: which visitor turned out to be which lead, and since when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.contract import SourceContract
from configs.schema import Project
from configs.visitors.identities import IdentityRows
from features.contracts import SourceCount
from features.intake.identity.id_diagnosis import describe_diagnoses
from features.intake.identity.merged_rows import find_lead_rows
from features.intake.ids import read_ids
from features.intake.objections import Objections, has_personal_ids
from features.intake.quarantine import (
    NO_ID,
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
from features.intake.values import read_ends, read_times
from features.merges import LeadMerges
from features.tools.id_index import IdIndex
from features.tools.instants import NEVER_US
from features.visitors.links import STATEMENTS, VisitorLinks
from features.visitors.statements import ALWAYS_US


def read_visitor_links(
    project: Project,
    leads: pa.Table | None,
    objections: Objections,
    merges: LeadMerges,
    quarantine: Path | None,
    limits: TimeLimits,
) -> tuple[VisitorLinks, list[SourceCount]]:
    """Return the links of all sources of ``sources.identities``, and the row counts of each.

    Rows that become known after the clock are left out, and those of suppressed leads. Equal rows
    count once. A lead that does not exist has no events, but counts among those that a visitor is.
    Raises the errors of reading a source.
    """
    if leads is None or not project.sources.identities:
        return VisitorLinks(), []
    parts, counts = list[pa.Table](), list[SourceCount]()
    for i, source in enumerate(project.sources.identities):
        rows, count = _read_source(project, source, i, objections, quarantine, limits)
        lines = _describe_unknown(project, source, i, rows, leads, merges)
        counts.append(replace(count, warnings=(*count.warnings, *lines)))
        parts.append(rows)
    links = VisitorLinks.from_statements(pa.concat_tables(parts), project.sources.max_identities)
    if links.shared:
        line = (
            f"sources.identities: {links.shared:,} of {count_visitors(parts):,} visitors are more "
            f"than {project.sources.max_identities} leads each, so their events are nobody's "
            "(sources.max_identities)"
        )
        counts[-1] = replace(counts[-1], warnings=(*counts[-1].warnings, line))
    places = find_lead_rows(
        links.ownerships["entity_id"], IdIndex.from_column(leads["entity_id"]), merges
    )
    return links.keep_leads(places >= 0), counts


def count_visitors(parts: list[pa.Table]) -> int:
    """Return the number of visitors of some tables of STATEMENTS."""
    return len(pc.unique(pa.concat_tables(parts)["visitor_id"]))


def _read_source(
    project: Project,
    source: IdentityRows,
    i: int,
    objections: Objections,
    quarantine: Path | None,
    limits: TimeLimits,
) -> tuple[pa.Table, SourceCount]:
    """Return the used rows as STATEMENTS, and the row counts."""
    key = f"sources.identities[{i}]"
    times = TimeColumns.from_source(project, source, key, SourceContract(), {})
    raw = times.settle_rows(read_rows(source, _list_needed(source, key)))
    columns = _read_columns(project, source, raw)
    flaws = objections.find_flaws(columns["entity_id"])
    flaws += [*find_common_flaws(columns, skips=False), (pc.is_null(columns["name"]), NO_ID)]
    flaws += limits.find_later_rows(columns)
    reasons = pick_first_reason(flaws, len(raw.table))
    names = {"visitor_id": "name", "entity_id": "entity_id", "known": "time"}
    names |= {name: name for name in ("begin", "end", "revoked")}
    table = pa.table({"nr": raw.table["nr"]} | {new: columns[old] for new, old in names.items()})
    rows = table.filter(reasons.is_null())
    first = rows.group_by(STATEMENTS.names, use_threads=False).aggregate([("nr", "min")])
    again = rows["nr"].filter(pc.invert(pc.is_in(rows["nr"], value_set=first["nr_min"])))
    reasons = mark_duplicates(reasons, raw.table["nr"], again)
    read_again = mask_columns(make_row_reader(raw), project.privacy.personal)
    rejected = Rejections.from_reasons(reasons)
    count = quarantine_rows(
        f"identities_{i + 1}", rejected, read_again, quarantine, project.sources
    )
    warnings = (*count.warnings, *raw.warnings, *times.list_warnings())
    return first.select(STATEMENTS.names).cast(STATEMENTS), replace(
        count, warnings=warnings, form=raw.form
    )


def _list_needed(source: IdentityRows, key: str) -> dict[str, str]:
    keys = ("visitor_id", "entity_id", "known_at", "valid_from", "valid_to", "revoked_at")
    return {f"{key}.{name}": column for name in keys if (column := getattr(source, name))}


def _read_columns(project: Project, source: IdentityRows, raw: RawRows) -> dict[str, pa.Array]:
    """Return the columns under the names of the common checks; ``name`` is the visitor."""
    columns = {
        "unreadable": raw.unreadable_rows(),
        "entity_id": read_ids(raw, source.entity_id, source),
        "name": read_ids(raw, source.visitor_id, source),
        **read_times(raw, source.known_at, None, source, project.zone),
    }
    bounds = {"begin": (source.valid_from, ALWAYS_US), "end": (source.valid_to, NEVER_US)}
    bounds["revoked"] = source.revoked_at, NEVER_US
    for name, (column, missing) in bounds.items():
        if column is None:
            columns[name] = pa.array(np.full(len(raw.table), missing))
            continue
        instants, problem = read_ends(raw, column, source, project.zone)
        columns[name] = pc.fill_null(instants.cast(pa.int64()), missing)
        columns["time_problem"] = pc.coalesce(columns["time_problem"], problem)
    return columns


def _describe_unknown(
    project: Project,
    source: IdentityRows,
    i: int,
    rows: pa.Table,
    leads: pa.Table,
    merges: LeadMerges,
) -> Iterator[str]:
    """Yield the warning about links to ids that are no leads."""
    ids, known = pc.unique(rows["entity_id"]), leads["entity_id"].combine_chunks()
    lost = ids.filter(pa.array(find_lead_rows(ids, IdIndex.from_column(known), merges) < 0))
    if not len(lost):
        return
    shows_ids = not has_personal_ids(project)
    hint = describe_diagnoses(lost, known, shows_ids)
    example = f", such as {min(lost.to_pylist())!r}" if shows_ids else ""
    yield (
        f"{source.label}: sources.identities[{i}].entity_id: {len(lost):,} of {len(ids):,} ids are "
        f"no leads{example}; events of their visitors are nobody's"
        f"{f'; {hint}' if hint else '. Write ids as the leads source does'}"
    )
