"""Proposes a config: tables, target, attributes and time zone, with what the user should know."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from configs.errors import ConfigError
from configs.source_rows import ALL_COLUMNS
from pipelines.proposal.arrange import Arrangement, arrange_tables
from pipelines.proposal.creation_choice import require_creation, settle_creation
from pipelines.proposal.findings.attributes import AttributeChoice, choose_attributes
from pipelines.proposal.findings.closing_columns import drop_closing_columns
from pipelines.proposal.findings.counted_times import list_counted_times
from pipelines.proposal.findings.event_logs import (
    EventFacts,
    LeadsTable,
    MappedLog,
    collect_events,
    describe_events,
    make_milestone,
)
from pipelines.proposal.findings.event_types import MAX_TYPES, explain_unused
from pipelines.proposal.findings.later_accounts import drop_later_account
from pipelines.proposal.findings.log_summaries import drop_log_summaries
from pipelines.proposal.findings.outcomes import (
    Outcome,
    find_closing_time,
    read_states,
)
from pipelines.proposal.findings.roles import DAILY_SHARE, is_milestone, list_times, matches_words
from pipelines.proposal.findings.row_order import ROWS, propose_order
from pipelines.proposal.findings.verdicts import decides_lead, is_lost
from pipelines.proposal.proposal import Proposal, ValueHistory
from pipelines.proposal.questions import Answers, Interview, Question
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import split_words
from pipelines.proposal.suspects import leave_out_suspects
from pipelines.proposal.target_choice import choose_outcome, make_target

# Milestones beyond these would be more than a config can show; the fullest ones are kept.
MAX_MILESTONES = 6
MAX_STAGES = 12
UTC_WORDS = {"utc", "gmt"}


def propose_config(
    tables: Sequence[SourceTable],
    answers: Answers,
    interview: Interview,
    log: Callable[[str], None],
) -> Proposal:
    """Return a proposal for some tables.

    Raises ConfigError for an answer that is not possible, DataError for tables that cannot be
    used.
    """
    arrangement = arrange_tables(tables, answers, interview)
    arrangement = _add_milestones(settle_creation(arrangement, interview))
    events = collect_events(arrangement.leads, list(arrangement.logs))
    facts = describe_events(events)
    outcome = choose_outcome(arrangement, events, facts, answers, interview)
    require_creation(arrangement, outcome)
    leads, account_note = drop_later_account(arrangement.leads, outcome, events)
    arrangement = replace(arrangement, leads=leads)
    target = make_target(arrangement, outcome, events, facts, answers)
    timezone, note = _choose_timezone(arrangement, answers, interview)
    order, notes = _choose_order(arrangement, outcome, answers, interview)
    notes += [account_note] if account_note else []
    attributes, missing = _describe_leads(arrangement, outcome)
    attributes = drop_log_summaries(attributes, arrangement.leads, events)
    if outcome.is_event:
        ends = (outcome.name, *target.ends)
        attributes = drop_closing_columns(attributes, arrangement.leads, events, ends)
    notes += _note_constant_types(arrangement)
    proposal = Proposal(
        project=answers.project or "company",
        timezone=timezone,
        timezone_note=note,
        leads=arrangement.leads,
        order=order,
        logs=arrangement.logs,
        histories=_keep_new_columns(arrangement.histories, attributes),
        attributes=attributes,
        missing=missing,
        target=target,
        stages=_list_stages(arrangement, facts, outcome, target.ends),
        excluded=_list_excluded(arrangement, facts, outcome, target.ends),
        unused=arrangement.unused,
        unused_columns=_list_unused_columns(arrangement),
        notes=tuple(notes),
    )
    proposal = leave_out_suspects(proposal, log)
    return replace(proposal, notes=(*proposal.notes, *interview.notes))


def _add_milestones(arrangement: Arrangement) -> Arrangement:
    """Return the arrangement with a log for each date that leads reach or not."""
    leads = arrangement.leads
    if leads is None or leads.entity_id is None or leads.created_at is None:
        return arrangement
    columns = [
        profile
        for profile in list_times(leads.table)
        if is_milestone(leads.table, profile, leads.created_at)
        and not _only_closes(profile.name)
        and profile.name not in leads.mapped
        and profile.filled < leads.table.rows
    ]
    columns = sorted(columns, key=lambda profile: (not decides_lead(profile.name), -profile.filled))
    kept = {profile.name for profile in columns[:MAX_MILESTONES]}
    own = [make_milestone(leads, name) for name in leads.table.names if name in kept]
    own += _find_closing_log(leads, own)
    return replace(arrangement, logs=(*arrangement.logs, *own))


def _only_closes(name: str) -> bool:
    """Return whether a date says that a lead was closed, but not how."""
    return matches_words(name, "columns.closed") and not decides_lead(name)


def _find_closing_log(leads: LeadsTable, own: list[MappedLog]) -> list[MappedLog]:
    """Return a log of how and when leads were closed, if no milestone says when they were won."""
    if any(matches_words(log.event_type.replace("_", " "), "values.won") for log in own):
        return []
    states = [read_states(profile) for profile in leads.table.profiles.values()]
    for state in sorted((s for s in states if s), key=lambda s: s.rank):
        time = find_closing_time(leads, state)
        if time is not None:
            entity = leads.entity_id or ""
            return [MappedLog(leads.table, entity, time, state.name, milestone=True)]
    return []


def _choose_timezone(
    arrangement: Arrangement, answers: Answers, interview: Interview
) -> tuple[str, str]:
    """Return the zone of times without an offset, and why."""
    names = _list_used_times(arrangement)
    naive = [
        (table, name)
        for table, name in names
        if table.profiles[name].zoned < 1 and not UTC_WORDS & set(split_words(name))
    ]
    timed = [p for t, n in naive for p in (t.profiles[n],) if p.daily < DAILY_SHARE]
    if answers.timezone is not None:
        return _require_zone(answers.timezone), ""
    if not timed:
        return "UTC", "days without a time of day" if naive else ""
    rows = sum(profile.filled for profile in timed)
    examples = ", ".join(dict.fromkeys(profile.name for profile in timed))
    question = Question(
        "--timezone",
        "In which time zone are the times without an offset?",
        f"{rows:,} times in {examples}",
        "UTC",
        examples=("Europe/Berlin",),
        condition=" if they are in UTC",
    )
    zone = _require_zone(interview.answer(question, None))
    return zone, "times without an offset" + ("; confirm" if zone == "UTC" else "")


def _list_used_times(arrangement: Arrangement) -> list[tuple[SourceTable, str]]:
    leads = arrangement.leads
    names = [(log.table, log.event_time) for log in arrangement.logs]
    names += [(history.table, history.valid_from) for history in arrangement.histories]
    if leads is not None and leads.created_at is not None:
        names.append((leads.table, leads.created_at))
    return names


def _require_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            "not a time zone",
            where="--timezone",
            found=repr(name),
            fix="write a name such as Europe/Berlin or UTC",
        ) from error
    return name


def _choose_order(
    arrangement: Arrangement, outcome: Outcome, answers: Answers, interview: Interview
) -> tuple[str, list[str]]:
    """Return what stands for time where leads have none, and notes."""
    leads = arrangement.leads
    if leads is None or leads.created_at is not None:
        if answers.order is not None:
            raise ConfigError(
                "order is for data without times",
                where="--order",
                found="the rows have times",
                fix="leave it out",
            )
        return "", []
    none = "none"
    if answers.order is not None:
        return ("" if answers.order == none else answers.order), []
    if arrangement.logs:
        return "", [
            f"{leads.table.name} has no time of creation, so a lead begins with its first event; "
            "to name one: --created-at COLUMN"
        ]
    proposal, evidence = propose_order(leads.table, leads.entity_id)
    if not proposal:
        counted = list_counted_times(leads.table)
        if counted:
            return "", [
                f"no column is known as the time of creation; {', '.join(counted)} may count time: "
                f"if so, give --created-at {shlex.quote(counted[0])}"
            ]
        return "", ["no times and no order in time: metrics say nothing about the future"]
    question = Question(
        "--order",
        "Are the rows in the order of time?",
        evidence,
        proposal,
        tuple(dict.fromkeys((proposal, ROWS, none))),
    )
    answer = interview.answer(question, None)
    return ("" if answer == none else answer), []


def _describe_leads(
    arrangement: Arrangement, outcome: Outcome
) -> tuple[AttributeChoice, dict[str, tuple[str, ...]]]:
    """Return the attributes, and the texts that mean “no value”, by column."""
    leads = arrangement.leads
    if leads is None:
        return AttributeChoice((), {}), {}
    roles = {
        name for log in arrangement.logs if log.table is leads.table for name in _list_columns(log)
    }
    mapped = leads.mapped | roles | ({outcome.name} if not outcome.is_event else set())
    choice = choose_attributes(leads.table, mapped)
    kept = {
        name: ("its values come from the history" if _has_history(arrangement, name) else "")
        for name in choice.used
    }
    histories = {name: reason for name, reason in kept.items() if reason}
    used = tuple(name for name in choice.used if name not in histories)
    missing = {ALL_COLUMNS: leads.table.placeholders}
    # A lead whose state decides nothing yet has no outcome.
    missing |= {} if outcome.is_event else {outcome.name: outcome.open_values}
    return AttributeChoice(used, {**choice.left_out, **histories}), missing


def _list_columns(log: MappedLog) -> set[str]:
    names = {log.entity_id, log.event_time} | (set() if log.constant else {log.event_type})
    return names


def _list_unused_columns(arrangement: Arrangement) -> dict[str, str]:
    """Return why each column of a log has no role, by ``file: column``."""
    own = arrangement.leads.table if arrangement.leads else None
    reasons = dict[str, str]()
    for log in arrangement.logs:
        if log.table is own:
            continue
        histories = (h for h in arrangement.histories if h.table is log.table)
        used = log.mapped | {name for history in histories for name in history.columns}
        reasons |= {
            f"{log.table.name}: {name}": reason
            for name, reason in explain_unused(log.table, log.entity_id, used).items()
        }
    return reasons


def _note_constant_types(arrangement: Arrangement) -> list[str]:
    """Return a note for each log whose rows are all of one type that no heading gives."""
    own = arrangement.leads.table if arrangement.leads else None
    return [
        f"{log.table.name}: all rows are of the type {log.event_type}, since no column has 2 to "
        f"{MAX_TYPES} texts that repeat and differ within a lead; to name one: "
        f"--event-type {log.table.name}:COLUMN"
        for log in arrangement.logs
        if log.constant and log.table is not own and not decides_lead(log.event_type)
    ]


def _has_history(arrangement: Arrangement, name: str) -> bool:
    return any(name in history.only for history in arrangement.histories)


def _keep_new_columns(
    histories: tuple[ValueHistory, ...], choice: AttributeChoice
) -> tuple[ValueHistory, ...]:
    """Return the histories without columns that are attributes already, or in another history."""
    seen, kept = set(choice.used), []
    for history in histories:
        columns = tuple(name for name in history.columns if name not in seen)
        if columns or history.only:
            kept.append(replace(history, columns=columns))
            seen |= {*columns, *history.only}
    return tuple(kept)


def _list_stages(
    arrangement: Arrangement,
    facts: dict[str, EventFacts],
    outcome: Outcome,
    ends: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the event types that are stages, by the median time at which leads reach them."""
    names = set[str]()
    for log in arrangement.logs:
        if log.constant and log.milestone:
            names.add(log.event_type)
        elif not log.constant and matches_words(log.event_type, "columns.status"):
            names |= set(log.table.profiles[log.event_type].counts)
    ignored = {outcome.name, *ends} if outcome.is_event else set(ends)
    stages = [
        name
        for name in facts
        if name in names - ignored and not is_lost(name) and not matches_words(name, "values.won")
    ]
    return tuple(stages) if 2 <= len(stages) <= MAX_STAGES else ()


def _list_excluded(
    arrangement: Arrangement,
    facts: dict[str, EventFacts],
    outcome: Outcome,
    ends: tuple[str, ...],
) -> tuple[str, ...]:
    """Return event types of a log of closings that are neither the outcome nor an end."""
    leads = arrangement.leads
    names = {
        text
        for log in arrangement.logs
        if leads is not None and log.table is leads.table and not log.constant
        for text in log.table.profiles[log.event_type].counts
    }
    return tuple(name for name in facts if name in names - {outcome.name, *ends})
