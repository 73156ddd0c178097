"""The command that proposes a config from files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import Json, print_json, print_line, print_parts

if TYPE_CHECKING:
    from pipelines.proposal.proposal import Proposal
    from pipelines.proposal.proposed_config import ProposedConfig
    from pipelines.proposal.questions import Question

DEFAULT_CONFIG = Path("company.yaml")

Files = Annotated[
    list[str],
    typer.Argument(help="files or folders of leads and events, or a database's address"),
]
Out = Annotated[Path, typer.Option("--out", help="write the config to this file")]
Yes = Annotated[bool, typer.Option("--yes", help="take every proposal")]
Force = Annotated[bool, typer.Option("--force", help="replace an existing config")]
LeadsFile = Annotated[
    str | None, typer.Option("--leads", help="the file with one row for each lead")
]
EntityColumn = Annotated[
    str | None, typer.Option("--entity-id", help="the column of the lead's id")
]
CreatedColumn = Annotated[
    str | None, typer.Option("--created-at", help="the column of the lead's creation")
]
OutcomeName = Annotated[
    str | None,
    typer.Option("--outcome", help="the event type or column of a won lead, or COLUMN=VALUE"),
]
EventTypes = Annotated[
    list[str] | None,
    typer.Option("--event-type", help="the column of a log's event types, or FILE:COLUMN"),
]
Horizon = Annotated[
    str | None, typer.Option("--horizon", help="how far ahead a score looks, such as 30d")
]
Timezone = Annotated[str | None, typer.Option("--timezone", help="zone of times without an offset")]
Order = Annotated[
    str | None,
    typer.Option("--order", help="without times: a column that rises with time, “rows” or “none”"),
]
ProjectName = Annotated[
    str | None, typer.Option("--project", help="name of the project; default: of the config")
]

Delimiter = Annotated[
    str | None, typer.Option("--delimiter", help="sign between the fields of CSV files")
]


def init(
    files: Files,
    out: Out = DEFAULT_CONFIG,
    yes: Yes = False,
    force: Force = False,
    leads: LeadsFile = None,
    entity_id: EntityColumn = None,
    created_at: CreatedColumn = None,
    event_type: EventTypes = None,
    outcome: OutcomeName = None,
    horizon: Horizon = None,
    timezone: Timezone = None,
    order: Order = None,
    project: ProjectName = None,
    delimiter: Delimiter = None,
    as_json: Json = False,
) -> None:
    """Propose a config from files or a database.

    It finds leads, events, outcome and attributes, and leaves out columns that are
    personal or know the outcome. What it cannot know it asks; without a terminal it prints the
    questions with their options and exits with 2, unless --yes takes every proposal.
    """
    from pipelines.proposal.questions import Answers, Interview
    from pipelines.proposal.write_config import (
        propose_from_files,
        require_new_file,
        write_proposal,
    )

    if not force:
        require_new_file(out)
    kinds = tuple(event_type or ())
    answers = Answers(
        leads, entity_id, created_at, outcome, horizon, timezone, order, project, delimiter, kinds
    )
    asks = not yes and not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    interview = Interview(_ask_person if asks else None)
    proposal = propose_from_files(files, answers, interview, log_line)
    if interview.asked and not (yes or asks):
        _print_questions(proposal, interview.asked, as_json)
        raise typer.Exit(2)
    result = write_proposal(proposal, out, interview, log_line)
    if as_json:
        print_json(result.to_json(), stored=True)
    else:
        _print_proposal(result)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _print_questions(proposal: Proposal, questions: list[Question], as_json: bool) -> None:
    """Print the questions that must be answered before a config is written."""
    from pipelines.proposal.descriptions import describe_questions
    from pipelines.proposal.proposed_config import list_questions

    if as_json:
        print_json(list_questions(proposal, questions))
    for line in describe_questions(questions):
        log_always(line)


def _print_proposal(result: ProposedConfig) -> None:
    """Print a config, its reasons, the check of the data, and the next commands."""
    from pipelines.proposal.descriptions import describe_next_steps, describe_proposal
    from pipelines.reports import terminal

    print_line(result.text)
    for line in describe_proposal(result.proposal):
        print_line(line)
    if result.check is not None:
        print_parts(*terminal.render_data_check(result.check))
    for line in describe_next_steps(result):
        print_line(line)


def _ask_person(question: Question) -> str:
    """Return the answer of a person at the terminal."""
    from pipelines.proposal.descriptions import describe_question

    for line in describe_question(question):
        log_always(line)
    answer: str = typer.prompt("answer", default=question.proposal or None, err=True)
    return answer.strip()
