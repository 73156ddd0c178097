"""The rule for columns with far more information of their own than any other column has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from models.leakage.sample import AuditSample
from models.leakage.strength import AuditColumn, measure_joint_strength

# A suspect explains this share of what the other columns leave open. On seven public data sets
# honest columns explain at most 0.17 of it, columns that were written later 0.34 and more.
MIN_UNIQUE_SHARE = 0.25
# Leaving it out costs so many times what leaving out any other column costs.
MIN_UNIQUE_RATIO = 4.0
# The strongest columns, which are left out in turn; each costs the training of a model.
MAX_LEFT_OUT = 6
# Columns, and dated features, that each model is trained on.
MAX_COMPARED = 30
# Columns of less strength of their own are not examined.
MIN_STANDOUT_STRENGTH = 0.1
# Columns whose rates correlate more are copies and are left out together.
MIN_COPY_CORRELATION = 0.95


def find_standouts(sample: AuditSample, suspects: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find columns whose own information exceeds that of any other, and of all dated features.

    A column's own information is the joint strength that is lost when it is left out together with
    its copies. The place in time is among the other columns, so a column that only stands for a
    season or a market does not stand out. The search is done without the suspects found so far, and
    repeated without each column found, since one leak hides the next.
    """
    order = _make_order_column(sample)
    left = [c for c in sample.columns_by_strength(0.0) if c.name not in suspects][:MAX_COMPARED]
    while left and sample.strengths[left[0].name] >= MIN_STANDOUT_STRENGTH:
        joint = _measure_columns(sample, [*left, *sample.dated, *order])
        of_dated = joint - _measure_columns(sample, [*left, *order]) if sample.dated else 0.0
        lost = {
            column.name: joint
            - _measure_columns(sample, _columns_without(sample, left, column, order))
            for column in left[:MAX_LEFT_OUT]
        }
        name = max(lost, key=lambda candidate: lost[candidate])
        copies = _find_copies(sample, left, name)
        second = max((loss for other, loss in lost.items() if other not in copies), default=0.0)
        explained = lost[name] / (1 - joint + lost[name])
        if explained < MIN_UNIQUE_SHARE or lost[name] < max(MIN_UNIQUE_RATIO * second, of_dated):
            return
        evidence = (
            f"without it the log loss rises by {lost[name]:.0%} of the base rate's, without any "
            f"other column by at most {max(second, 0):.1%}: it explains {explained:.0%} of what "
            f"all others leave open"
        )
        yield from (
            (copy, evidence if copy == name else f"it duplicates {name}: {evidence}")
            for copy in sorted(copies)
        )
        left = [column for column in left if column.name not in copies]


def _make_order_column(sample: AuditSample) -> list[AuditColumn]:
    """Return the place in time as a column; an empty list where the order means nothing."""
    if sample.time_order is None:
        return []
    return [AuditColumn("", pa.array(sample.time_order), sample.time_order)]


def _columns_without(
    sample: AuditSample, left: list[AuditColumn], column: AuditColumn, order: list[AuditColumn]
) -> list[AuditColumn]:
    copies = _find_copies(sample, left, column.name)
    return [*(other for other in left if other.name not in copies), *sample.dated, *order]


def _measure_columns(sample: AuditSample, columns: list[AuditColumn]) -> float:
    return measure_joint_strength(columns, sample.label, sample.half) if columns else 0.0


def _find_copies(sample: AuditSample, left: list[AuditColumn], name: str) -> set[str]:
    """Return the column and those with nearly the same rates.

    Copies would hide each other if they were left out one by one.
    """
    rates = sample.rates[name]
    return {name} | {
        column.name
        for column in left
        if _correlate_rates(rates, sample.rates[column.name]) >= MIN_COPY_CORRELATION
    }


def _correlate_rates(left: np.ndarray, right: np.ndarray) -> float:
    if np.ptp(left) > 0 and np.ptp(right) > 0:
        return float(np.corrcoef(left, right)[0, 1])
    return 0.0
