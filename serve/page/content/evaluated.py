"""Models with their stored evaluation, as sections show them for a night and for a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.evaluation.record import EvaluationRecord, RecordedEstimate
from serve.page.content.parts import Quote
from serve.page.content.words import PageWords

SHARED = "evaluation"


class Evaluated(Protocol):
    """What sections on models need: the contents of a page, or of the report of one training."""

    @property
    def words(self) -> PageWords:
        """Return the texts of the page."""

    @property
    def targets(self) -> Sequence[str]:
        """Return the targets, in the order of the config."""

    @property
    def evaluations(self) -> Mapping[str, EvaluationRecord]:
        """Return the evaluation of the model of each target; absent where none is stored."""


@dataclass(frozen=True)
class TrainingContents:
    """Contents of the report of one training.

    Attributes:
        words: Texts of the page.
        evaluations: The evaluation, by its target.
    """

    words: PageWords
    evaluations: Mapping[str, EvaluationRecord]

    @property
    def targets(self) -> Sequence[str]:
        """Return the target."""
        return list(self.evaluations)


def list_absent(models: Evaluated, always: bool = False) -> list[str]:
    """Return a note for each target whose model has no stored evaluation.

    Without ``always`` there are none where another target has one: once on a page is enough.
    """
    if models.evaluations and not always:
        return []
    return [
        models.words.text(SHARED, "absent", target=target)
        for target in models.targets
        if target not in models.evaluations
    ]


def list_records(models: Evaluated) -> list[EvaluationRecord]:
    """Return the stored evaluations, in the order of the targets."""
    return [models.evaluations[target] for target in models.targets if target in models.evaluations]


def format_recorded(
    words: PageWords, estimate: RecordedEstimate | None, digits: int, share: bool = False
) -> str:
    """Return an estimate with its 90 % interval; a dash where it is not defined.

    ``share`` writes it in per cent.
    """
    if estimate is None or estimate.value is None:
        return "–"
    write = words.percent if share else words.number
    text = write(estimate.value, digits)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({write(estimate.low, digits)}–{write(estimate.high, digits)})"


def quote_recorded(
    words: PageWords,
    label: str,
    estimate: RecordedEstimate | None,
    digits: int,
    share: bool = False,
) -> Quote:
    """Return an estimate as a quoted number; its hint is the interval and the number of rows."""
    if estimate is None or estimate.value is None:
        return Quote(label, "–")
    write = words.percent if share else words.number
    hints = [words.text(SHARED, "tested", rows=words.number(estimate.n))]
    if estimate.low is not None and estimate.high is not None:
        ends = {"low": write(estimate.low, digits), "high": write(estimate.high, digits)}
        hints.insert(0, words.text(SHARED, "interval", **ends))
    return Quote(label, write(estimate.value, digits), ", ".join(hints))
