"""Result of `init`: the config that was written, and what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.proposal.proposal import Proposal
    from pipelines.proposal.questions import Question
    from pipelines.results.data_check import DataCheck


@dataclass(frozen=True)
class ProposedConfig:
    """A proposed config.

    Attributes:
        path: File of the config.
        text: Its content.
        proposal: Its parts.
        questions: The questions that were asked, or would have been.
        check: What `check` finds with it; None if the data was refused.
        problem: Why the data was refused, with a fix; empty if it was not.
        exit_code: Exit code of the command.
    """

    path: Path
    text: str
    proposal: Proposal
    questions: tuple[Question, ...]
    check: DataCheck | None
    problem: str
    exit_code: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return list_questions(self.proposal, self.questions) | {
            "config": str(self.path),
            "problem": self.problem,
            "check": None if self.check is None else self.check.to_json(),
        }


def list_questions(proposal: Proposal, questions: Sequence[Question]) -> dict[str, Any]:
    """Return a proposal that was not written, and its questions, as plain JSON values."""
    return {
        "config": None,
        "questions": [question.to_json() for question in questions],
        "found": proposal.to_json(),
        "problem": "",
        "check": None,
    }
