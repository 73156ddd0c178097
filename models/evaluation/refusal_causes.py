"""Likely causes of a refusal by the gate, each with evidence from the out-of-time rows and a fix.

A cause is named only where the data shows it beyond noise (1.645 standard errors, clustered) and
its size could explain a refusal. Several may be true at the same time; the first is the one whose
fix is the most specific.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from features.tools.instants import column_to_microseconds, from_microseconds
from models.calibration import Z90, compute_clustered_error
from models.clusters import number_clusters
from models.evaluation.metrics import evaluate_rows

# A rate that differs by less than a quarter explains no refusal: the gate accepts as much.
MIN_RATE_CHANGE = 1.25
# Volume that grew by less leaves earlier folds models of a similar size.
MIN_GROWTH = 3.0
# Below, the odds of the best and the worst leads are exaggerated (as for the gate's slope).
EXAGGERATING_SLOPE = 0.7
# Fewer outcomes on one side of a comparison show nothing.
MIN_OUTCOMES = 30
# Share of the latest fold's rows, its last ones, in which missing outcomes would show.
LATEST_SHARE = 0.25


@dataclass(frozen=True)
class RefusalCause:
    """A likely cause of a refusal.

    Attributes:
        name: The cause in a few words.
        evidence: What the data shows, with counts.
        fix: Advice how to resolve it.
    """

    name: str
    evidence: str
    fix: str

    @property
    def sentence(self) -> str:
        """Cause, evidence and fix in one line."""
        return f"likely cause: {self.name}: {self.evidence}; {self.fix}"

    def to_json(self) -> dict[str, str]:
        """Return the attributes."""
        return asdict(self)


@dataclass(frozen=True)
class _Rows:
    """Columns of out-of-time rows, one element per row.

    Attributes:
        label: 0 or 1.
        probability: Calibrated probability.
        uncalibrated: Probability before calibration.
        base_rate: Share of outcomes among the fold's train rows.
        cluster: Key of the rows that are not independent of each other.
        fold: Number of the fold.
        cutoff: Cutoff (int64 microseconds UTC).
    """

    label: np.ndarray
    probability: np.ndarray
    uncalibrated: np.ndarray
    base_rate: np.ndarray
    cluster: np.ndarray
    fold: np.ndarray
    cutoff: np.ndarray

    @property
    def is_latest_fold(self) -> np.ndarray:
        """Whether the row is in the latest fold."""
        return self.fold == self.fold.max()

    @property
    def has_order(self) -> bool:
        """Whether each fold lies after those before it; folds of unordered data do not."""
        folds = np.unique(self.fold)
        ends = [
            (self.cutoff[self.fold == k].min(), self.cutoff[self.fold == k].max()) for k in folds
        ]
        return len(folds) == 1 or all(a[1] < b[0] for a, b in itertools.pairwise(ends))


def find_refusal_causes(
    out_of_time: pa.Table, *, searched: bool = False
) -> tuple[RefusalCause, ...]:
    """Return the likely causes of a refusal on these OUT_OF_TIME rows, the most specific first.

    ``searched`` says that hyperparameters were searched for. There is none for a table without the
    columns fold, cutoff and uncalibrated, or without rows.
    """
    needed = {"fold", "cutoff", "uncalibrated", "base_rate"}
    if not needed <= set(out_of_time.column_names) or not out_of_time.num_rows:
        return ()
    rows = _Rows(
        label=np.asarray(out_of_time["label"]),
        probability=np.asarray(out_of_time["probability"]),
        uncalibrated=np.asarray(out_of_time["uncalibrated"]),
        base_rate=np.asarray(out_of_time["base_rate"]),
        cluster=number_clusters(out_of_time),
        fold=np.asarray(out_of_time["fold"]),
        cutoff=column_to_microseconds(out_of_time["cutoff"]),
    )
    causes: list[RefusalCause | None] = []
    if rows.has_order:
        causes = [_find_immature_end(rows), _find_rate_change(rows), _find_growth(rows)]
    causes.append(_find_exaggeration(rows, searched))
    return tuple(cause for cause in causes if cause)


def _find_immature_end(rows: _Rows) -> RefusalCause | None:
    """Return the cause that outcomes of the latest leads are still missing.

    The outcomes of the latest fold's last rows are compared with those expected of them, as
    predicted, and scaled by what came of the fold's rows before.
    """
    latest = rows.is_latest_fold
    instants = np.sort(rows.cutoff[latest])
    start = int(instants[int(len(instants) * (1 - LATEST_SHARE))])
    end, before = latest & (rows.cutoff >= start), latest & (rows.cutoff < start)
    came = int(rows.label[before].sum())
    if came < MIN_OUTCOMES:
        return None
    scale = came / float(rows.probability[before].sum())
    expected = rows.probability[end] * scale
    if not _is_lower(rows.label[end], expected, rows.cluster[end]):
        return None
    day = from_microseconds(start).date().isoformat()
    return RefusalCause(
        "the outcomes of the latest leads are incomplete",
        f"of {int(end.sum()):,} tested rows from {day} on {int(rows.label[end].sum()):,} have the "
        f"outcome, where {expected.sum():,.0f} are expected from the {int(before.sum()):,} rows "
        "before",
        "if outcomes reach the data late, set sources.complete_after (for an outcome column: "
        "outcome.mature_after) and train again",
    )


def _find_rate_change(rows: _Rows) -> RefusalCause | None:
    """Return the cause that the outcome rate of the latest fold is not that of its train rows."""
    latest = rows.is_latest_fold
    label, base, cluster = rows.label[latest], rows.base_rate[latest], rows.cluster[latest]
    if label.sum() < MIN_OUTCOMES:
        return None
    fell = _is_lower(label, base, cluster)
    if not fell and not _is_lower(base, label, cluster):
        return None
    return RefusalCause(
        f"the outcome rate {'fell' if fell else 'rose'}",
        f"{label.mean():.1%} in the latest fold ({len(label):,} rows), {base.mean():.1%} in the "
        "rows before it",
        "find out what changed (process, kinds of leads, meaning of the outcome), and weigh newer "
        "rows more with learning.recency_half_life, or begin later with observed_from",
    )


def _find_growth(rows: _Rows) -> RefusalCause | None:
    """Return the cause that volume grew, so that early folds were trained on few rows."""
    first, last = int(rows.fold.min()), int(rows.fold.max())
    counts = [int((rows.fold == fold).sum()) for fold in (first, last)]
    if counts[1] < MIN_GROWTH * counts[0]:
        return None
    return RefusalCause(
        "volume grew",
        f"fold {last} tests {counts[1]:,} rows and fold {first} {counts[0]:,} in a window of the "
        "same length, so models of earlier folds saw few rows",
        "choose a smaller evaluation.share, so that every fold trains on more of the new volume",
    )


def _find_exaggeration(rows: _Rows, searched: bool) -> RefusalCause | None:
    """Return the cause that the model is over-fitted: it exaggerates before calibration."""
    slope = evaluate_rows(
        rows.label, rows.uncalibrated, rows.cluster, stratum=rows.fold, replicates=100
    )["calibration_slope"]
    if not slope.high < EXAGGERATING_SLOPE:
        return None
    evidence = (
        f"before calibration the slope is {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f}), "
        "so differences between leads are exaggerated"
    )
    if searched:
        fix = "the parameters are those of learning.search: leave it out, or give it more trials"
        return RefusalCause("the search over-fitted", evidence, fix)
    fix = "provide a longer history, or fewer columns (features.families, columns that are ids)"
    return RefusalCause("the model over-fitted", evidence, fix)


def _is_lower(low: np.ndarray, high: np.ndarray, cluster: np.ndarray) -> bool:
    """Return whether ``low`` is less than ``high`` on average, by a quarter and beyond noise."""
    gap = high - low
    beyond_noise = gap.mean() > Z90 * compute_clustered_error(gap, cluster)
    return bool(beyond_noise and high.mean() > MIN_RATE_CHANGE * low.mean())
