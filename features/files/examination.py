"""Checks of stored state that are independent: one that fails hides no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.errors import LeadscoreError
from features.files.os_errors import suggest_os_fix


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and how to fix it."""

    problem: str
    fix: str


@dataclass
class Examination:
    """What one check examined and found; it is right without findings.

    Attributes:
        check: Name of the check.
        counts: Number of things examined, by kind.
        findings: What is wrong.
        left_out: What was not examined, and why.
    """

    check: str
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def report(self, problem: str, fix: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(problem, fix))

    def report_all(self, problem: str, examples: Sequence[str], fix: str) -> None:
        """Add one finding for all examples, with their number and the first; none without any."""
        if examples:
            self.report(f"{len(examples):,} {problem}, such as {examples[0]}", fix)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "check": self.check,
            "ok": not self.findings,
            "counts": dict(self.counts),
            "problems": [{"problem": f.problem, "fix": f.fix} for f in self.findings],
            "left_out": list(self.left_out),
        }

    def lines(self) -> list[str]:
        """Return it as one line for a person, and two for each finding."""
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        head = f"{'WRONG' if self.findings else 'ok':<6}{self.check}: {counts or 'nothing stored'}"
        if self.left_out:
            head += f" (left out: {'; '.join(self.left_out)})"
        parts = [(f"      {f.problem}", f"        fix: {f.fix}") for f in self.findings]
        return [head, *(line for pair in parts for line in pair)]


def run_check(name: str, check: Callable[[Examination], object]) -> Examination:
    """Return what a check finds; an error that it raises is a finding."""
    examination = Examination(name)
    try:
        check(examination)
    except LeadscoreError as error:
        where = f" [{error.where}]" if error.where else ""
        detail = f": {error.found}" if error.found else ""
        examination.report(f"{error.what}{where}{detail}", error.fix or "see the message")
    except OSError as error:
        examination.report(
            f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}",
            suggest_os_fix(error),
        )
    # Damaged files raise errors of any library. Its text may quote a row, so only its type is said.
    except Exception as error:  # noqa: BLE001
        examination.report(
            f"the check ended with {type(error).__name__}",
            "restore the damaged file from the backup",
        )
    return examination
