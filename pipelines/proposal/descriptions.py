"""A proposed config in lines of text: columns left out, questions, and the next steps."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from configs.errors import join_names

if TYPE_CHECKING:
    from pipelines.proposal.proposal import Proposal
    from pipelines.proposal.proposed_config import ProposedConfig
    from pipelines.proposal.questions import Question

MAX_NAMES, MAX_OPTIONS = 8, 12


def describe_proposal(proposal: Proposal) -> Iterator[str]:
    """Yield what is left out and why, tables without a role, and notes."""
    by_reason = defaultdict[str, list[str]](list)
    left_out = {**proposal.attributes.left_out, **proposal.unused_columns}
    for name, reason in left_out.items():
        by_reason[reason].append(name)
    for reason, names in by_reason.items():
        yield f"left out: {join_names(names, MAX_NAMES)}: {reason}"
    for name, reason in proposal.unused.items():
        yield f"not used: {name}: {reason}"
    for note in proposal.notes:
        yield f"note: {note}"


def describe_question(question: Question) -> Iterator[str]:
    """Yield a question with its evidence and the possible answers."""
    yield question.text
    yield f"  found: {question.evidence}"
    if question.options:
        yield f"  possible: {join_names(question.options, MAX_OPTIONS)}"


def describe_questions(questions: Sequence[Question]) -> Iterator[str]:
    """Yield all questions with the options of the command that answer them."""
    number = "one question" if len(questions) == 1 else f"{len(questions)} questions"
    yield f"{number}: answer by the options below, or take the proposals by --yes"
    for question in questions:
        yield from describe_question(question)
        answers = [*question.examples, question.proposal]
        options = [f"{question.flag} {shlex.quote(text)}" for text in answers if text]
        yield f"  answer: {', or '.join(options) or f'{question.flag} …'}{question.condition}"
    yield "nothing was written"


def describe_next_steps(result: ProposedConfig) -> Iterator[str]:
    """Yield the problem of a config, or the commands that come next."""
    if result.problem:
        yield f"{result.path} needs a change before it can be used:"
        yield result.problem
        yield f"then: leadscore check {result.path}"
        return
    timed = result.check is not None and result.check.timed
    yield "next:"
    yield f"  leadscore train {result.path} --direct"
    if result.check is not None and any(target.to_score for target in result.check.targets):
        yield f"  leadscore score {result.path} --direct{'' if timed else ' --as-of DATE'}"
    else:
        yield "  then add leads whose outcome is open, and score them: see the notes"
