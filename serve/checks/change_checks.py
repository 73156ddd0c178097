"""Checks of what changed since the last nights: past rows, new rows, and the scores of leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.checks import Checks
from features.arrivals import Arrivals
from features.contracts import SourceCount
from serve.checks.checks import CheckResult, judge_value, pass_unchecked
from serve.checks.score_checks import MAX_COMPARED_AGE, MIN_COMPARED_LEADS

# Fewest earlier nights whose smallest or largest value says what is normal.
MIN_EARLIER_NIGHTS = 3
# A source with fewer new rows on its quietest night may have none by chance.
MIN_NEW_ROWS = 5
# Points of a score from 1 to 100: nights on which scores hardly move are compared with this.
MIN_TYPICAL_CHANGE = 0.5
DAY = timedelta(days=1)
# A quarter of a year: where clocks change, the mean moves by an hour over all of it.
RECENT_DAYS, QUARTERS_PER_DAY = 90, 96
# Fewer rows, or rows spread over the whole day, have no mean time of day.
MIN_RECENT_ROWS, MIN_CONCENTRATION = 30, 0.2


def check_past_rows(
    count: SourceCount, as_of: datetime, earlier: pa.Table, limits: Checks
) -> Iterator[CheckResult]:
    """Check a source's rows from before the last night, and its rows of the last day.

    The rows known before the last night's as-of should be those that this night had: fewer were
    deleted or cut off, more were added with old dates. The newest of them should not be older than
    the newest that the night had: such a file may be that of an earlier night. ``earlier`` holds
    SCORE_CHECKS of earlier nights, ascending. A source without times is not checked.
    """
    if count.arrivals is None:
        return
    # Suppressed leads reduce the rows used, but not the rows of the source.
    whole = 1 + count.suppressed / max(count.used, 1)
    last = _select_past(earlier, "rows", "", count.source)
    if last.num_rows and last["as_of"][-1].as_py() < as_of:
        at, before = last["as_of"][-1].as_py(), last["observed"][-1].as_py()
        now = round(count.arrivals.before(at).total * whole)
        text = (
            f"{now:,} rows from before {at.isoformat()}, {before:,.0f} on that night "
            f"({now / max(before, 1) - 1:+.1%})"
        )
        share = abs(now - before) / max(before, 1)
        result = judge_value("history", "", count.source, share, limits.history, text)
        newest = _find_newest_row(count.source, earlier)
        if result.verdict == "pass" and limits.history.warn is not None and newest is not None:
            result = _judge_newest_row(result, count.arrivals.before(at), newest)
        yield result
    new = count.arrivals.before(as_of).total - count.arrivals.before(as_of - DAY).total
    yield _judge_new_rows(count.source, new, earlier, limits)
    yield _judge_time_of_day(count, as_of, earlier, limits)


def _find_newest_row(source: str, earlier: pa.Table) -> datetime | None:
    """Return when the newest row of a source became known, as the last night saw it."""
    past = _select_past(earlier, "freshness", "", source)
    if not past.num_rows:
        return None
    # The check of freshness keeps the age of the newest row in days.
    return past["as_of"][-1].as_py() - DAY * past["observed"][-1].as_py()


def _judge_newest_row(result: CheckResult, known: Arrivals, newest: datetime) -> CheckResult:
    """Return the result with a warning if the ``known`` rows lack the ``newest`` of last night."""
    # Arrivals are counted by a quarter of an hour, and an age in days is rounded.
    if known.newest is not None and known.newest >= newest - timedelta(minutes=1):
        return result
    shown = "no row" if known.newest is None else known.newest.isoformat()
    text = f"the newest row is of {shown}, on the last night it was of {newest.isoformat()}"
    return replace(result, verdict="warn", message=text)


def _judge_time_of_day(
    count: SourceCount, as_of: datetime, earlier: pa.Table, limits: Checks
) -> CheckResult:
    """Compare the mean time of day of a source's recent rows with that of the last night.

    It is the circular mean (Mardia and Jupp, "Directional Statistics", 2000) in hours UTC. Times
    that are all read in another zone keep their number and order, but not their time of day.
    """
    hour = _mean_time_of_day(count.arrivals, as_of) if count.arrivals else None
    if hour is None:
        reason = "too few rows, or rows all around the clock"
        # With its source: in SCORE_CHECKS a subject has one row for each check.
        return replace(pass_unchecked("time_of_day", "", reason), subject=count.source)
    past = _select_past(earlier, "time_of_day", "", count.source)
    limit = limits.time_of_day.warn
    shift = None
    if past.num_rows and as_of - past["as_of"][-1].as_py() <= MAX_COMPARED_AGE:
        shift = (hour - past["observed"][-1].as_py() + 12) % 24 - 12
    result = CheckResult("time_of_day", "", count.source, hour, None, None, "pass")
    if shift is None or limit is None or abs(shift) <= limit:
        return result
    text = (
        f"the rows of the last {RECENT_DAYS} days are {shift:+.1f} hours away from their time of "
        "day on the last night"
    )
    return replace(result, verdict="warn", message=text)


def _mean_time_of_day(arrivals: Arrivals, as_of: datetime) -> float | None:
    """Return the circular mean hour (UTC) of recent arrivals; None if it has no meaning."""
    recent = arrivals.before(as_of)
    keep = recent.quarters >= int(as_of.timestamp()) // 900 - RECENT_DAYS * QUARTERS_PER_DAY
    rows, total = recent.rows[keep], int(recent.rows[keep].sum())
    angle = 2j * np.pi * (recent.quarters[keep] % QUARTERS_PER_DAY) / QUARTERS_PER_DAY
    mean = (rows * np.exp(angle)).sum() / max(total, 1)
    if total < MIN_RECENT_ROWS or abs(mean) < MIN_CONCENTRATION:
        return None
    return float(np.angle(mean) / (2 * np.pi) * 24 % 24)


def _judge_new_rows(source: str, new: int, earlier: pa.Table, limits: Checks) -> CheckResult:
    """Compare the rows of the last day with the fewest of the earlier nights."""
    past = _select_past(earlier, "new_rows", "", source)["observed"].to_pylist()
    fewest = min(past, default=0)
    limit = limits.new_rows.warn
    enough = len(past) >= MIN_EARLIER_NIGHTS and fewest >= MIN_NEW_ROWS
    is_low = enough and limit is not None and (fewest - new) / fewest >= limit
    text = f"{new:,} rows in the last day, at least {fewest:,.0f} on {len(past)} earlier nights"
    warn = fewest * (1 - limit) if enough and limit is not None else None
    return CheckResult(
        "new_rows",
        "",
        source,
        new,
        warn,
        None,
        "warn" if is_low else "pass",
        text if is_low else None,
    )


def check_score_changes(
    target: str, frame: pa.Table, ago: timedelta | None, earlier: pa.Table, limits: Checks
) -> CheckResult:
    """Check the mean change of the scores since the last night against that of earlier nights.

    Leads scored on both nights count. ``frame`` needs score and previous_score, ``ago`` is the
    distance to the last night, None if there is none. Values of an attribute that were exchanged
    or rescaled move scores though their distribution stays.
    """
    if ago is None or ago > MAX_COMPARED_AGE:
        return pass_unchecked("changed", target, "there is no recent night to compare with")
    both = frame.filter(pc.is_valid(frame["previous_score"]))
    if both.num_rows < MIN_COMPARED_LEADS:
        return pass_unchecked("changed", target, "too few leads were scored on both nights")
    change = pc.mean(pc.abs(pc.subtract(both["score"], both["previous_score"]))).as_py()
    past = _select_past(earlier, "changed", target, "")["observed"].to_pylist()
    if len(past) < MIN_EARLIER_NIGHTS - 1:
        text = "too few earlier nights to compare with"
        return CheckResult("changed", target, "", change, None, None, "pass", text)
    typical = max(*past, MIN_TYPICAL_CHANGE)
    ratio, limit = change / typical, limits.changed.warn
    text = (
        f"scores differ by {change:.1f} points from the last night on average, by at most "
        f"{max(past):.1f} on {len(past)} earlier nights"
    )
    warns = limit is not None and ratio > limit
    threshold = None if limit is None else typical * limit
    return CheckResult(
        "changed",
        target,
        "",
        change,
        threshold,
        None,
        "warn" if warns else "pass",
        text if warns else None,
    )


def _select_past(earlier: pa.Table, check: str, target: str, subject: str) -> pa.Table:
    """Return the results of a check on earlier nights that have an observed value."""
    mask = pc.and_(pc.equal(earlier["check"], check), pc.equal(earlier["subject"], subject))
    mask = pc.and_(mask, pc.equal(earlier["target"], target))
    return earlier.filter(pc.and_(mask, pc.is_valid(earlier["observed"])))
