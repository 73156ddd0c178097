"""How tables belong together: the ids of one table that the rows of another one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import to_plain_text, to_text
from pipelines.proposal.findings.roles import (
    find_created_at,
    find_event_time,
    list_times,
    rank_name,
)
from pipelines.proposal.reading.column_profile import CATEGORY, NUMBER, ColumnProfile
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK, rank_words, split_words

# Share of the distinct ids of a log that must be ids of the leads; exports of two days differ.
MIN_SHARED_IDS = 0.5
# Rows of each entity from which on a column repeats its ids, as in a log.
MIN_ROWS_PER_ENTITY = 1.2


@dataclass(frozen=True)
class Link:
    """A column of a table that holds the ids of another one.

    Attributes:
        table: The table that names the ids.
        column: Its column.
        ids: The column of the other table with the ids.
        share: Share of the distinct values of ``column`` that are ids of the other table.
    """

    table: SourceTable
    column: str
    ids: str
    share: float


def list_id_columns(table: SourceTable) -> list[str]:
    """Return the columns that may identify a row of the table, the likeliest first."""
    fitting = [p for p in table.profiles.values() if _may_identify(table, p)]
    position = {name: place for place, name in enumerate(table.names)}

    def rank(profile: ColumnProfile) -> tuple[bool, int, bool, int]:
        words = split_words(profile.name)
        # The id of a person's company or owner is none of the person.
        other = rank_words(words, "columns.account") < NO_RANK
        other |= rank_words(words, "columns.staff") < NO_RANK
        named = rank_words(words, "columns.id")
        # A number is read and sorted more easily than a long text.
        return other, 0 if named < NO_RANK else 1, profile.kind != NUMBER, position[profile.name]

    return [profile.name for profile in sorted(fitting, key=rank)]


def _may_identify(table: SourceTable, profile: ColumnProfile) -> bool:
    if not profile.is_unique or profile.kind not in (CATEGORY, NUMBER):
        return False
    if profile.personal in ("free text", "person"):
        return False
    named = rank_name(profile.name, "columns.id") < NO_RANK
    named |= rank_name(profile.name, "columns.entity") < NO_RANK and profile.kind == CATEGORY
    # The first column of a table is usually its id, also if its name does not say so.
    return named or (profile.name == table.names[0] and "." not in next(iter(profile.counts)))


def list_repeated_ids(table: SourceTable) -> list[str]:
    """Return the columns whose ids have several rows, as the entities of a log do."""
    fitting = []
    for profile in table.profiles.values():
        words = split_words(profile.name)
        if (
            profile.kind in (CATEGORY, NUMBER)
            and profile.filled >= 0.5 * profile.rows
            and profile.distinct >= max(2, 0.001 * profile.filled)
            and profile.filled >= MIN_ROWS_PER_ENTITY * profile.distinct
            and rank_words(words, "columns.id") < NO_RANK
            and rank_words(words, "columns.staff") == NO_RANK
        ):
            fitting.append((rank_words(words, "columns.id"), profile.name))
    return [name for _, name in sorted(fitting, key=lambda pair: pair[0])]


def find_links(table: SourceTable, ids: Sequence[str], others: Sequence[SourceTable]) -> list[Link]:
    """Return for each other table its best link to the ids of a table, if it has one."""
    links = []
    for other in others:
        found_links = [
            link
            for name in ids
            for column in _list_candidates(other, name)
            for link in (_measure_link(table, name, other, column),)
            if link.share >= MIN_SHARED_IDS
        ]
        if found_links:
            links.append(max(found_links, key=lambda link: link.share))
    return links


def measure_best_share(
    table: SourceTable, ids: Sequence[str], other: SourceTable
) -> tuple[float, str]:
    """Return the best share of shared ids of two tables, and the column of the other one."""
    shares = [
        (_measure_link(table, name, other, column).share, column)
        for name in ids
        for column in _list_candidates(other, name)
    ]
    return max(shares, default=(0.0, ""))


def _list_candidates(table: SourceTable, name: str) -> list[str]:
    """Return the columns that may hold the ids of a column, by their names and kinds."""
    words = set(split_words(name))
    return [
        profile.name
        for profile in table.profiles.values()
        if profile.kind in (CATEGORY, NUMBER)
        and profile.distinct > 1
        and (
            words & set(split_words(profile.name))
            or rank_name(profile.name, "columns.id") < NO_RANK
            or rank_name(profile.name, "columns.entity") < NO_RANK
        )
    ]


def _measure_link(table: SourceTable, ids: str, other: SourceTable, column: str) -> Link:
    (known,), (named,) = table.read_all(ids), other.read_all(column)
    values = pc.unique(to_plain_text(to_text(named)).drop_null())
    shared = pc.is_in(values, value_set=_list_distinct(known))
    share = float(pc.sum(shared).as_py() or 0) / max(len(values), 1)
    return Link(other, column, ids, share)


def _list_distinct(column: pa.ChunkedArray) -> pa.Array:
    return pc.unique(to_plain_text(to_text(column)).drop_null())


def score_as_leads(table: SourceTable, links: Sequence[Link], *, has_outcome: bool) -> int:
    """Return how much speaks for a table as that of the leads."""
    score = 3 * (find_created_at(table) is not None) + 2 * has_outcome
    score += 2 * (rank_words(table.words, "files.leads") < NO_RANK)
    score -= 3 * (rank_words(table.words, "files.log") < NO_RANK)
    # Rows of other tables that have times are what happened to the leads.
    score += 4 * sum(bool(list_times(link.table)) for link in links)
    return score


def is_log(table: SourceTable) -> bool:
    """Return whether a table with ids of its own is a log of the rows of others, by its name."""
    return (
        rank_words(table.words, "files.log") < NO_RANK
        and bool(list_repeated_ids(table))
        and find_event_time(table) is not None
    )
