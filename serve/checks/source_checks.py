"""What must hold of the sources before anything is scored: fresh, whole, and of the events that were learnt from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.checks import Checks, Limits
from features.contracts import Dataset, SourceCount
from features.suppressed import Suppression
from models.reference.event_volume import EventVolume, count_weekly_events
from serve.checks.checks import (
    CheckResult,
    Verdict,
    decide_verdict,
    judge_value,
    pass_unchecked,
    report_worst,
    to_days,
)

SUPPRESSED_CHECK = "suppressed"
MIN_STEADY_EVENTS = 5
"""Events in the least busy week from which a week without any is a change."""
MIN_STEADY_WEEKS = 4
"""Weeks that must have been seen to call a subject steady."""


def check_sources(
    dataset: Dataset, as_of: datetime, earlier: pa.Table, limits: Checks
) -> list[CheckResult]:
    """Check freshness and rows of every source, by what was known of it at ``as_of``.

    ``earlier`` are the SCORE_CHECKS of published nights before.
    """
    found = []
    for count in dataset.counts:
        found += [_check_freshness(count, as_of, limits)] if count.arrivals else []
        known = count.arrivals.before(as_of).total if count.arrivals else count.used
        # Who objects takes rows away from what is used, and none from the source.
        known += round(known * count.suppressed / max(count.used, 1))
        found.append(compare_row_count("rows", "", count.source, known, earlier, limits.rows))
    return [*found, *_check_suppressions(dataset.suppressed, earlier, limits.suppressed)]


def _check_suppressions(found: Suppression, earlier: pa.Table, limits: Limits) -> Iterator[CheckResult]:
    """Check that no suppression names far fewer ids than before, or is asked for no more: they would be scored."""
    own = earlier.filter(pc.equal(earlier["check"], SUPPRESSED_CHECK))
    for reason, ids in (dict.fromkeys(own["subject"].to_pylist(), 0) | found.listed_counts).items():
        check = compare_row_count(SUPPRESSED_CHECK, "", reason, ids, earlier, limits)
        more = check.verdict == "warn" and ids >= (check.warn or 0)
        yield replace(check, verdict="pass", message=None) if more else check


def _check_freshness(count: SourceCount, as_of: datetime, limits: Checks) -> CheckResult:
    arrivals = count.arrivals.before(as_of) if count.arrivals else None
    if arrivals is None or arrivals.newest is None:
        return CheckResult("freshness", "", count.source, None, None, None, "pass", "no row is known yet")
    age, pause = (as_of - arrivals.newest), arrivals.longest_regular_pause()
    text = (
        f"the newest row became known at {arrivals.newest.isoformat()}, {to_days(age):.1f} days before; "
        f"{to_days(pause):.1f} days are a usual pause"
    )
    found = judge_value("freshness", "", count.source, to_days(age) or 0.0, limits.freshness, text)
    if found.verdict == "warn" and age <= pause:
        return CheckResult(
            "freshness", "", count.source, found.observed, to_days(pause), found.stop, "pass"
        )
    return found


def compare_row_count(
    name: str,
    target: str,
    subject: str,
    rows: int,
    earlier: pa.Table,
    limits: Limits,
    noisy: bool = False,
) -> CheckResult:
    """Compare a number of rows with that of the nights before: what is missing warns or stops, a surplus only warns.

    Rows are missing against the larger of the newest night and the median. A surplus warns from the reciprocal of the
    stop limit on. With ``noisy`` three standard deviations of a count are forgiven. The limits of the check that is
    returned are numbers of rows.
    """
    mask = pc.and_(pc.equal(earlier["check"], name), pc.equal(earlier["subject"], subject))
    before = (
        earlier.filter(pc.and_(mask, pc.equal(earlier["target"], target)))["observed"]
        .drop_null()
        .to_pylist()
    )
    if not before:
        return CheckResult(
            name, target, subject, rows, None, None, "pass", "no earlier night to compare with"
        )
    expected = max(median(before), before[-1])
    slack = 3 * np.sqrt(expected) if noisy else 0.0
    lost, gained = (expected - slack - rows) / max(expected, 1), 1 - before[-1] / max(rows, 1)
    verdict: Verdict = decide_verdict(lost, limits.warn, limits.stop)
    if (
        verdict == "pass"
        and limits.warn is not None
        and limits.stop is not None
        and gained > max(limits.stop, slack)
    ):
        verdict = "warn"
    text = (
        f"{rows:,} rows, {expected:,.0f} in the nights before ({rows / max(expected, 1) - 1:+.0%})"
    )
    warn, stop = (
        None if limit is None else max(expected * (1 - limit) - slack, 0.0)
        for limit in (limits.warn, limits.stop)
    )
    return CheckResult(
        name, target, subject, rows, warn, stop, verdict, text if verdict != "pass" else None
    )


def check_event_types(
    events: pa.Table, as_of: datetime, activity: EventVolume, known: Iterable[str], limits: Checks
) -> list[CheckResult]:
    """Check for event types, channels and amounts that fell silent for a week, and for new ones.

    ``known`` are subjects, as ``EventVolume`` names them, that the model knows beyond those of its last weeks.
    """
    if not activity.total:
        return [pass_unchecked("gone_types", "", "there were no events to learn from")]
    tonight = {subject: int(rows[0]) for subject, rows in count_weekly_events(events, as_of, 1).items()}
    gone = [
        judge_value("gone_types", "", subject, _compute_share(subject, activity.total), limits.gone_types, text)
        for subject, least in activity.weekly_min.items()
        if activity.weeks >= MIN_STEADY_WEEKS and least >= MIN_STEADY_EVENTS and not tonight.get(subject)
        for text in [
            f"none in the last 7 days; at least {least:,} in each of the {activity.weeks} weeks learnt from"
        ]
    ]
    strange = set(tonight) - set(activity.total) - set(known)
    new = [
        judge_value("new_types", "", subject, _compute_share(subject, tonight), limits.new_types, text)
        for subject in sorted(strange)
        for text in [f"{tonight[subject]:,} in the last 7 days; the model has not learnt from any"]
    ]
    steady = len([subject for subject, least in activity.weekly_min.items() if least >= MIN_STEADY_EVENTS])
    silent = report_worst("gone_types", "", gone, limits.gone_types, f"silent, {steady} were steady")
    return [*silent, *report_worst("new_types", "", new, limits.new_types, "new beyond the limit")]


def _compute_share(subject: str, counts: dict[str, int]) -> float:
    kind = subject.partition(" ")[0]
    return counts[subject] / max(
        sum(rows for name, rows in counts.items() if name.partition(" ")[0] == kind), 1
    )
