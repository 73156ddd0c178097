"""Chance of a reply, and of an opt-out, by touch number over the touches at risk.

The chance at a number is replies / touches at risk: the discrete hazard (Singer and Willett,
Journal of Educational Statistics 18, 1993). A sequence has one touch of a number, but leads of one
account answer together, so the 90 % interval is Wilson's with the effective number of touches:
their number over the design effect of the clusters (Kish 1965, by the linearised ratio), at least
1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.tools.instants import NEVER_US, US_PER_DAY
from models.calibration import compute_wilson_interval
from models.touches.sequences import TouchSequences

# Lower ends of classes of the time since the touch before, in days, and their names.
GAP_DAYS = (0, 3, 7, 14, 30)
GAP_NAMES = ("under 3 d", "3 to 7 d", "7 to 14 d", "14 to 30 d", "30 d or more")


@dataclass(frozen=True)
class TouchRates:
    """Shares of touches with an outcome, by cell.

    Attributes:
        size: Touches at risk of each cell, int64 (cells,).
        count: Those with the outcome, int64.
        rate: Their share, float64; NaN for an empty cell.
        low: Lower end of its 90 % interval.
        high: Upper end.
    """

    size: np.ndarray
    count: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class TouchOutcomes:
    """Mature touches at risk, and what came of them.

    Attributes:
        number: Touch number, not above the last one that is counted alone, int64 (touches,).
        channel: Number of the channel, int64.
        gap: Class of the time since the touch before, int64; -1 for a lead's first.
        sequence: Number of the sequence, int64.
        cluster: Number of the account, or of the lead without one, int64.
        replied: Whether a reply belongs to it.
        opted_out: Whether an opt-out belongs to it.
    """

    number: np.ndarray
    channel: np.ndarray
    gap: np.ndarray
    sequence: np.ndarray
    cluster: np.ndarray
    replied: np.ndarray
    opted_out: np.ndarray

    @classmethod
    def from_sequences(
        cls, sequences: TouchSequences, cluster_of_lead: np.ndarray, max_number: int
    ) -> TouchOutcomes:
        """Return the mature touches at risk; those from ``max_number`` on share a number."""
        rows = sequences.counted
        gap = np.searchsorted(np.array(GAP_DAYS) * US_PER_DAY, sequences.gap[rows], "right") - 1
        # NEVER_US marks a lead's first touch.
        is_first = sequences.gap[rows] == NEVER_US
        return cls(
            np.minimum(sequences.number[rows], max_number),
            sequences.channel[rows],
            np.where(is_first, -1, gap),
            sequences.sequence[rows],
            cluster_of_lead[sequences.lead[rows]],
            sequences.replied[rows],
            sequences.opted_out[rows],
        )

    def estimate_replies(self, cell: np.ndarray, cells: int) -> TouchRates:
        """Return the chance of a reply by cell; rows of a negative ``cell`` are left out."""
        return estimate_touch_rates(cell, self.replied, self.cluster, cells)

    def estimate_opt_outs(self, cell: np.ndarray, cells: int) -> TouchRates:
        """Return the chance of an opt-out by cell; rows of a negative ``cell`` are left out."""
        return estimate_touch_rates(cell, self.opted_out, self.cluster, cells)

    def find_answered(self) -> np.ndarray:
        """Return whether the sequence of each touch ended with a reply.

        The share of replies among these touches alone is the naive figure: it looks back from
        those who answered, and leaves out the touches of everybody else.
        """
        answered = np.zeros(self.sequence.max(initial=-1) + 1, bool)
        answered[self.sequence[self.replied]] = True
        result: np.ndarray = answered[self.sequence]
        return result


def estimate_touch_rates(
    cell: np.ndarray, outcome: np.ndarray, cluster: np.ndarray, cells: int
) -> TouchRates:
    """Return the share of rows with an outcome by cell, with its 90 % interval.

    ``cell`` and ``cluster`` are int64, ``outcome`` bool, one element per row; rows of a negative
    cell are left out.
    """
    used = cell >= 0
    cell, outcome, cluster = cell[used], outcome[used], cluster[used]
    size = np.bincount(cell, minlength=cells)
    count = np.bincount(cell, outcome, cells).astype(np.int64)
    rate = np.full(cells, np.nan)
    np.divide(count, size, out=rate, where=size > 0)
    effective = size / _find_design_effects(cell, outcome, cluster, rate, size)
    low, high = np.full(cells, np.nan), np.full(cells, np.nan)
    some = size > 0
    low[some], high[some] = compute_wilson_interval(rate[some], effective[some])
    return TouchRates(size, count, rate, np.clip(low, 0, 1), np.clip(high, 0, 1))


def _find_design_effects(
    cell: np.ndarray, outcome: np.ndarray, cluster: np.ndarray, rate: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """Return the variance of each share over that of independent rows, at least 1."""
    cells = len(size)
    # Of each cluster and cell: its surplus of outcomes over what the share predicts.
    units = cluster.max(initial=0) + 1
    groups, group = np.unique(cell * units + cluster, return_inverse=True)
    surplus = np.bincount(group, outcome - rate[cell], len(groups))
    own = groups // units
    clusters = np.bincount(own, minlength=cells)
    between = np.bincount(own, surplus**2, cells) * clusters / np.maximum(clusters - 1, 1)
    within = np.nan_to_num(size * rate * (1 - rate))
    effect = np.ones(cells)
    # Where none or all have the outcome nothing shows the effect: each cluster counts once.
    np.divide(between, within, out=effect, where=within > 0)
    flat = (within <= 0) & (clusters > 0)
    effect[flat] = size[flat] / clusters[flat]
    return np.maximum(effect, 1.0)
