"""Checks of the sources before scoring: freshness, row counts, suppressions and event types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from serve.checks.change_checks import check_past_rows
from serve.checks.checks import (
    CheckResult,
    Verdict,
    decide_verdict,
    judge_value,
    pass_unchecked,
    report_worst,
    to_days,
)
from serve.checks.form_check import check_form
from serve.checks.source_counts import record_counts

SUPPRESSED_CHECK = "suppressed"
# Events in the least busy week; a subject with fewer may have none in a week by chance.
MIN_STEADY_EVENTS = 5
# Weeks of training data that must be covered before a subject counts as steady.
MIN_STEADY_WEEKS = 4


def check_sources(
    dataset: Dataset, as_of: datetime, earlier: pa.Table, limits: Checks
) -> list[CheckResult]:
    """Check freshness, row count, form and reading of every source, and the suppressions.

    Only rows available at ``as_of`` count, except in the counts of what became of the rows that
    were read. ``earlier`` holds SCORE_CHECKS of earlier published
    nights.
    """
    results = []
    for count in dataset.counts:
        results += [_check_freshness(count, as_of, limits)] if count.arrivals else []
        known = count.arrivals.before(as_of).total if count.arrivals else count.used
        # Suppressed leads reduce the rows used, but not the rows of the source.
        known += round(known * count.suppressed / max(count.used, 1))
        results.append(compare_row_count("rows", "", count.source, known, earlier, limits.rows))
        results += check_past_rows(count, as_of, earlier, limits)
        results += record_counts(count)
        results += check_form(count, earlier)
        results += _name_doubtful_readings(count.source, count.warnings)
    results += _name_doubtful_readings(SUPPRESSED_CHECK, dataset.suppressed.warnings)
    return [*results, *_check_suppressions(dataset.suppressed, earlier, limits.suppressed)]


def _name_doubtful_readings(subject: str, texts: Sequence[str]) -> Iterator[CheckResult]:
    """Yield one warning for each doubtful reading of a source.

    The second has the subject “leads (2)”: in SCORE_CHECKS a subject has one row for each check.
    """
    for number, text in enumerate(texts, 1):
        name = subject if number == 1 else f"{subject} ({number})"
        yield CheckResult("reading", "", name, None, None, None, "warn", text)


def _check_suppressions(
    suppression: Suppression, earlier: pa.Table, limits: Limits
) -> Iterator[CheckResult]:
    """Yield a check of each suppression list: its ids compared with earlier nights.

    A list that is no longer configured counts as empty. Leads missing from a list would be scored,
    so a shorter list warns or stops, and a longer one passes.
    """
    own = earlier.filter(pc.equal(earlier["check"], SUPPRESSED_CHECK))
    listed = dict.fromkeys(own["subject"].to_pylist(), 0) | suppression.listed_counts
    for reason, ids in listed.items():
        check = compare_row_count(SUPPRESSED_CHECK, "", reason, ids, earlier, limits)
        is_longer = check.verdict == "warn" and ids >= (check.warn or 0)
        yield replace(check, verdict="pass", message=None) if is_longer else check


def _check_freshness(count: SourceCount, as_of: datetime, limits: Checks) -> CheckResult:
    """Check the age of a source's newest row available at ``as_of``."""
    arrivals = count.arrivals.before(as_of) if count.arrivals else None
    if arrivals is None or arrivals.newest is None:
        return CheckResult(
            "freshness", "", count.source, None, None, None, "pass", "no row is available yet"
        )
    age, pause = (as_of - arrivals.newest), arrivals.longest_regular_pause()
    text = (
        f"the newest row became available at {arrivals.newest.isoformat()}, "
        f"{to_days(age):.1f} days before the as-of; a pause of {to_days(pause):.1f} days is normal"
    )
    result = judge_value("freshness", "", count.source, to_days(age) or 0.0, limits.freshness, text)
    # A source that is delivered weekly is not stale on the sixth day; a stop does not wait.
    if result.verdict == "warn" and age <= pause:
        return CheckResult(
            "freshness", "", count.source, result.observed, to_days(pause), result.stop, "pass"
        )
    return result


