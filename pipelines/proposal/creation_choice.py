"""When a lead was created, where logs have times and no column of the leads is known to say it."""

from __future__ import annotations

import shlex
from dataclasses import replace

from configs.errors import ConfigError
from pipelines.proposal.arrange import Arrangement, list_log_histories
from pipelines.proposal.findings.counted_times import list_counted_times, use_as_times
from pipelines.proposal.findings.outcomes import Outcome, list_column_outcomes
from pipelines.proposal.findings.roles import is_overwritten, list_times
from pipelines.proposal.questions import Interview, Question

FLAG = "--created-at"


def settle_creation(arrangement: Arrangement, interview: Interview) -> Arrangement:
    """Return the arrangement with a time of creation of the leads, if logs require one.

    A column that may be it is asked for. Without one the logs make leads of their ids, unless the
    leads have a column with the outcome.
    """
    leads = arrangement.leads
    if leads is None or leads.created_at is not None or not arrangement.logs:
        return arrangement
    table = leads.table
    names = [p.name for p in list_times(table) if not is_overwritten(p.name)]
    names += list_counted_times(table)
    if names:
        question = Question(
            FLAG,
            f"Which column of {table.name} says when a lead was created?",
            f"no heading says so; times, or numbers that may count time: {', '.join(names)}",
            names[0],
            tuple(names),
        )
        chosen = interview.answer(question, None)
        use_as_times(table, chosen)
        return replace(arrangement, leads=replace(leads, created_at=chosen))
    if list_column_outcomes(table, leads.mapped):
        return arrangement
    reason = (
        f"no column says when its leads were created, so the logs make leads of their ids; "
        f"to use it: {FLAG} COLUMN"
    )
    return Arrangement(
        None,
        arrangement.logs,
        (*arrangement.histories, *list_log_histories(arrangement.logs)),
        {**arrangement.unused, table.name: reason},
    )


def require_creation(arrangement: Arrangement, outcome: Outcome) -> None:
    """Raise ConfigError for an event as the outcome of leads without a time of creation."""
    leads = arrangement.leads
    if not outcome.is_event or leads is None or leads.created_at is not None:
        return
    columns = list_column_outcomes(leads.table, leads.mapped)
    other = f", or take the column: --outcome {shlex.quote(columns[0].name)}" if columns else ""
    raise ConfigError(
        "an event as the outcome requires to know when each lead was created",
        where=leads.table.name,
        found=f"the outcome {outcome.name}, and no time of creation",
        fix=f"export the creation with each lead, or name its column: {FLAG} COLUMN{other}",
    )
