"""Which column of a table plays which role, by its name and all of its values."""

from __future__ import annotations

import numpy as np

from pipelines.proposal.reading.column_profile import (
    CATEGORY,
    NUMBER,
    TIME,
    TRUTH,
    ColumnProfile,
)
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import (
    NO_RANK,
    load_phrases,
    matches_words,
    rank_words,
    split_words,
)

# A column of event types has at most so many; more are ids or texts.
MAX_EVENT_TYPES = 300
MAX_CHANNELS = 100
# Share of rows with a time from which on a column dates all rows of a log.
MIN_TIME_FILL = 0.9
# Share of rows in which one time must not precede another one.
MIN_ORDERED_SHARE = 0.95
# An account needs leads to share it: at most so many distinct values in each lead.
MAX_ACCOUNT_SHARE = 0.9
# Times below this share of rows at midnight have a time of day.
DAILY_SHARE = 0.95


def rank_name(name: str, path: str) -> int:
    """Return the place of the first phrase of a list that a column's name has."""
    return rank_words(split_words(name), path)


def list_times(table: SourceTable) -> list[ColumnProfile]:
    """Return the columns that hold times."""
    return [profile for profile in table.profiles.values() if profile.kind == TIME]


def is_overwritten(name: str) -> bool:
    """Return whether a time is planned, or replaced by later ones, by its name."""
    return matches_words(name, "columns.overwritten")


def find_created_at(table: SourceTable) -> str | None:
    """Return the column that dates the creation of each row; None if there is none.

    A column whose name says so, else a time that precedes all others in nearly all rows and does
    not name an outcome or a later change.
    """
    # A loan application or a web session may have one time of any name.
    times = [
        profile
        for profile in list_times(table)
        if profile.fill_share >= 0.5
        and not is_overwritten(profile.name)
        and not matches_words(profile.name, "columns.known")
    ]
    named = [p for p in times if rank_name(p.name, "columns.created") < NO_RANK]
    if named:
        return min(named, key=lambda p: (rank_name(p.name, "columns.created"), -p.filled)).name
    early = [
        profile
        for profile in times
        if profile.fill_share >= MIN_TIME_FILL
        and not matches_words(profile.name, "columns.closed")
        and rank_name(profile.name, "values.won") == NO_RANK
        and rank_name(profile.name, "values.lost") == NO_RANK
        and all(precedes_time(profile, other) for other in times)
    ]
    return early[0].name if early else None


def precedes_time(first: ColumnProfile, second: ColumnProfile) -> bool:
    """Return whether a time is hardly ever after another one of its row."""
    if first.times is None or second.times is None:
        return False
    both = ~np.isnan(first.times) & ~np.isnan(second.times)
    # A date has no time of day, so a whole day is allowed.
    late = first.times[both] > second.times[both] + 86_400e6 * (second.daily >= DAILY_SHARE)
    return not both.any() or float(late.mean()) <= 1 - MIN_ORDERED_SHARE


def find_known_at(table: SourceTable, time: str) -> str | None:
    """Return the column that says when a row reached the source; None if there is none."""
    for profile in list_times(table):
        if (
            profile.name != time
            and matches_words(profile.name, "columns.known")
            and profile.fill_share >= MIN_TIME_FILL
            and precedes_time(table.profiles[time], profile)
        ):
            return profile.name
    return None


def find_event_time(table: SourceTable) -> str | None:
    """Return the column that dates the rows of a log; None if there is none."""
    times = [p for p in list_times(table) if not matches_words(p.name, "columns.known")]
    if not times:
        return None

    def rank(profile: ColumnProfile) -> tuple[bool, bool, int, int, bool]:
        return (
            profile.fill_share < MIN_TIME_FILL,
            is_overwritten(profile.name),
            rank_name(profile.name, "columns.event_time"),
            rank_name(profile.name, "columns.created"),
            profile.daily >= DAILY_SHARE,
        )

    return min(times, key=rank).name


def find_event_type(table: SourceTable, taken: set[str]) -> str | None:
    """Return the column with the kind of each event; None if all are of one kind."""
    fitting = [
        profile
        for profile in table.profiles.values()
        if profile.kind in (CATEGORY, TRUTH)
        and profile.name not in taken
        and 2 <= profile.distinct <= MAX_EVENT_TYPES
        and profile.fill_share >= MIN_TIME_FILL
        and not profile.personal
        and rank_name(profile.name, "columns.event_type") < NO_RANK
    ]
    if not fitting:
        return None
    # The one with the most kinds says most, where names are of equal rank.
    return min(fitting, key=lambda p: (rank_name(p.name, "columns.event_type"), -p.distinct)).name


def find_channel(table: SourceTable, taken: set[str]) -> str | None:
    """Return the column with the channel of each event; None if there is none."""
    fitting = [
        profile
        for profile in table.profiles.values()
        if profile.kind == CATEGORY
        and profile.name not in taken
        and 2 <= profile.distinct <= MAX_CHANNELS
        and not profile.personal
        and rank_name(profile.name, "columns.channel") < NO_RANK
    ]
    return (
        min(fitting, key=lambda p: rank_name(p.name, "columns.channel")).name if fitting else None
    )


def find_value(table: SourceTable, taken: set[str]) -> str | None:
    """Return the column with the amount of each event; None if there is none."""
    fitting = [
        profile
        for profile in table.profiles.values()
        if profile.kind == NUMBER
        and profile.name not in taken
        and rank_name(profile.name, "columns.value") < NO_RANK
        and rank_name(profile.name, "columns.id") == NO_RANK
    ]
    if not fitting:
        return None
    return min(fitting, key=lambda p: (rank_name(p.name, "columns.value"), -p.filled)).name


def find_account_id(table: SourceTable, taken: set[str]) -> str | None:
    """Return the column with the company of each lead, which leads share; None without one."""
    fitting = [
        profile
        for profile in table.profiles.values()
        if profile.kind in (CATEGORY, NUMBER)
        and profile.name not in taken
        and profile.fill_share >= 0.5
        and 2 <= profile.distinct <= MAX_ACCOUNT_SHARE * profile.filled
        and profile.distinct >= 0.005 * profile.filled
        and names_account(profile.name)
    ]
    return (
        min(fitting, key=lambda p: rank_name(p.name, "columns.account")).name if fitting else None
    )


def names_account(name: str) -> bool:
    """Return whether a name is that of the account itself, not of one of its properties."""
    words = split_words(name)
    rest = [w for w in words if w not in ("id", "name", "deal", "lead", "opportunity", "название")]
    return rank_words(words, "columns.account") < NO_RANK and len(rest) == 1


def name_milestone(column: str) -> str:
    """Return the event that a column of dates stands for: ``won_date`` → won."""
    stops = {phrase[0] for phrase in load_phrases("milestone_stops")}
    words = [word for word in split_words(column) if word not in stops]
    return "_".join(words) or column


def is_milestone(table: SourceTable, profile: ColumnProfile, created: str | None) -> bool:
    """Return whether a column of the leads dates something that happens at most once."""
    return (
        profile.kind == TIME
        and profile.name != created
        and not is_overwritten(profile.name)
        and not matches_words(profile.name, "columns.known")
        and (created is None or precedes_time(table.profiles[created], profile))
        and profile.distinct > 1
    )
