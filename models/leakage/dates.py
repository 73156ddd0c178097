"""Rules for columns that hold dates.

A date is a number of days since 1970, which by itself only follows time. What it shows about the
outcome lies in its distance to the cutoff, to the creation of the lead and to other dates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from models.leakage.sample import AuditSample, SampleDates
from models.leakage.strength import AuditColumn, bin_filled

# Dates that are compared with each other: 190 pairs.
MAX_DATES = 20
# Dates carry no hour, and a time without an offset may be off by some hours.
MARGIN_DAYS = 1.0
# A column lies after the cutoff in so many rows, and in this share of the rows that have it.
MIN_LATER_ROWS, MIN_LATER_SHARE = 10, 0.1
# A planned date lies after the as-of in this share of the rows where its usual distance from the
# creation says so; with fewer expected rows than these it cannot be distinguished.
MIN_PLANNED_SHARE, MIN_PLANNED_ROWS = 0.3, 5.0
# As for a column alone: a strength of 0.6 leaves hardly anything open.
DECISIVE_DIFFERENCE_STRENGTH = 0.6


def find_dates_after_cutoff(
    sample: AuditSample, suspects: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find dates in the future of their row that are never in the future of the data.

    They record what had happened when the data was extracted. A planned date, such as the end of a
    contract, also lies after the as-of.
    """
    if sample.dates is None:
        return
    reference, name_of_reference = sample.dates.cutoff_day, "cutoff"
    if reference is None:
        reference, name_of_reference = sample.dates.created_day, "day in the order"
    for column in _list_dates(sample, sample.dates):
        distance = (column.values - reference)[column.filled]
        later = distance > MARGIN_DAYS
        if later.sum() < MIN_LATER_ROWS or later.mean() < MIN_LATER_SHARE:
            continue
        if not _is_planned(sample, sample.dates, column):
            yield (
                column.name,
                f"in {later.mean():.0%} of the rows that have it this date lies after the row's "
                f"{name_of_reference}, by {np.median(distance[later]):.0f} days in the median, and "
                f"hardly ever after the end of the data: it is written when it happens",
            )


def find_decisive_date_differences(
    sample: AuditSample, suspects: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find dates whose distance from the cutoff, the creation or another date decides the outcome.

    Of two dates the later one was written later. If only one of them is left out by the config, it
    is that one: the other says nothing by itself.
    """
    if sample.dates is None:
        return
    dates = [column for column in _list_dates(sample, sample.dates) if column.name not in suspects]
    references = {
        "its distance from the cutoff": sample.dates.cutoff_day,
        "its distance from the creation": sample.dates.created_day,
    }
    for column, (words, day) in itertools.product(dates, references.items()):
        strength = _measure_difference(sample, column.values - day) if day is not None else 0.0
        if strength >= DECISIVE_DIFFERENCE_STRENGTH:
            yield column.name, _describe_strength(words, strength)
    for left, right in itertools.combinations(dates, 2):
        strength = _measure_difference(sample, left.values - right.values)
        if strength >= DECISIVE_DIFFERENCE_STRENGTH:
            for column in _choose_later(sample, left, right):
                other = right if column is left else left
                yield column.name, _describe_strength(f"its distance from {other.name}", strength)


def _describe_strength(words: str, strength: float) -> str:
    return f"{words} alone reduces the log loss of the base rate by {strength:.0%}"


def _list_dates(sample: AuditSample, dates: SampleDates) -> list[AuditColumn]:
    """Return the date columns, those that are filled most first, at most 20."""
    columns = [sample.columns[name] for name in sorted(dates.names & set(sample.columns))]
    return sorted(columns, key=lambda column: -column.filled.mean())[:MAX_DATES]


def _measure_difference(sample: AuditSample, difference: np.ndarray) -> float:
    return sample.measure_alone(bin_filled(difference)) if not np.isnan(difference).all() else 0.0


def _choose_later(
    sample: AuditSample, left: AuditColumn, right: AuditColumn
) -> tuple[AuditColumn, ...]:
    out = [column for column in (left, right) if column.name in sample.left_out]
    if len(out) == 1:
        return (out[0],)
    difference = left.values - right.values
    middle = float(np.nanmean(np.sign(difference)))
    return (left, right) if middle == 0 else (left if middle > 0 else right,)


def _is_planned(sample: AuditSample, dates: SampleDates, column: AuditColumn) -> bool:
    """Return whether about as many values lie after the as-of as those of older leads suggest."""
    values, created = column.values, dates.created_day
    leads = sample.open_leads
    if leads is not None and leads.created_day is not None:
        values = np.concatenate([values, leads.columns[column.name].values])
        created = np.concatenate([created, leads.created_day])
    filled = ~np.isnan(values)
    values, created = values[filled], created[filled]
    ahead = np.sort((values - created)[values - created > 0])
    left = dates.as_of_day + MARGIN_DAYS - created
    expected = np.sum(1 - np.searchsorted(ahead, left, side="right") / max(len(ahead), 1))
    after = np.sum(values > dates.as_of_day + MARGIN_DAYS)
    return bool(expected >= MIN_PLANNED_ROWS and after >= MIN_PLANNED_SHARE * expected)
