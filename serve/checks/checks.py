"""The verdicts of a night's checks: pass, warn or stop; as a table, and as the refusal to publish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pyarrow as pa

from configs.checks import DurationLimits, Limits
from configs.errors import NotFitToPublish
from features.contracts import SCORE_CHECKS

Verdict = Literal["pass", "warn", "stop"]
MAX_NAMED_SUBJECTS = 5
"""Subjects of one check that are named; how many more there are stands in the check's summary."""

FIXES = {
    "champion": "roll back, promote another version, restore its files, or train again",
    "freshness": "bring the source up to date",
    "rows": "see whether the source was written to its end",
    "suppressed": "see whether the list was written to its end, or the column's values were renamed",
    "leads": "check the sources and the target's population; without times, add leads whose outcome is empty",
    "gone_types": "see whether the source renamed it or stopped; if it is right so, train again",
    "new_types": "train again, so that the model knows it",
    "gone_categories": "see whether the source renamed it; if it is right so, train again",
    "new_categories": "see whether the source renamed its values; if it is right so, train again",
    "missing": "see what became of the column in the source",
    "drift": "see whether the source changed its unit or meaning; if it is right so, train again",
    "score_drift": "see what drifts; if it is right so, train again",
    "mean": "see what drifts; if it is right so, train again",
    "moved": "see whether the model or the data changed; `leadscore explain` shows one lead",
    "model_age": "train again; if the gate refuses, see why",
    "probabilities": "roll the model back, or train again",
}


@dataclass(frozen=True)
class CheckResult:
    """What was found of one subject; ``observed`` and both limits are in the unit of the check.

    ``target`` is empty where a source was checked, ``subject`` where it is the target itself or the check's summary.
    """

    check: str
    target: str
    subject: str
    observed: float | None
    warn: float | None
    stop: float | None
    verdict: Verdict
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return dict(vars(self))

    def __str__(self) -> str:
        """Say in one line what is wrong."""
        of = " · ".join(part for part in (self.target, self.subject) if part)
        return f"{self.verdict}: {self.check}{f' of {of}' if of else ''}: {self.message}"


def judge_value(
    check: str,
    target: str,
    subject: str,
    observed: float,
    limits: Limits | DurationLimits,
    message: str | None = None,
) -> CheckResult:
    """Judge what was observed, in days where the limits are lengths of time; a message of a pass is left out."""
    warn, stop = to_days(limits.warn), to_days(limits.stop)
    verdict = decide_verdict(observed, warn, stop)
    return CheckResult(
        check,
        target,
        subject,
        observed,
        warn,
        stop,
        verdict,
        message if verdict != "pass" else None,
    )


def pass_unchecked(check: str, target: str, why: str) -> CheckResult:
    """Return the pass of a check that had nothing to look at."""
    return CheckResult(check, target, "", None, None, None, "pass", why)


def decide_verdict(observed: float, warn: float | None, stop: float | None) -> Verdict:
    """Return the verdict of what must not lie beyond its limits."""
    if stop is not None and observed > stop:
        return "stop"
    return "warn" if warn is not None and observed > warn else "pass"


def to_days(limit: float | timedelta | None) -> float | None:
    """Return a length of time in days, anything else as it is."""
    return limit / timedelta(days=1) if isinstance(limit, timedelta) else limit


def report_worst(name: str, target: str, results: Sequence[CheckResult], limits: Limits, counted: str) -> list[CheckResult]:
    """Return the worst few of those that do not pass, and a summary with the largest of all.

    ``what`` names what was looked at, such as “features”.
    """
    ranked = sorted(results, key=lambda one: (-(one.observed or 0.0), one.subject))
    loud = sorted(
        (one for one in ranked if one.verdict != "pass"), key=lambda one: one.verdict != "stop"
    )
    most = ranked[0] if ranked else None
    text = f"{len(loud)} of {len(results)} {counted}" + (f"; the most is {most.subject}" if most else "")
    summary = CheckResult(
        name, target, "", most.observed if most else None, limits.warn, limits.stop, "pass", text
    )
    return [*loud[:MAX_NAMED_SUBJECTS], summary]


def select_alerts(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """Return those that warn or stop."""
    return [one for one in checks if one.verdict != "pass"]


def build_check_table(checks: Iterable[CheckResult], run_id: str, project: str, as_of: datetime) -> pa.Table:
    """Return the checks of a run as SCORE_CHECKS."""
    run = {"run_id": run_id, "project": project, "as_of": as_of}
    return pa.Table.from_pylist([run | one.to_json() for one in checks], schema=SCORE_CHECKS)


def raise_on_stop(checks: Iterable[CheckResult]) -> None:
    """Raise NotFitToPublish if a check stops, with the first one's reason and the names of the others."""
    stops = [one for one in checks if one.verdict == "stop"]
    if not stops:
        return
    first, *others = stops
    where = f"target {first.target}" if first.target else first.subject
    named = first.subject if first.target and first.subject else ""
    found = f"{named}: {first.message}" if named else str(first.message)
    if others:
        names = dict.fromkeys(f"{one.check} of {one.subject or one.target}" for one in others)
        found += f"; {len(others)} more: {', '.join(list(names)[:MAX_NAMED_SUBJECTS])}"
    raising = f"; or raise checks.{first.check}.stop" if first.stop is not None else ""
    raise NotFitToPublish(
        f"the check {first.check} stops", where=where, found=found, fix=FIXES[first.check] + raising
    )
