"""The rule for columns that are filled as a lead is worked.

Such a column may say nothing about which of the worked leads won: among rows with a label it is
always filled. It shows where these are compared with the leads to score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.leakage.sample import AuditSample, OpenLeads
from models.leakage.strength import AuditColumn

# Leads of each kind below which shares are not compared, in all and in one stratum of age.
MIN_COMPARED_LEADS, MIN_STRATUM_LEADS = 50, 10
# Leads to score are cut into so many strata by their creation.
MAX_STRATA = 10
# Odds of being filled are so many times those of leads of the same age to score, and the share is
# so much larger. Honest fields differ less: 95 % against 80 % are odds of 4.75.
MIN_ODDS_RATIO, MIN_FILL_GAP = 5.0, 0.15
# The same for values other than the most frequent one of the leads to score, such as 0 calls. An
# honest value may be frequent in them because such leads are seldom won, but it occurs elsewhere.
MIN_VALUE_ODDS_RATIO, MIN_VALUE_GAP = 50.0, 0.3
# Difference of the shares in standard errors: with few leads, chance alone reaches the bounds.
MIN_FILL_ERRORS = 4.0
# Where no lead with a label is as old as one to score, the shares differ by this much.
MIN_FILL_GAP_BY_AGE = 0.5


def find_filled_when_worked(
    sample: AuditSample, suspects: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find columns that leads with a label have far more often than those to score of their age.

    A column that is new in the source is filled in few old leads, of either kind, and one that is
    filled at entry in as many of both.
    """
    leads = sample.open_leads
    if leads is None:
        return
    labelled = np.flatnonzero(~leads.is_open)
    # The rows of a lead at several cutoffs all show its current values.
    labelled = labelled[np.unique(sample.entity[labelled], return_index=True)[1]]
    created = None if sample.created_us is None else sample.created_us[labelled]
    strata = _Strata.match(len(labelled), created, leads)
    if strata is None:
        return
    counts = f"{len(labelled):,} leads with a label", f"{len(strata.of_open):,} leads to score"
    # Counts of an account's people are no columns of a lead.
    of_leads = {name: c for name, c in sample.columns.items() if name in leads.columns}
    for name, column in of_leads.items():
        filled, filled_open = column.filled[labelled], leads.columns[name].filled
        if shares := strata.compare(filled, filled_open, strata.min_gap, MIN_ODDS_RATIO):
            yield (
                name,
                f"filled in {shares[0]:.1%} of {counts[0]} and in {shares[1]:.1%} of {counts[1]}"
                f"{strata.suffix}: it is filled as a lead is worked, so a lead to score lacks it",
            )
        elif strata.by_age and (value := _find_most_frequent(leads.columns[name])) is not None:
            other, other_open = (
                _mask_other_values(c, value) for c in (column, leads.columns[name])
            )
            if shares := strata.compare(
                other[labelled], other_open, MIN_VALUE_GAP, MIN_VALUE_ODDS_RATIO
            ):
                yield (
                    name,
                    f"it has the most frequent value of the leads to score in {1 - shares[1]:.1%} "
                    f"of {counts[1]} and in {1 - shares[0]:.1%} of {counts[0]} of the same age: it "
                    f"changes as a lead is worked",
                )


def _find_most_frequent(column: AuditColumn) -> object | None:
    """Return the most frequent value, ties by value; None if there is none."""
    counts = pc.value_counts(column.raw.filter(pa.array(column.filled))).to_pylist()
    ranked = sorted((-row["counts"], row["values"]) for row in counts)
    return ranked[0][1] if ranked else None


def _mask_other_values(column: AuditColumn, value: object) -> np.ndarray:
    """Return a mask of the rows without this value; missing ones lack it too."""
    same = pc.fill_null(pc.equal(column.raw, pa.scalar(value, column.raw.type)), False)
    return np.asarray(~same.to_numpy(zero_copy_only=False))


@dataclass(frozen=True)
class _Strata:
    """Leads with a label and leads to score, cut by their creation.

    Attributes:
        of_labelled: Stratum of each lead with a label, -1 for none.
        of_open: Stratum of each lead to score, -1 for none.
        weight: Share of the leads to score in each stratum.
        min_gap: Least difference of shares that names a column.
        suffix: What the leads of one stratum share, in words.
    """

    of_labelled: np.ndarray
    of_open: np.ndarray
    weight: np.ndarray
    min_gap: float
    suffix: str

    @classmethod
    def match(cls, labelled: int, created: np.ndarray | None, leads: OpenLeads) -> Self | None:
        """Return strata of equal age, or one of all leads; None with too few leads."""
        open_count = len(next(iter(leads.columns.values())).values) if leads.columns else 0
        if min(labelled, open_count) < MIN_COMPARED_LEADS:
            return None
        single = np.zeros(labelled, np.int64), np.zeros(open_count, np.int64)
        if created is None or leads.created_us is None:
            return cls(*single, np.ones(1), MIN_FILL_GAP, "")
        edges = np.unique(np.quantile(leads.created_us, np.arange(MAX_STRATA + 1) / MAX_STRATA))
        of_labelled, of_open = (
            _assign_strata(times, edges) for times in (created, leads.created_us)
        )
        counts = [np.bincount(of[of >= 0], minlength=len(edges)) for of in (of_labelled, of_open)]
        common = np.minimum(*counts) >= MIN_STRATUM_LEADS
        if min(counts[0][common].sum(), counts[1][common].sum()) < MIN_COMPARED_LEADS:
            return cls(*single, np.ones(1), MIN_FILL_GAP_BY_AGE, ", which are younger or older")
        weight = np.where(common, counts[1], 0) / counts[1][common].sum()
        return cls(of_labelled, of_open, weight, MIN_FILL_GAP, " of the same age")

    @property
    def by_age(self) -> bool:
        """Whether leads of one stratum were created at the same time."""
        return len(self.weight) > 1

    def compare(
        self, labelled: np.ndarray, to_score: np.ndarray, min_gap: float, min_odds_ratio: float
    ) -> tuple[float, float] | None:
        """Return the shares of two masks where the first is far larger, else None."""
        share, error = self.measure(labelled, self.of_labelled)
        share_open, error_open = self.measure(to_score, self.of_open)
        bound = max(min_gap, MIN_FILL_ERRORS * np.hypot(error, error_open))
        far = compute_odds(share) >= min_odds_ratio * compute_odds(share_open)
        return (share, share_open) if share - share_open >= bound and far else None

    def measure(self, filled: np.ndarray, stratum: np.ndarray) -> tuple[float, float]:
        """Return the share of filled values, weighted by stratum, and its standard error."""
        inside = stratum >= 0
        size = np.bincount(stratum[inside], minlength=len(self.weight))
        count = np.bincount(stratum[inside], filled[inside], minlength=len(self.weight))
        # Strata of no weight may be empty. Half a row on each side keeps the error above zero.
        share = count / np.maximum(size, 1)
        variance = (count + 0.5) * (size - count + 0.5) / (size + 1.0) ** 3
        error = np.sqrt(np.sum(self.weight**2 * variance))
        return float(np.sum(self.weight * share)), float(error)


def _assign_strata(times: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the stratum of each time, -1 outside the edges."""
    inside = (times >= edges[0]) & (times <= edges[-1])
    return np.where(inside, np.searchsorted(edges[1:-1], times, side="right"), -1)


def compute_odds(share: float) -> float:
    """Return the odds of a share, of at most 0.999, so that a full column has some."""
    bounded = min(max(share, 0.001), 0.999)
    return bounded / (1 - bounded)
