"""Links of all visitors, resolved: whose an anonymous event is, and from when on that was known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.id_index import IdIndex
from features.tools.instants import NEVER_US
from features.tools.jit import jit_inline, jit_kernel
from features.visitors.statements import ALWAYS_US, LinkStatement, resolve_statements

# One row per row of sources.identities, in any order.
STATEMENTS = pa.schema(
    [
        pa.field("visitor_id", pa.string(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
        # In microseconds since 1970, as the fields of ``LinkStatement``.
        pa.field("known", pa.int64(), nullable=False),
        pa.field("begin", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("revoked", pa.int64(), nullable=False),
    ]
)

# One row per visitor, range of event times and range of as-ofs, ordered by all columns: events in
# ``[begin, end)`` are the lead's at as-ofs in ``(since, until]``.
OWNERSHIPS = pa.schema(
    [
        pa.field("visitor_id", pa.string(), nullable=False),
        pa.field("begin", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("since", pa.int64(), nullable=False),
        pa.field("until", pa.int64(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
    ]
)

# No link makes the event a lead's; it was a lead's once, but the link was taken back.
UNIDENTIFIED, WITHDRAWN_ONLY = -1, -2


class OwnerRows(NamedTuple):
    """Ownerships of the visitors; those of one follow each other from ``first[visitor]`` on."""

    first: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    since: np.ndarray
    until: np.ndarray


@dataclass(frozen=True)
class VisitorLinks:
    """Links between visitors and leads.

    Attributes:
        ownerships: OWNERSHIPS.
        shared: Visitors that are more leads than ``sources.max_identities`` by the last row.
        index: Positions of the visitors.
        rows: The ownerships by visitor.
        sole: Row of each visitor whose only ownership has neither bounds nor an end, else
            UNIDENTIFIED, int32; one more at the end, for the position -1 of none.
    """

    ownerships: pa.Table = field(default_factory=OWNERSHIPS.empty_table)
    shared: int = 0
    index: IdIndex = field(init=False, repr=False)
    rows: OwnerRows = field(init=False, repr=False)
    sole: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the visitors."""
        # Ordered by visitor, so the distinct ones are in the order of their rows.
        visitors = pc.run_end_encode(self.ownerships["visitor_id"].combine_chunks())
        ends = visitors.run_ends.to_numpy()
        first = np.append(0, ends).astype(np.int64)
        columns = (self.ownerships[name].to_numpy() for name in OwnerRows._fields[1:])
        object.__setattr__(self, "index", IdIndex.from_column(visitors.values))
        rows = OwnerRows(first, *columns)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "sole", _find_sole(rows))

    def __bool__(self) -> bool:
        """Return whether any visitor was ever linked to a lead."""
        return bool(self.ownerships.num_rows)

    @classmethod
    def from_statements(cls, statements: pa.Table, limit: int) -> Self:
        """Resolve STATEMENTS; ``limit`` is the most leads that a visitor may be."""
        visitors = pc.dictionary_encode(statements["visitor_id"].combine_chunks())
        leads = pc.dictionary_encode(statements["entity_id"].combine_chunks())
        # In the order of the texts, so that a tie between leads has the same winner in any order.
        codes = [_rank_codes(column) for column in (visitors, leads)]
        names = [pc.sort_indices(column.dictionary) for column in (visitors, leads)]
        texts = [c.dictionary.take(n) for c, n in zip((visitors, leads), names, strict=True)]
        fields = [statements[name].to_numpy() for name in LinkStatement._fields[1:]]
        columns = [*codes, *fields]
        unbounded = _find_unbounded(columns, len(texts[0]))
        simple, crowded = _resolve_unbounded([column[unbounded] for column in columns], limit)
        other, shared = _resolve_several([column[~unbounded] for column in columns], limit)
        shared += crowded
        columns = [np.concatenate(pair) for pair in zip(simple, other, strict=True)]
        order = np.lexsort(columns[::-1])
        visitor, *instants, lead = (pa.array(column[order]) for column in columns)
        rows = [texts[0].take(visitor), *instants, texts[1].take(lead)]
        return cls(pa.table(rows, schema=OWNERSHIPS), shared)

    def keep_leads(self, mask: np.ndarray) -> Self:
        """Return the links of ownerships that a mask selects."""
        return type(self)(self.ownerships.filter(pa.array(mask)), self.shared)

    def before(self, instant: int) -> Self:
        """Return the links as they were known before an instant."""
        rows = self.ownerships
        if not self:
            return self
        known = pc.less(rows["since"], instant)
        ended = pc.less(rows["until"], instant)
        rows = rows.filter(pc.and_(known, pc.invert(ended)))
        place = rows.column_names.index("until")
        until = pa.array(np.full(len(rows), NEVER_US))
        return type(self)(rows.set_column(place, OWNERSHIPS.field("until"), until), self.shared)

    def find_owners(self, visitor: np.ndarray, time: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return the row of ``ownerships`` that each event has in the end.

        ``visitor`` is the position in ``index``, -1 for none. UNIDENTIFIED for an event that never
        counted for a lead, WITHDRAWN_ONLY for one that does so no longer.
        """
        owners = self.sole[visitor]
        # Of most visitors one row holds at all times: their events need no look at it.
        other = np.flatnonzero((owners < 0) & (visitor >= 0))
        if len(other):
            changing = np.empty(len(other), np.int32)
            _find_last_owners(self.rows, visitor[other], time[other], known[other], changing)
            owners[other] = changing
        return owners

    def find_changing(self) -> np.ndarray:
        """Return whether each row is of a visitor with an ownership that ended."""
        ended = np.append(0, np.cumsum(self.rows.until < NEVER_US))
        counts = ended[self.rows.first[1:]] - ended[self.rows.first[:-1]]
        return np.repeat(counts > 0, np.diff(self.rows.first))

    def find_visitors(self, rows: np.ndarray) -> np.ndarray:
        """Return the position of the visitor of each row of ``ownerships``."""
        return np.searchsorted(self.rows.first, rows, side="right") - 1

    def find_withdrawn(
        self, visitor: np.ndarray, time: np.ndarray, known: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return event and row of ``ownerships`` of each time that an event was taken back.

        Unlike for ``find_owners``, each event has a visitor.
        """
        none = np.empty(0, np.int64)
        # Few links are taken back: counted first, so that nothing is allocated for the others.
        size = _list_withdrawn(self.rows, visitor, time, known, none, none)
        event, owner = np.empty(size, np.int64), np.empty(size, np.int64)
        _list_withdrawn(self.rows, visitor, time, known, event, owner)
        return event, owner


def _find_sole(rows: OwnerRows) -> np.ndarray:
    first = rows.first[:-1]
    holds = (rows.begin == ALWAYS_US) & (rows.end == NEVER_US) & (rows.until == NEVER_US)
    alone = (np.diff(rows.first) == 1) & holds[first]
    return np.append(np.where(alone, first, UNIDENTIFIED), UNIDENTIFIED).astype(np.int32)


def _rank_codes(column: pa.DictionaryArray) -> np.ndarray:
    """Return the codes of a dictionary array by the order of its texts."""
    rank = pc.rank(column.dictionary).to_numpy().astype(np.int64) - 1
    return rank[column.indices.to_numpy()]


def _find_unbounded(columns: list[np.ndarray], visitors: int) -> np.ndarray:
    """Return a mask of the statements on visitors whose links have neither bounds nor an end."""
    visitor, _, _, begin, end, revoked = columns
    bounded = (begin != ALWAYS_US) | (end != NEVER_US) | (revoked != NEVER_US)
    return np.bincount(visitor[bounded], minlength=visitors)[visitor] == 0


def _resolve_unbounded(columns: list[np.ndarray], limit: int) -> tuple[list[np.ndarray], int]:
    """Return what ``_resolve_several`` does of links without bounds, all visitors at a time.

    The first lead has all events before the second one became known, and so on; no link is ever
    taken back, unless the visitor becomes too many leads.
    """
    visitor, lead, known = (column for column in columns[:3])
    visitor, lead, known = _keep_first(np.lexsort((known, lead, visitor)), visitor, lead, known)
    order = np.lexsort((lead, known, visitor))
    visitor, lead, known = visitor[order], lead[order], known[order]
    starts = np.flatnonzero(np.r_[True, np.diff(visitor) != 0][: len(visitor)])
    sizes = np.diff(np.r_[starts, len(visitor)])
    crowded = sizes > limit
    until = np.full(len(starts), NEVER_US)
    until[crowded] = known[starts[crowded] + limit]
    until = np.repeat(until, sizes)
    # Of leads that became known at one instant the first by id has the events.
    repeats = np.r_[False, (np.diff(visitor) == 0) & (np.diff(known) == 0)][: len(visitor)]
    keep = ~repeats & (known < until)
    visitor, lead, known, until = visitor[keep], lead[keep], known[keep], until[keep]
    follows = np.diff(visitor) == 0
    begin = np.where(np.r_[False, follows][: len(visitor)], known, ALWAYS_US)
    end = np.where(np.r_[follows, False][: len(visitor)], np.r_[known[1:], 0], NEVER_US)
    return [visitor, begin, end, known, until, lead], int(crowded.sum())


def _keep_first(
    order: np.ndarray, visitor: np.ndarray, lead: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first statement, in an order, of each visitor and lead."""
    visitor, lead = visitor[order], lead[order]
    again = np.r_[False, (np.diff(visitor) == 0) & (np.diff(lead) == 0)][: len(order)]
    return visitor[~again], lead[~again], known[order][~again]


def _resolve_several(columns: list[np.ndarray], limit: int) -> tuple[list[np.ndarray], int]:
    """Return the columns of OWNERSHIPS of visitors with several statements, and the shared ones."""
    rows, shared = list[tuple[int, ...]](), 0
    for visitor, statements in _iter_visitors(columns):
        owners = resolve_statements(statements, limit)
        shared += _count_standing(statements) > limit
        rows += [(visitor, o.begin, o.end, o.since, o.until, o.lead) for o in owners]
    table = np.array(rows, np.int64).reshape(-1, len(OWNERSHIPS))
    return [*table.T], shared


def _iter_visitors(columns: list[np.ndarray]) -> Iterator[tuple[int, list[LinkStatement]]]:
    order = np.argsort(columns[0], kind="stable")
    visitor, *fields = (column[order] for column in columns)
    # Without any visitor there is no edge behind the last one.
    edges = np.flatnonzero(np.r_[True, np.diff(visitor) != 0, True][: len(visitor) + 1]).tolist()
    rows = [LinkStatement(*row) for row in zip(*(f.tolist() for f in fields), strict=True)]
    for first, end in pairwise(edges):
        yield int(visitor[first]), rows[first:end]


def _count_standing(statements: list[LinkStatement]) -> int:
    """Return the number of leads of whose links the last statement is not revoked."""
    last = {(row.lead, row.begin): row for row in sorted(statements, key=lambda row: row.known)}
    return len({row.lead for row in last.values() if row.revoked == NEVER_US})


@jit_inline
def _counts_ever(rows: OwnerRows, row: int, time: int, known: int) -> bool:
    """Return whether an event counts by this row at any as-of at all."""
    return rows.begin[row] <= time < rows.end[row] and max(known, rows.since[row]) < rows.until[row]


@jit_kernel
def _find_last_owners(
    rows: OwnerRows, visitor: np.ndarray, time: np.ndarray, known: np.ndarray, owners: np.ndarray
) -> None:
    for event in range(len(visitor)):
        owners[event] = UNIDENTIFIED
        for row in range(rows.first[visitor[event]], rows.first[visitor[event] + 1]):
            if _counts_ever(rows, row, time[event], known[event]):
                if rows.until[row] == NEVER_US:
                    owners[event] = row
                elif owners[event] == UNIDENTIFIED:
                    owners[event] = WITHDRAWN_ONLY


@jit_kernel
def _list_withdrawn(
    rows: OwnerRows,
    visitor: np.ndarray,
    time: np.ndarray,
    known: np.ndarray,
    events: np.ndarray,
    owners: np.ndarray,
) -> int:
    """Write event and row of each ownership that ended; return their number, however long."""
    count = 0
    for event in range(len(visitor)):
        for row in range(rows.first[visitor[event]], rows.first[visitor[event] + 1]):
            if rows.until[row] < NEVER_US and _counts_ever(rows, row, time[event], known[event]):
                if count < len(events):
                    events[count], owners[count] = event, row
                count += 1
    return count
