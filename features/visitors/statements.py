"""What is stated about one visitor, and the leads that its events count for by then.

All instants are microseconds since 1970. A statement that is known at K is in force for as-ofs
after K, up to and including the instant at which it was replaced or revoked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from features.tools.instants import NEVER_US

# Earlier than every instant: a link without a start holds for all earlier events.
ALWAYS_US = -(1 << 62)


class LinkStatement(NamedTuple):
    """One row about a visitor: it is this lead for events in ``[begin, end)``.

    Attributes:
        lead: The lead.
        known: When the row became known.
        begin: First instant of the link; ALWAYS_US for all earlier events.
        end: End of the link; NEVER_US without one.
        revoked: When the link was taken back; NEVER_US if it was not.
    """

    lead: int
    known: int
    begin: int
    end: int
    revoked: int


class Ownership(NamedTuple):
    """Events in ``[begin, end)`` count for the lead at as-ofs in ``(since, until]``."""

    lead: int
    begin: int
    end: int
    since: int
    until: int


class _Piece(NamedTuple):
    """A link as it is in force at as-ofs in ``(since, until]``; ``start`` decides precedence."""

    lead: int
    begin: int
    end: int
    since: int
    until: int
    start: int


def resolve_statements(statements: Iterable[LinkStatement], limit: int) -> list[Ownership]:
    """Return whose the events of one visitor are, for each range of event times and as-ofs.

    A later statement on the same lead and begin replaces the earlier one. Of several leads whose
    links cover an event, it is that of the link that began last by then; a link without a begin
    begins when it first became known, and if none has begun by then, the first does. At as-ofs at
    which the visitor is more than ``limit`` leads, its events are nobody's. No two of the ranges
    returned overlap in both event time and as-of.
    """
    pieces = _find_pieces(statements)
    pieces = [part for piece in pieces for part in _cut_out(piece, _find_crowded(pieces, limit))]
    rows = list[Ownership]()
    open_rows = dict[tuple[int, int, int], int]()
    for begin, end, covering in _sweep_event_times(pieces):
        # An event is known after it happened, so what had ended by then never counted.
        owners = [owner for owner in _find_owners(covering, begin) if owner[2] > begin]
        # A range that has the same owner as the one before it continues it.
        place = {owner: open_rows.get(owner) for owner in owners}
        open_rows = {}
        for owner in owners:
            row = place[owner]
            if row is not None and rows[row].end == begin:
                rows[row] = rows[row]._replace(end=end)
            else:
                row = len(rows)
                rows.append(Ownership(owner[0], begin, end, owner[1], owner[2]))
            open_rows[owner] = row
    return rows


def _find_pieces(statements: Iterable[LinkStatement]) -> list[_Piece]:
    """Return the statements as they are in force, without those that never are."""
    by_link = dict[tuple[int, int], list[LinkStatement]]()
    # Of rows known at the same instant the last one holds: the one that claims least.
    for row in sorted(statements, key=lambda row: (row.known, -row.end, -row.revoked)):
        by_link.setdefault((row.lead, row.begin), []).append(row)
    pieces = list[_Piece]()
    for (lead, begin), rows in by_link.items():
        start = rows[0].known if begin == ALWAYS_US else begin
        link = list[_Piece]()
        for row, after in zip(rows, [*(row.known for row in rows[1:]), NEVER_US], strict=True):
            until = min(after, row.revoked)
            if until <= row.known or row.end <= begin:
                continue
            last = link[-1] if link else None
            if last and last.until == row.known and last.end == row.end:
                link[-1] = last._replace(until=until)
            else:
                link.append(_Piece(lead, begin, row.end, row.known, until, start))
        pieces += link
    return pieces


def _find_crowded(pieces: Sequence[_Piece], limit: int) -> list[tuple[int, int]]:
    """Return the spans of as-ofs ``(since, until]`` with links to more than ``limit`` leads."""
    if len({piece.lead for piece in pieces}) <= limit:
        return []
    changes = [(piece.since, 1, piece.lead) for piece in pieces]
    changes += [(piece.until, -1, piece.lead) for piece in pieces if piece.until < NEVER_US]
    spans, counts, since = list[tuple[int, int]](), Counter[int](), NEVER_US
    changes.sort()
    for place, (instant, step, lead) in enumerate(changes):
        counts[lead] += step
        if not counts[lead]:
            del counts[lead]
        # All changes of an instant count together.
        if place + 1 < len(changes) and changes[place + 1][0] == instant:
            continue
        if len(counts) > limit:
            since = min(since, instant)
        elif since < NEVER_US:
            spans.append((since, instant))
            since = NEVER_US
    return [*spans, (since, NEVER_US)] if since < NEVER_US else spans


def _cut_out(piece: _Piece, spans: Iterable[tuple[int, int]]) -> Iterator[_Piece]:
    """Yield what is left of a piece without the spans, which are in order."""
    for since, until in spans:
        if until <= piece.since or since >= piece.until:
            continue
        if since > piece.since:
            yield piece._replace(until=since)
        if until >= piece.until:
            return
        piece = piece._replace(since=until)
    yield piece


def _sweep_event_times(pieces: Sequence[_Piece]) -> Iterator[tuple[int, int, list[_Piece]]]:
    """Yield ranges of event times without a change in them, and the pieces that cover each."""
    edges = {edge for piece in pieces for edge in (piece.begin, piece.end)}
    if len({piece.lead for piece in pieces}) > 1:
        edges |= {piece.start for piece in pieces}
    begins = sorted(pieces, key=lambda piece: piece.begin)
    times, taken, covering = sorted(edges), 0, list[_Piece]()
    for begin, end in pairwise(times):
        covering = [piece for piece in covering if piece.end > begin]
        while taken < len(begins) and begins[taken].begin <= begin:
            covering.append(begins[taken])
            taken += 1
        if covering:
            yield begin, end, covering


def _find_owners(covering: Sequence[_Piece], time: int) -> list[tuple[int, int, int]]:
    """Return lead, since and until of each span of as-ofs, for events from ``time`` on."""
    instants = sorted({edge for piece in covering for edge in (piece.since, piece.until)})
    owners = list[tuple[int, int, int]]()
    for since, until in pairwise(instants):
        holding = [piece for piece in covering if piece.since <= since and piece.until >= until]
        if not holding:
            continue
        lead = min(holding, key=lambda piece: _rank_piece(piece, time)).lead
        if owners and owners[-1][0] == lead and owners[-1][2] == since:
            owners[-1] = lead, owners[-1][1], until
        else:
            owners.append((lead, since, until))
    return owners


def _rank_piece(piece: _Piece, time: int) -> tuple[bool, int, int]:
    """Return the rank of a piece among those that cover an event: the smallest is its owner."""
    begun = piece.start <= time
    return not begun, -piece.start if begun else piece.start, piece.lead
