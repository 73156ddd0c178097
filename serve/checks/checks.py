"""Check results (pass, warn or stop), their table, and the error that refuses to publish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pyarrow as pa

from configs.checks import DurationLimits, Limits
from configs.errors import NotFitToPublish
from features.score_tables import SCORE_CHECKS
from features.tools.json_values import to_json_values

Verdict = Literal["pass", "warn", "stop"]
# Subjects of one check that are listed; the check's summary counts the others.
MAX_NAMED_SUBJECTS = 5

FIXES = {
    "champion": "roll back, promote another version, restore its files, or train again",
    "names": "correct them, or say in the source's `names` whether they are the same",
    "form": "correct the source, or give the key in the source's config to say how it is written",
    "freshness": "bring the source up to date",
    "rows": "check that the source was written completely",
    "history": "check that the source was written completely, and that no rows were added twice",
    "new_rows": "check that the source was delivered, and not that of an earlier night",
    "time_of_day": "check the time zone of the source's times, and `timezone`",
    "suppressed": "check that the list was written completely, "
    "and that the column's values were not renamed",
    "leads": "check the sources and the target's population; "
    "without times, add leads with an empty outcome",
    "gone_leads": "check that the leads were written completely, "
    "and their ids in the same way as before",
    "gone_types": "check whether the source renamed it or stopped; "
    "if this is intended, train again",
    "new_types": "train again to include it in the model",
    "gone_categories": "check whether the source renamed it; if this is intended, train again",
    "new_categories": "check whether the source renamed its values; "
    "if this is intended, train again",
    "missing": "check the column in the source",
    "drift": "check whether the source changed its unit or meaning; "
    "if this is intended, train again",
    "score_drift": "check which features drift; if this is intended, train again",
    "mean": "check which features drift; if this is intended, train again",
    "moved": "check whether the model or the data changed; `leadscore explain` shows one lead",
    "changed": "check whether the model, or the values of a column, changed",
    "model_age": "train again; if the gate refuses the model, see its report",
    "probabilities": "roll the model back, or train again",
}


@dataclass(frozen=True)
class CheckResult:
    """Result of one check of one subject; the fields are columns of SCORE_CHECKS.

    Attributes:
        check: Name of the check.
        target: Name of the target; empty if a source was checked.
        subject: Source, feature or category; empty for the target itself and for a summary.
        observed: Observed value, in the unit of the check.
        warn: Value above (or row count below) which the check warns; None if never.
        stop: Value above (or row count below) which the check stops; None if never.
        verdict: pass, warn or stop.
        message: Finding in words.
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
        """Return the fields as plain JSON values."""
        values: dict[str, Any] = to_json_values(vars(self))
        return values

    def __str__(self) -> str:
        """Return verdict, subject and finding in one line."""
        where = " · ".join(part for part in (self.target, self.subject) if part)
        return f"{self.verdict}: {self.check}{f' of {where}' if where else ''}: {self.message}"


def judge_value(
    check: str,
    target: str,
    subject: str,
    observed: float,
    limits: Limits | DurationLimits,
    message: str | None = None,
) -> CheckResult:
    """Return the result for an observed value, in days if the limits are durations.

    A result that passes carries no message.
    """
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


def pass_unchecked(check: str, target: str, reason: str) -> CheckResult:
    """Return a pass for a check that could not be made, with the reason."""
    return CheckResult(check, target, "", None, None, None, "pass", reason)


def decide_verdict(observed: float, warn: float | None, stop: float | None) -> Verdict:
    """Return the verdict on a value that must not exceed its limits."""
    # A value beyond the stop exceeds the limit of the warning too, so the stop comes first.
    if stop is not None and observed > stop:
        return "stop"
    return "warn" if warn is not None and observed > warn else "pass"


def to_days(limit: float | timedelta | None) -> float | None:
    """Return a duration in days; return any other limit unchanged."""
    return limit / timedelta(days=1) if isinstance(limit, timedelta) else limit


def report_worst(
    name: str, target: str, results: Sequence[CheckResult], limits: Limits, counted: str
) -> list[CheckResult]:
    """Return the MAX_NAMED_SUBJECTS worst alerts, and a summary with the largest value of all.

    Stops precede warnings. ``counted`` names the subjects of the summary, such as “features”.
    """
    ranked = sorted(results, key=lambda result: (-(result.observed or 0.0), result.subject))
    # The sort is stable, so each verdict stays ranked by value, and no warning displaces a stop.
    alerts = sorted(select_alerts(ranked), key=lambda result: result.verdict != "stop")
    text = f"{len(alerts)} of {len(results)} {counted}"
    if ranked:
        text += f"; the largest is {ranked[0].subject}"
    largest = ranked[0].observed if ranked else None
    summary = CheckResult(name, target, "", largest, limits.warn, limits.stop, "pass", text)
    return [*alerts[:MAX_NAMED_SUBJECTS], summary]


def select_alerts(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that warn or stop, in their order."""
    return [check for check in checks if check.verdict != "pass"]


def build_check_table(
    checks: Iterable[CheckResult], run_id: str, project: str, as_of: datetime
) -> pa.Table:
    """Return the results of a run as SCORE_CHECKS."""
    run = {"run_id": run_id, "project": project, "as_of": as_of}
    return pa.Table.from_pylist([run | check.to_json() for check in checks], schema=SCORE_CHECKS)


def raise_on_stop(checks: Iterable[CheckResult]) -> None:
    """Raise NotFitToPublish if a check stops.

    The error has the finding of the first check that stops and names the others.
    """
    stops = [check for check in checks if check.verdict == "stop"]
    if not stops:
        return
    first, *others = stops
    where = f"target {first.target}" if first.target else first.subject
    named = first.subject if first.target and first.subject else ""
    finding = f"{named}: {first.message}" if named else str(first.message)
    if others:
        names = dict.fromkeys(
            f"{check.check} of {check.subject or check.target}" for check in others
        )
        finding += f"; {len(others)} more: {', '.join(list(names)[:MAX_NAMED_SUBJECTS])}"
    # A check without limits, such as probabilities, has none that could be raised.
    raising = f"; or raise checks.{first.check}.stop" if first.stop is not None else ""
    raise NotFitToPublish(
        f"the check {first.check} stops",
        where=where,
        found=finding,
        fix=FIXES[first.check] + raising,
    )
