"""Web visitors of the event sources, reduced piece by piece, so that a log may exceed memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from configs.source_rows import EventRows
from features.contracts import Dataset
from features.intake.formats.texts import to_plain_text
from features.intake.ids import read_ids
from features.intake.names import read_names
from features.intake.reading import RawRows, SourceReader
from features.intake.time_columns import restore_formats
from features.intake.values import read_times
from features.tools.duckdb_sql import run_query
from features.tools.instants import to_microseconds

# Before the id of a visitor who is no lead. No id begins with a blank, since those around ids are
# removed, so it is no lead's id.
VISITOR_MARK = " "
# Rows that wait, about, before they are made one a visitor and call to action.
MAX_BUFFERED_ROWS = 1 << 21

# One row per visitor and call to action, null for none. A visitor is the lead that it is linked to
# at the as-of, else its own id after VISITOR_MARK. Instants are microseconds since 1970.
VISITS = pa.schema(
    [
        pa.field("unit", pa.string(), nullable=False),
        pa.field("call_to_action", pa.string()),
        # The first event, and page and channel of it.
        pa.field("first", pa.int64(), nullable=False),
        pa.field("landing_page", pa.string()),
        pa.field("channel", pa.string()),
        # When it was first known whose an event is; null for visitors who are no lead's.
        pa.field("identified", pa.int64()),
    ]
)
REDUCE = """
SELECT unit, call_to_action, min(first) AS first,
  arg_min_null(landing_page, (first, landing_page)) AS landing_page,
  arg_min_null(channel, (first, channel)) AS channel, min(identified) AS identified
FROM rows GROUP BY unit, call_to_action ORDER BY unit, call_to_action
"""


def read_web_visits(project: Project, dataset: Dataset, as_of: datetime) -> pa.Table:
    """Return VISITS of all events sources with visitors; ``dataset`` is cut at the as-of.

    Only rows that were known before the as-of count, and of leads only those of the data set. The
    sources are read once more, since the data set holds no rows of visitors without a lead.
    Raises the errors of reading a source.
    """
    forms = {count.source: restore_formats(count.form) for count in dataset.counts}
    pieces, limit = [VISITS.empty_table()], MAX_BUFFERED_ROWS
    for i, source in enumerate(project.sources.events):
        if source.visitor_id is None:
            continue
        reader = SourceReader.open(source)
        reader.time_formats.update(forms.get(f"events_{i + 1}", {}))
        for raw in reader.iter_pieces(_list_needed(source, i), _list_few(source)):
            pieces.append(_read_piece(project, source, raw, dataset, as_of))
            if sum(map(len, pieces)) > limit:
                pieces = [_reduce_pieces(pieces)]
                # Grows with the number of visitors, so that the total work stays linear.
                limit = MAX_BUFFERED_ROWS + 2 * len(pieces[0])
    return _reduce_pieces(pieces)


def _reduce_pieces(pieces: Sequence[pa.Table]) -> pa.Table:
    return run_query(REDUCE, rows=pa.concat_tables(pieces)).select(VISITS.names).cast(VISITS)


def _list_needed(source: EventRows, i: int) -> dict[str, str]:
    keys = ("entity_id", "visitor_id", "event_time", "known_at", "channel")
    mapped = {key: getattr(source, key) for key in (*keys, "landing_page", "call_to_action")}
    return {f"sources.events[{i}].{k}": c for k, c in mapped.items() if isinstance(c, str)}


def _list_few(source: EventRows) -> list[str]:
    columns = (source.channel, source.landing_page, source.call_to_action)
    return [name for name in columns if isinstance(name, str)]


def _read_piece(
    project: Project, source: EventRows, raw: RawRows, dataset: Dataset, as_of: datetime
) -> pa.Table:
    """Return the rows of a piece that were known before the as-of, as VISITS."""
    times = read_times(raw, source.event_time, source.known_at, source, project.zone)
    known = pc.less(times["available"], to_microseconds(as_of))
    visitor, entity = (read_ids(raw, n, source) for n in (source.visitor_id, source.entity_id))
    has_id = pc.or_(pc.is_valid(visitor), pc.is_valid(entity))
    good = pc.and_(pc.and_(pc.fill_null(known, False), has_id), pc.is_null(times["time_problem"]))
    good = pc.and_(good, pc.invert(raw.unreadable_rows()))
    names = (source.landing_page, source.channel, source.call_to_action)
    page, channel, action = (to_plain_text(read_names(raw, name, source)) for name in names)
    rows = pa.table(
        {
            "visitor": visitor,
            "entity": entity,
            "time": times["time"],
            "available": times["available"],
            "landing_page": page,
            "channel": channel,
            "call_to_action": action,
        }
    ).filter(good)
    return _name_units(rows, dataset)


def _name_units(rows: pa.Table, dataset: Dataset) -> pa.Table:
    """Return rows of a piece under the leads that their visitors are, as VISITS."""
    time, available = (rows[name].to_numpy() for name in ("time", "available"))
    has_entity = pc.is_valid(rows["entity"]).to_numpy()
    place = np.where(has_entity, -1, dataset.links.index.find(rows["visitor"]))
    owner = dataset.links.find_owners(place, time, available)
    owned = pa.array(owner, mask=owner < 0)
    since = np.append(dataset.links.rows.since, 0)[np.maximum(owner, -1)]
    entity = pc.coalesce(rows["entity"], dataset.links.ownerships["entity_id"].take(owned))
    lead = dataset.merges.resolve(entity)
    is_lead = dataset.find_leads(lead) >= 0
    identified = np.where(owner >= 0, np.maximum(available, since), available)
    marked = pc.binary_join_element_wise(VISITOR_MARK, rows["visitor"], "")
    unit = pc.if_else(pa.array(is_lead), lead, marked)
    columns = {name: rows[name] for name in ("call_to_action", "landing_page", "channel")}
    columns |= {"unit": unit, "first": rows["time"]}
    columns["identified"] = pa.array(identified, mask=~is_lead)
    # A row of an id that is no lead is a bad row, even if its visitor is known.
    keep = pa.array(is_lead | ~has_entity)
    return pa.table(columns).select(VISITS.names).filter(keep).cast(VISITS)


def iter_visited_sources(project: Project) -> Iterator[EventRows]:
    """Yield the events sources with web visitors."""
    return (source for source in project.sources.events if source.visitor_id is not None)
