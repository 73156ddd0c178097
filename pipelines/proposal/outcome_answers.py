"""The outcome that an answer names, and the answers that are possible."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from configs.errors import ConfigError, join_names
from configs.suggestions import did_you_mean
from pipelines.proposal.arrange import Arrangement
from pipelines.proposal.findings.attributes import is_personal
from pipelines.proposal.findings.event_logs import EventFacts
from pipelines.proposal.findings.outcomes import Outcome, to_config_value
from pipelines.proposal.reading.column_profile import EMPTY, TIME, ColumnProfile
from pipelines.proposal.reading.words import count_nouns, equals_phrase

FLAG = "--outcome"
# Values that a message names with their counts.
MAX_VALUES = 8
TWO_VALUES = 2


def list_choices(
    candidates: Sequence[Outcome], arrangement: Arrangement, facts: dict[str, EventFacts]
) -> dict[str, int]:
    """Return the possible answers with the number of leads of each, the likeliest first.

    These are the candidates, then all event types and the columns of the leads with two values.
    """
    choices = {outcome.name: outcome.entities for outcome in candidates}
    choices |= {name: fact.entities for name, fact in facts.items() if name not in choices}
    leads = arrangement.leads
    if leads is None:
        return choices
    for profile in leads.table.profiles.values():
        if profile.name in leads.mapped or not _is_choice(profile) or profile.name in choices:
            continue
        # Of a yes and a no the yes is meant; of two other values either one.
        for value in list_positive(profile) or list(profile.counts):
            choices[f"{profile.name}={value}"] = profile.counts[value]
    return choices


def write_option(answer: str) -> str:
    """Return the option of the command that gives an answer, to be copied."""
    return f"{FLAG} {shlex.quote(answer)}"


def read_outcome(
    answer: str,
    candidates: Sequence[Outcome],
    arrangement: Arrangement,
    facts: dict[str, EventFacts],
) -> Outcome:
    """Return the outcome that an answer names, in any case where that is unambiguous.

    It is an event type, a column, a value, or ``column=value``. Raises ConfigError for none.
    """
    for outcome in candidates:
        if outcome.name == answer:
            return outcome
    profiles = arrangement.leads.table.profiles if arrangement.leads else {}
    event = find_text(answer, facts)
    if event is not None:
        return Outcome(event, 0, facts[event].entities)
    named = find_text(answer, profiles)
    if named is not None:
        known = [outcome for outcome in candidates if outcome.name == named]
        return known[0] if known else _read_column(profiles[named])
    # A name may have an equality character too.
    for column, value in _split_answer(answer):
        pair = _read_pair(column, value, arrangement, facts, profiles)
        if pair is not None:
            return pair
    held = [p for p in profiles.values() if _is_state(p) and _find_values(answer, p)]
    if len(held) == 1:
        return _make_outcome(held[0], _find_values(answer, held[0]))
    raise _refuse_answer(answer, list_choices(candidates, arrangement, facts), profiles)


def list_positive(profile: ColumnProfile) -> list[str]:
    """Return the values that mean yes in a column of yes and no; empty for another column."""
    yes = [text for text in profile.counts if equals_phrase(text, "values.true")]
    no = [text for text in profile.counts if equals_phrase(text, "values.false")]
    complete = len(yes) + len(no) == profile.distinct
    return yes if complete and yes and no else []


def find_text(text: str, texts: Iterable[str]) -> str | None:
    """Return the text that is equal, else the only one that is so in another case."""
    known = list(texts)
    if text in known:
        return text
    same = [other for other in known if other.casefold() == text.casefold()]
    return same[0] if len(same) == 1 else None


def _split_answer(answer: str) -> list[tuple[str, str]]:
    places = [place for place, sign in enumerate(answer) if sign == "="]
    return [(answer[:place].strip(), answer[place + 1 :].strip()) for place in places]


def _read_pair(
    column: str,
    value: str,
    arrangement: Arrangement,
    facts: dict[str, EventFacts],
    profiles: dict[str, ColumnProfile],
) -> Outcome | None:
    """Return the outcome of a column and its value, of the leads or of a log; None for neither."""
    name = find_text(column, profiles)
    if name is not None:
        values = _find_values(value, profiles[name])
        if values:
            return _make_outcome(profiles[name], values)
    kinds = [log.event_type for log in arrangement.logs if not log.constant]
    event = find_text(value, facts)
    if event is not None and find_text(column, dict.fromkeys(kinds)) is not None:
        return Outcome(event, 0, facts[event].entities)
    return None


def _read_column(profile: ColumnProfile) -> Outcome:
    """Return the outcome of a column of yes and no; raise ConfigError for one of other values."""
    positive = list_positive(profile)
    if positive:
        return _make_outcome(profile, positive)
    shown = _is_state(profile)
    values = [f"{text} ({rows:,})" for text, rows in profile.counts.items()] if shown else []
    first = f"{profile.name}={next(iter(profile.counts), 'VALUE') if shown else 'VALUE'}"
    raise ConfigError(
        "this column does not say yes and no: which of its values means won?",
        where=f"{FLAG}: {profile.name}",
        found=join_names(values, MAX_VALUES) or f"{profile.distinct:,} distinct values",
        fix=f"give COLUMN=VALUE, such as {write_option(first)}",
    )


def _make_outcome(profile: ColumnProfile, texts: Sequence[str]) -> Outcome:
    values = tuple(to_config_value(text, profile) for text in texts)
    return Outcome(profile.name, 0, sum(profile.counts[text] for text in texts), values)


def _find_values(text: str, profile: ColumnProfile) -> list[str]:
    """Return the value of a column that is a text, else all that are so in another case."""
    if text in profile.counts:
        return [text]
    return [value for value in profile.counts if value.casefold() == text.casefold()]


def _is_state(profile: ColumnProfile) -> bool:
    return profile.kind not in (EMPTY, TIME) and not is_personal(profile)


def _is_choice(profile: ColumnProfile) -> bool:
    folded = {text.casefold() for text in profile.counts}
    return _is_state(profile) and len(folded) == TWO_VALUES and profile.distinct <= MAX_VALUES


def _refuse_answer(
    answer: str, choices: dict[str, int], profiles: dict[str, ColumnProfile]
) -> ConfigError:
    counted = [f"{name} ({count_nouns(count, 'lead')})" for name, count in choices.items()]
    advice = did_you_mean(answer, [name for name in (*choices, *profiles) if name != answer])
    return ConfigError(
        "no event type, column or value has this name",
        where=FLAG,
        found=f"{answer!r}; possible are {join_names(counted, MAX_VALUES)}"
        if counted
        else repr(answer),
        fix=advice
        or f"name an event type, or a column of the leads and its value: {FLAG} COLUMN=VALUE",
    )