def compare_row_count(
    name: str,
    target: str,
    subject: str,
    rows: int,
    earlier: pa.Table,
    limits: Limits,
    noisy: bool = False,
) -> CheckResult:
    """Compare a row count with earlier nights: missing rows warn or stop, a surplus only warns.

    The expected count is the larger of the newest night's and the median. A surplus warns if the
    newest night has less than 1 - stop of the rows. With ``noisy``, three standard deviations of
    a Poisson count are tolerated. The limits of the result are row counts.
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
    # The median is too low for a source that grows, the newest night if that one was incomplete.
    expected = max(median(before), before[-1])
    # The number of leads varies by chance. The variance of a Poisson count is its mean.
    slack = 3 * np.sqrt(expected) if noisy else 0.0
    missing, surplus = (expected - slack - rows) / max(expected, 1), 1 - before[-1] / max(rows, 1)
    verdict: Verdict = decide_verdict(missing, limits.warn, limits.stop)
    if (
        verdict == "pass"
        and limits.warn is not None
        and limits.stop is not None
        and surplus > max(limits.stop, slack)
    ):
        verdict = "warn"
    change = rows / max(expected, 1) - 1
    text = f"{rows:,} rows, {expected:,.0f} on earlier nights ({change:+.0%})"
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
    """Check for event types, channels and amounts without events for a week, and for new ones.

    ``activity`` holds weekly counts of the training data. ``known`` names subjects, as EventVolume
    does, that the model knows beyond those of the last weeks of its training data.
    """
    if not activity.total:
        return [pass_unchecked("gone_types", "", "the training data has no events")]
    # A whole week, because Sundays are quiet.
    weekly = count_weekly_events(events, as_of, 1)
    current = {subject: int(rows[0]) for subject, rows in weekly.items()}
    results = [
        *_check_gone_types(current, activity, limits.gone_types),
        *_check_new_types(
            current, set(current) - set(activity.total) - set(known), limits.new_types
        ),
    ]
    return results


def _check_gone_types(
    current: dict[str, int], activity: EventVolume, limits: Limits
) -> list[CheckResult]:
    """Check for steady subjects without an event in ``current``, the counts of the last week."""
    steady = {
        subject: least
        for subject, least in activity.weekly_min.items()
        if least >= MIN_STEADY_EVENTS
    }
    gone = [subject for subject in steady if not current.get(subject)]
    results = [
        judge_value(
            "gone_types",
            "",
            subject,
            _compute_share(subject, activity.total),
            limits,
            f"none in the last 7 days; at least {steady[subject]:,} in each of the last "
            f"{activity.weeks} weeks of the training data",
        )
        for subject in (gone if activity.weeks >= MIN_STEADY_WEEKS else [])
    ]
    return report_worst(
        "gone_types", "", results, limits, f"silent subjects ({len(steady)} were steady)"
    )


def _check_new_types(
    current: dict[str, int], new_subjects: set[str], limits: Limits
) -> list[CheckResult]:
    """Check the share of the last week's events that belongs to each new subject."""
    results = [
        judge_value(
            "new_types",
            "",
            subject,
            _compute_share(subject, current),
            limits,
            f"{current[subject]:,} in the last 7 days; the model was trained without any",
        )
        for subject in sorted(new_subjects)
    ]
    return report_worst("new_types", "", results, limits, "new subjects")


def _compute_share(subject: str, counts: dict[str, int]) -> float:
    """Return a subject's share of all events of its kind: event type, channel or amount."""
    kind = subject.partition(" ")[0]
    return counts[subject] / max(
        sum(rows for name, rows in counts.items() if name.partition(" ")[0] == kind), 1
    )
