"""Rows of TOUCH_HAZARD: the chance of a reply by touch number, channel and gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from models.touches.hazard import GAP_NAMES, TouchOutcomes, TouchRates
from models.touches.schemas import TOUCH_HAZARD


def build_hazard_table(
    outcomes: TouchOutcomes, channels: Sequence[str], min_at_risk: int
) -> pa.Table:
    """Return TOUCH_HAZARD: all touches, those of each channel, and those after each gap.

    All and each channel have a row over all numbers, and one per number that occurs; each gap has
    one over all numbers. Cells with fewer touches than ``min_at_risk`` have counts alone.
    """
    number, zeros = outcomes.number, np.zeros(len(outcomes.number), np.int64)
    rows = [
        *_list_cells(outcomes, ("all", ("all",)), zeros, (zeros, number), min_at_risk),
        *_list_cells(
            outcomes, ("channel", channels), outcomes.channel, (zeros, number), min_at_risk
        ),
        *_list_cells(outcomes, ("gap", GAP_NAMES), outcomes.gap, (zeros,), min_at_risk),
    ]
    return pa.Table.from_pylist(rows, schema=TOUCH_HAZARD)


def _list_cells(
    outcomes: TouchOutcomes,
    cut: tuple[str, Sequence[str]],
    value: np.ndarray,
    numbers: tuple[np.ndarray, ...],
    min_at_risk: int,
) -> Iterator[dict[str, object]]:
    """Yield the rows of a cut and its values, by the touch numbers of each of ``numbers``."""
    name, names = cut
    width = outcomes.number.max(initial=0) + 1
    cells = len(names) * width
    answered = outcomes.find_answered()
    parts = list[dict[str, object]]()
    for number in numbers:
        cell = np.where(value >= 0, value * width + number, -1)
        replies = outcomes.estimate_replies(cell, cells)
        opt_outs = outcomes.estimate_opt_outs(cell, cells)
        naive = outcomes.estimate_replies(np.where(answered, cell, -1), cells)
        for place in np.flatnonzero(replies.size).tolist():
            labels = {"cut": name, "value": names[place // width], "touch_no": place % width}
            is_enough = replies.size[place] >= min_at_risk
            parts.append(labels | _describe_cell((replies, opt_outs, naive), place, is_enough))
    yield from sorted(parts, key=lambda row: (names.index(row["value"]), row["touch_no"]))


def _describe_cell(
    rates: tuple[TouchRates, TouchRates, TouchRates], place: int, is_enough: bool
) -> dict[str, object]:
    """Return counts and shares of a cell: of replies, opt-outs, and replies looking back."""
    replies, opt_outs, naive = rates
    shares = {
        "hazard": replies.rate,
        "hazard_low": replies.low,
        "hazard_high": replies.high,
        "opt_out_rate": opt_outs.rate,
    }
    return {
        "at_risk": int(replies.size[place]),
        "replies": int(replies.count[place]),
        "opt_outs": int(opt_outs.count[place]),
        "naive": float(naive.rate[place]) if is_enough and naive.size[place] else None,
        **{key: float(values[place]) if is_enough else None for key, values in shares.items()},
    }
