"""The outcome: an event type or a column that says which leads were won."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import to_plain_text, to_text
from pipelines.proposal.findings.event_logs import (
    EventFacts,
    LeadsTable,
    measure_end,
    measure_share_after,
)
from pipelines.proposal.findings.roles import list_times, rank_name
from pipelines.proposal.findings.verdicts import is_lost, rank_won
from pipelines.proposal.reading.column_profile import CATEGORY, NUMBER, TRUTH, ColumnProfile
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import (
    NO_RANK,
    equals_phrase,
    matches_words,
)

# An event that nearly all leads have is the start of a funnel, not its aim.
MAX_OUTCOME_SHARE = 0.9
# An end after which more leads still have the outcome does not end anything.
MAX_LATER_SHARE = 0.02
# An end by its times alone must have so many outcomes by chance, and have hardly any.
MIN_EXPECTED_OUTCOMES = 5.0
# A date of closing that open leads have too is planned.
MAX_OPEN_SHARE, MIN_CLOSED_SHARE = 0.05, 0.95
# A column of states has at most so many.
MAX_STATES = 60

Value = str | int | bool


@dataclass(frozen=True)
class Outcome:
    """An outcome that the data may have.

    Attributes:
        name: The event type, or the column.
        rank: Place among the words for outcomes; lower is surer.
        entities: Number of leads that have it.
        equals: Values of the column that count; empty for an event.
        open_values: Values of the column of leads that are not decided.
    """

    name: str
    rank: int
    entities: int
    equals: tuple[Value, ...] = ()
    open_values: tuple[str, ...] = ()

    @property
    def is_event(self) -> bool:
        """Return whether it is an event with a time."""
        return not self.equals


def list_event_outcomes(facts: dict[str, EventFacts], entities: int) -> list[Outcome]:
    """Return the event types that may be the outcome, the likeliest first.

    ``entities`` is the number of leads. Of equally sure words the event that fewer leads reach
    comes first, since a funnel narrows.
    """
    outcomes = [
        Outcome(fact.name, rank_won(fact.name), fact.entities)
        for fact in facts.values()
        if rank_won(fact.name) < NO_RANK and fact.entities <= MAX_OUTCOME_SHARE * entities
    ]
    return sorted(outcomes, key=lambda outcome: (outcome.rank, outcome.entities))


def list_column_outcomes(table: SourceTable, taken: set[str]) -> list[Outcome]:
    """Return the columns of the leads that may hold the outcome, the likeliest first."""
    outcomes = []
    for profile in table.profiles.values():
        if profile.name in taken or not 2 <= profile.distinct <= MAX_STATES:
            continue
        outcome = read_states(profile) or _read_flag(profile)
        if outcome:
            outcomes.append(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.rank)


def _read_flag(profile: ColumnProfile) -> Outcome | None:
    """Return a column of yes and no whose name is that of an outcome."""
    rank = rank_name(profile.name, "columns.outcome")
    if rank == NO_RANK or not (profile.kind == TRUTH or profile.is_flag):
        return None
    yes = [text for text in profile.counts if equals_phrase(text, "values.true")]
    if len(yes) != 1:
        return None
    return Outcome(profile.name, rank, profile.counts[yes[0]], (to_config_value(yes[0], profile),))


def read_states(profile: ColumnProfile) -> Outcome | None:
    """Return a column of states, of which one says won, as an outcome; None if none does."""
    if profile.kind != CATEGORY or profile.distinct > MAX_STATES:
        return None
    rank = min(
        rank_name(profile.name, "columns.outcome"), rank_name(profile.name, "columns.status")
    )
    ranked = {text: rank_won(text) for text in profile.counts}
    won = [text for text, place in ranked.items() if place < NO_RANK]
    if rank == NO_RANK or not won:
        return None
    best = min(won, key=lambda text: (ranked[text], profile.counts[text]))
    lost = [text for text in profile.counts if is_lost(text)]
    others = [text for text in profile.counts if text not in (best, *lost)]
    return Outcome(profile.name, rank, profile.counts[best], (best,), tuple(others) if lost else ())


def to_config_value(text: str, profile: ColumnProfile) -> Value:
    """Return a value of a column as it is written in the config."""
    if profile.kind == NUMBER or text in ("1", "0"):
        return int(text) if text.isdigit() else text
    return text.lower() == "true" if text.lower() in ("true", "false") else text


def find_closing_time(leads: LeadsTable, state: Outcome) -> str | None:
    """Return the column that dates the closing of leads with a state; None without one.

    It is filled for the won, and empty for those that are still open.
    """
    (states,) = leads.table.read_all(state.name)
    text = to_plain_text(to_text(states))
    won = pc.fill_null(pc.is_in(text, value_set=pa.array(state.equals, pa.string())), False)
    undecided = pc.or_(
        text.is_null(), pc.is_in(text, value_set=pa.array(state.open_values, pa.string()))
    )
    for profile in list_times(leads.table):
        if not matches_words(profile.name, "columns.closed") or profile.name == leads.created_at:
            continue
        if matches_words(profile.name, "columns.overwritten"):
            continue
        (times,) = leads.table.read_all(profile.name)
        filled = times.is_valid()
        if (
            _measure_share(filled, won) >= MIN_CLOSED_SHARE
            and _measure_share(filled, undecided) <= MAX_OPEN_SHARE
        ):
            return profile.name
    return None


def _measure_share(filled: pa.ChunkedArray, rows: pa.ChunkedArray) -> float:
    """Return the share of the given rows that are filled; 0 without any."""
    return float(pc.mean(filled.filter(rows)).as_py() or 0.0)


def list_ends(events: pa.Table, facts: dict[str, EventFacts], outcome: str) -> tuple[str, ...]:
    """Return the event types that end a lead without the outcome.

    After one that says lost hardly any lead has the outcome. One of another name is an end if
    hardly any lead with it has the outcome at all, or any other event later.
    """
    return tuple(
        name
        for name in facts
        if name != outcome
        and measure_share_after(events, name, outcome) <= MAX_LATER_SHARE
        and (is_lost(name) or _ends_leads(events, facts, name, outcome))
    )


def _ends_leads(events: pa.Table, facts: dict[str, EventFacts], name: str, outcome: str) -> bool:
    """Return whether an event excludes the outcome, and is the last one of its leads."""
    both, later, leads = measure_end(events, name, outcome)
    entities = facts[name].entities
    if entities * facts[outcome].entities < MIN_EXPECTED_OUTCOMES * max(leads, 1):
        return False
    return max(both, later) <= MAX_LATER_SHARE * entities
