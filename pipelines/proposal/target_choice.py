"""The target of a proposal: its outcome, and the times at which it looks."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from configs.durations import format_duration
from configs.errors import ConfigError
from configs.suggestions import did_you_mean
from pipelines.proposal.arrange import Arrangement
from pipelines.proposal.findings.event_logs import EventFacts, LeadsTable
from pipelines.proposal.findings.outcomes import (
    Outcome,
    list_column_outcomes,
    list_ends,
    list_event_outcomes,
    to_config_value,
)
from pipelines.proposal.findings.roles import DAILY_SHARE
from pipelines.proposal.findings.timing import choose_timing, parse_horizon
from pipelines.proposal.findings.verdicts import is_lost
from pipelines.proposal.proposal import TargetProposal
from pipelines.proposal.questions import Answers, Interview, Question


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
    if not candidates and len(facts) == 1:
        # A log of one kind of event: whether it happens again is what can be predicted.
        fact = next(iter(facts.values()))
        candidates = [Outcome(fact.name, 0, fact.entities)]
    if answers.outcome is not None:
        return _read_outcome(answers.outcome, candidates, arrangement, facts)
    if candidates and not _is_doubtful(candidates):
        return candidates[0]
    options = tuple(dict.fromkeys([*(o.name for o in candidates), *facts]))
    counts = [f"{o.name} ({o.entities:,} of {entities:,} leads)" for o in candidates]
    counts = counts or [f"{fact.name} ({fact.entities:,} leads)" for fact in facts.values()]
    counts = counts or ([f"the columns of {leads.table.name}"] if leads else [])
    question = Question(
        "--outcome",
        "Which event or column says that a lead was won?",
        ", ".join(counts[:8]),
        candidates[0].name if candidates else "",
        options,
    )
    answer = interview.answer(question, None)
    return _read_outcome(answer, candidates, arrangement, facts)


def _is_doubtful(candidates: list[Outcome]) -> bool:
    """Return whether another event is as likely the outcome as the first one."""
    if len(candidates) < 2:
        return False
    first, second = candidates[:2]
    return first.is_event == second.is_event and first.rank == second.rank


def _read_outcome(
    answer: str,
    candidates: list[Outcome],
    arrangement: Arrangement,
    facts: dict[str, EventFacts],
) -> Outcome:
    """Return the outcome that an answer names: an event type, a column, or ``column=value``."""
    for outcome in candidates:
        if outcome.name == answer:
            return outcome
    if answer in facts:
        return Outcome(answer, 0, facts[answer].entities)
    column, sign, text = answer.partition("=")
    leads = arrangement.leads
    profiles = leads.table.profiles if leads else {}
    if sign and column in profiles:
        profile = profiles[column]
        if text in profile.counts:
            value = to_config_value(text, profile)
            return Outcome(column, 0, profile.counts[text], (value,))
    names = [*facts, *profiles]
    raise ConfigError(
        "no event type or column value has this name",
        where="--outcome",
        found=repr(answer),
        fix=did_you_mean(answer, names)
        or "name an event type, or a column of the leads and its value: COLUMN=VALUE",
    )


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
    evidence = f"{outcome.entities:,} of {entities:,} leads"
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
