"""The target of a proposal: its outcome, and the times at which it looks."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pyarrow as pa

from configs.durations import format_duration
from configs.errors import ConfigError, join_names
from pipelines.proposal.arrange import Arrangement
from pipelines.proposal.findings.counted_times import list_counted_times
from pipelines.proposal.findings.event_logs import PURCHASE, EventFacts, LeadsTable
from pipelines.proposal.findings.outcomes import (
    MAX_OUTCOME_SHARE,
    Outcome,
    list_column_outcomes,
    list_ends,
    list_event_outcomes,
)
from pipelines.proposal.findings.roles import DAILY_SHARE
from pipelines.proposal.findings.timing import choose_timing, parse_horizon
from pipelines.proposal.findings.verdicts import is_lost
from pipelines.proposal.outcome_answers import list_choices, read_outcome
from pipelines.proposal.proposal import TargetProposal
from pipelines.proposal.questions import Answers, Interview, Question
from pipelines.proposal.reading.words import count_nouns

# Candidates that a question names with their counts.
MAX_COUNTS = 12


def choose_outcome(
    arrangement: Arrangement,
    events: pa.Table,
    facts: dict[str, EventFacts],
    answers: Answers,
    interview: Interview,
) -> Outcome:
    """Return the outcome; raise ConfigError if none can be named."""
    leads = arrangement.leads
    entities = leads.table.rows if leads else len(events["entity"].unique())
    by_event = list_event_outcomes(facts, entities)
    by_column = [] if leads is None else list_column_outcomes(leads.table, leads.mapped)
    candidates = [*by_event, *by_column]
    if answers.outcome is not None:
        return read_outcome(answers.outcome, candidates, arrangement, facts)
    if candidates and not _is_doubtful(candidates):
        return candidates[0]
    repeated = None if candidates else _find_repeated(facts, leads, entities)
    if repeated is not None:
        return repeated
    choices = list_choices(candidates, arrangement, facts)
    counts = [
        f"{name} ({count:,} of {count_nouns(entities, 'lead')})" for name, count in choices.items()
    ]
    question = Question(
        "--outcome",
        "Which event or column says that a lead was won?",
        (join_names(counts, MAX_COUNTS) or "no event type, and no column with two values")
        + _name_counted_times(leads),
        candidates[0].name if candidates else "",
        tuple(choices),
    )
    answer = interview.answer(question, None)
    return read_outcome(answer, candidates, arrangement, facts)


def _name_counted_times(leads: LeadsTable | None) -> str:
    """Return the columns that may date the leads, without which their dates are no events."""
    if leads is None or leads.created_at is not None:
        return ""
    names = list_counted_times(leads.table)
    options = " or ".join(f"--created-at {shlex.quote(name)}" for name in names)
    return f"; numbers that may be the times of creation: {options}" if names else ""


def _find_repeated(
    facts: dict[str, EventFacts], leads: LeadsTable | None, entities: int
) -> Outcome | None:
    """Return the purchase of a log of purchases alone: whether it is repeated can be predicted."""
    if len(facts) != 1:
        return None
    fact = next(iter(facts.values()))
    # A log without a table of leads names only leads that have bought.
    nearly_all = leads is not None and fact.entities > MAX_OUTCOME_SHARE * entities
    if fact.name != PURCHASE or nearly_all:
        return None
    return Outcome(fact.name, 0, fact.entities)


def _is_doubtful(candidates: list[Outcome]) -> bool:
    """Return whether another event is as likely the outcome as the first one."""
    if len(candidates) < 2:
        return False
    first, second = candidates[:2]
    return first.is_event == second.is_event and first.rank == second.rank


def make_target(
    arrangement: Arrangement,
    outcome: Outcome,
    events: pa.Table,
    facts: dict[str, EventFacts],
    answers: Answers,
) -> TargetProposal:
    """Return the target of an outcome; raise ConfigError for a horizon that it cannot have."""
    name = re.sub(r"[^a-z0-9]+", "_", outcome.name.lower().encode("ascii", "ignore").decode())
    name = name.strip("_")[:40] or "outcome"
    leads = arrangement.leads
    entities = leads.table.rows if leads else len(events["entity"].unique())
    evidence = f"{outcome.entities:,} of {count_nouns(entities, 'lead')}"
    if not outcome.is_event:
        if answers.horizon is not None:
            raise ConfigError(
                "an outcome column has no horizon",
                where="--horizon",
                found=f"the outcome is the column {outcome.name}",
                fix="leave it out, or name an event with a time: --outcome",
            )
        mature = _find_maturity(leads, outcome) if leads else ""
        return TargetProposal(name, outcome, None, (), mature, evidence)
    ends = list_ends(events, facts, outcome.name)
    touches = set(facts) - {outcome.name, *ends, *(n for n in facts if is_lost(n))}
    daily = (
        leads is not None
        and leads.created_at is not None
        and leads.table.profiles[leads.created_at].daily >= DAILY_SHARE
    )
    timing = choose_timing(
        events,
        facts[outcome.name],
        has_touches=bool(touches) and _touch_many(facts, touches, entities),
        daily=daily,
        horizon=_parse_days(answers.horizon),
    )
    return TargetProposal(name, outcome, timing, ends, "", evidence)


def _touch_many(facts: dict[str, EventFacts], touches: set[str], entities: int) -> bool:
    """Return whether enough leads have events before their outcome for a weekly look at them."""
    return sum(facts[name].entities for name in touches) >= 0.2 * entities


def _parse_days(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_horizon(text)
    except ValueError as error:
        raise ConfigError(
            "not a horizon", where="--horizon", found=str(error), fix="write 30d"
        ) from error


def _find_maturity(leads: LeadsTable, outcome: Outcome) -> str:
    """Return the age from which the outcome column is final; empty without times."""
    if leads.created_at is None:
        return ""
    from models.evaluation.settled_age import find_settled_age

    profile = leads.table.profiles[leads.created_at]
    times = profile.times if profile.times is not None else np.zeros(0)
    values = leads.table.columns[outcome.name].to_pylist()
    won = {str(value).lower() for value in outcome.equals} | (
        {"true"} if True in outcome.equals else set()
    )
    positive = np.array([str(value).lower() in won for value in values])
    open_values = {*outcome.open_values}
    decided = np.array([value is not None and str(value) not in open_values for value in values])
    known = ~np.isnan(times) & decided
    age = (np.nanmax(times) - times)[known].astype(np.int64)
    settled = find_settled_age(age, positive[known])
    return format_duration(settled) if settled else "0d"
