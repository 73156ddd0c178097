"""What the data cannot answer: questions with a proposed answer and the flag that gives one."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from configs.errors import ConfigError, join_names

# A person is asked no more than this; further proposals are taken and noted.
MAX_QUESTIONS = 2
MAX_OPTIONS_LISTED = 12


@dataclass(frozen=True)
class Question:
    """Something that only a person knows.

    Attributes:
        flag: Option of the command that answers it, such as ``--outcome``.
        text: The question.
        evidence: What the data shows, with counts.
        proposal: Proposed answer; empty if there is none.
        options: Answers that are possible; empty if any text is.
        examples: Other answers, which are named before the proposal.
        condition: When the proposal is right, in words after it.
    """

    flag: str
    text: str
    evidence: str
    proposal: str
    options: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    condition: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "flag": self.flag,
            "question": self.text,
            "found": self.evidence,
            "proposal": self.proposal,
            "options": list(self.options),
        }


@dataclass(frozen=True)
class Answers:
    """Answers that the options of the command give; None where they say nothing."""

    leads: str | None = None
    entity_id: str | None = None
    created_at: str | None = None
    outcome: str | None = None
    horizon: str | None = None
    timezone: str | None = None
    order: str | None = None
    project: str | None = None
    delimiter: str | None = None
    event_type: tuple[str, ...] = ()


@dataclass
class Interview:
    """Asks questions, or takes what is proposed.

    Attributes:
        ask: Asks a person and returns the answer; None to take each proposal.
        asked: The questions so far.
        notes: Proposals that were taken without a question.
    """

    ask: Callable[[Question], str] | None
    asked: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def answer(self, question: Question, given: str | None) -> str:
        """Return the given answer, that of a person, or the proposal.

        Raises ConfigError for an answer that is no option, and if there is neither an answer nor a
        proposal.
        """
        if given is not None:
            return require_option(question, given)
        if len(self.asked) >= MAX_QUESTIONS and question.proposal:
            self.notes.append(
                f"{question.text} {question.evidence}: took {question.proposal}; another answer: "
                f"{question.flag}"
            )
            return question.proposal
        self.asked.append(question)
        if self.ask is not None:
            return require_option(question, self.ask(question) or question.proposal)
        if not question.proposal:
            raise ConfigError(
                question.text,
                where=question.flag,
                found=question.evidence,
                fix=f"give {question.flag} {shlex.quote(question.options[0])}, or another one of "
                f"{join_names(question.options, MAX_OPTIONS_LISTED)}; nothing was written"
                if question.options
                else f"give {question.flag}; nothing was written",
            )
        return question.proposal


def require_option(question: Question, answer: str) -> str:
    """Return an answer; raise ConfigError if it is empty, or no option of the question."""
    if answer and not question.options:
        return answer
    same = [option for option in question.options if option.casefold() == answer.casefold()]
    if answer in question.options or len(same) == 1:
        return answer if answer in question.options else same[0]
    from configs.suggestions import did_you_mean

    raise ConfigError(
        "no possible answer",
        where=question.flag,
        found=repr(answer),
        fix=did_you_mean(answer, question.options)
        or f"give one of {join_names(question.options, MAX_OPTIONS_LISTED)}",
    )
