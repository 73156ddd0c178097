"""Which column of a log says what happened, by its heading, its values, or an answer."""

from __future__ import annotations

from collections.abc import Sequence

from configs.errors import ConfigError, join_names
from configs.suggestions import did_you_mean
from pipelines.proposal.findings.event_types import FLAG, describe_types, list_event_types
from pipelines.proposal.findings.roles import find_event_type
from pipelines.proposal.findings.verdicts import decides_lead
from pipelines.proposal.questions import Answers, Interview, Question
from pipelines.proposal.reading.column_profile import ColumnProfile
from pipelines.proposal.reading.source_tables import SourceTable


def choose_event_type(
    table: SourceTable, entity_id: str, taken: set[str], answers: Answers, interview: Interview
) -> str | None:
    """Return the column with the kind of each event; None if no column qualifies.

    Raises ConfigError for an answer that is not possible.
    """
    fitting = list_event_types(table, entity_id, taken)
    named = find_event_type(table, taken)
    answered = _find_with_outcome([*fitting, *_list_named(table, named)], answers.outcome)
    if answered:
        return answered
    deciding = [profile for profile in fitting if any(map(decides_lead, profile.counts))]
    if named:
        # A heading such as “type” says less than texts that say won or lost in another column.
        own = table.profiles[named]
        unsure = deciding and own not in deciding and not any(map(decides_lead, own.counts))
        fitting = [own, *deciding] if unsure else [own]
    else:
        fitting = deciding or fitting
    if len(fitting) < 2:
        return fitting[0].name if fitting else None
    question = Question(
        FLAG,
        f"Which column of {table.name} says what happened?",
        ", ".join(map(describe_types, fitting)),
        f"{table.name}:{fitting[0].name}",
        tuple(f"{table.name}:{profile.name}" for profile in fitting),
    )
    return interview.answer(question, None).removeprefix(f"{table.name}:")


def require_known_types(tables: Sequence[SourceTable], given: Sequence[str]) -> None:
    """Raise ConfigError for an answer that names no column of the given files."""
    for text in given:
        if not any(read_given_type(table, (text,)) for table in tables):
            names = list(dict.fromkeys(name for table in tables for name in table.names))
            raise ConfigError(
                "no such column",
                where=FLAG,
                found=f"{text!r}; the columns are {join_names(names, 20)}",
                fix=did_you_mean(text.rpartition(":")[2], names) or "write FILE:COLUMN, or COLUMN",
            )


def read_given_type(table: SourceTable, given: Sequence[str]) -> str:
    """Return the column of a table that answers name, as COLUMN or FILE:COLUMN; else empty."""
    for text in given:
        for head in ("", f"{table.name}:", f"{table.origin.get('path', table.name)}:"):
            if text.startswith(head) and text[len(head) :] in table.names:
                return text[len(head) :]
    return ""


def _list_named(table: SourceTable, name: str | None) -> list[ColumnProfile]:
    return [table.profiles[name]] if name else []


def _find_with_outcome(fitting: Sequence[ColumnProfile], outcome: str | None) -> str | None:
    """Return the only column that has the outcome, given as VALUE or COLUMN=VALUE."""
    if outcome is None:
        return None
    column, sign, value = outcome.partition("=")
    for heading, text in (("", outcome), (column if sign else "-", value)):
        having = {
            profile.name
            for profile in fitting
            if (not heading or profile.name.casefold() == heading.casefold())
            and text.casefold() in {name.casefold() for name in profile.counts}
        }
        if len(having) == 1:
            return having.pop()
    return None
