"""Rows of the table ``segments``: the model of each segment, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.evaluation.metrics import Estimate
from models.evaluation.segment_kinds import SegmentModel, SegmentReason
from models.evaluation.sliced_metrics import MISSING, OTHERS
from models.segments.choice import (
    GLOBAL,
    NOT_COMPARED,
    SegmentDecision,
)
from models.segments.members import MAX_COMPARED, NO_SEGMENT, SegmentMembers

# Rows scored later whose value the training rows do not have.
UNSEEN = "(not in training)"
# All rows, where the segment cannot be used at all.
ALL = "(all)"
# Segments with a row of their own: all that can be compared, and as many that are too small.
MAX_LISTED = 2 * MAX_COMPARED

MODEL_WORDS: dict[SegmentModel, str] = {
    "global": "global",
    "recalibrated": "global, recalibrated",
    "own": "own",
}
WHY: dict[SegmentReason, str] = {
    "better": "lower log loss beyond noise",
    "not_better": "no lower log loss beyond noise",
    "unstable": "higher log loss in one of the windows",
    "too_few": "too few outcomes",
    "no_window": "no earlier test window to choose in",
    "rare": "rare values are not compared",
    "no_value": "no value",
    "unseen": "not in the training rows",
    "no_column": "the column is not among the features",
}


@dataclass(frozen=True)
class SegmentSize:
    """Numbers of rows of a segment.

    Attributes:
        n: Mature training rows.
        n_pos: Those with the outcome.
        n_validation: Rows of earlier test windows that the choice saw.
        n_pos_validation: Those with the outcome.
    """

    n: int
    n_pos: int
    n_validation: int
    n_pos_validation: int


NO_ROWS = SegmentSize(0, 0, 0, 0)


@dataclass(frozen=True)
class SegmentRow:
    """The model of one segment, or of the rows that belong to none.

    Attributes:
        segment: Value of the attribute, or in parentheses which rows these are.
        model: Model that predicts its leads.
        reason: Why, a key of WHY.
        size: Numbers of its rows.
        alternative: The alternative that ``gain`` is of; None where none was compared.
        gain: Log loss of the global model minus that of the alternative, in nats a row, on the rows
            that the choice saw; the interval is that of all comparisons together.
        test_gain: The same of the chosen model in the last test window, with its own 90 %
            interval; NaN for the global model.
    """

    segment: str
    model: SegmentModel
    reason: SegmentReason
    size: SegmentSize = NO_ROWS
    alternative: SegmentModel | None = None
    gain: Estimate = NOT_COMPARED
    test_gain: Estimate = NOT_COMPARED

    @property
    def why(self) -> str:
        """Return the reason in words."""
        words = WHY[self.reason]
        if self.reason in ("not_better", "unstable") and self.alternative:
            return f"{MODEL_WORDS[self.alternative]}: {words}"
        return words

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        gain, test = self.gain.to_json(), self.test_gain.to_json()
        return {
            "segment": self.segment,
            "model": self.model,
            **asdict(self.size),
            "alternative": self.alternative,
            "gain": gain["value"],
            "gain_low": gain["low"],
            "gain_high": gain["high"],
            "test_gain": test["value"],
            "test_gain_low": test["low"],
            "test_gain_high": test["high"],
            "why": self.why,
        }


@dataclass(frozen=True)
class SegmentLabels:
    """Labels of the training rows by segment.

    Attributes:
        members: Segments of the training rows.
        label: Label of each training row; -1 where it is immature.
        validation: Positions of the training rows that the choice saw.
    """

    members: SegmentMembers
    label: np.ndarray
    validation: np.ndarray

    def count_rows(self, is_member: np.ndarray) -> SegmentSize:
        """Return the numbers of the training rows of a mask."""
        seen = self.validation[is_member[self.validation]]
        masks = (
            is_member & (self.label >= 0),
            is_member & (self.label == 1),
            np.ones(len(seen), bool),
            self.label[seen] == 1,
        )
        return SegmentSize(*(int(mask.sum()) for mask in masks))


def list_segment_rows(
    labels: SegmentLabels,
    decisions: Mapping[str, SegmentDecision],
    test_gains: Mapping[str, Estimate],
) -> tuple[SegmentRow, ...]:
    """Return a row for each listed segment, then those of all rows that belong to none.

    ``decisions`` are those of the compared segments, ``test_gains`` those of segments that leave
    the global model.
    """
    members = labels.members
    listed = [*decisions, *(value for value in members.values if value not in decisions)]
    listed = sorted(listed[:MAX_LISTED], key=members.values.index)
    no_window = not len(labels.validation)
    rows = []
    for value in listed:
        decision = decisions.get(value, SegmentDecision(GLOBAL, "too_few"))
        size = labels.count_rows(members.code == members.values.index(value))
        rows.append(
            SegmentRow(
                value,
                decision.model,
                "no_window" if no_window and value in decisions else decision.reason,
                size,
                decision.alternative,
                decision.gain,
                test_gains.get(value, NOT_COMPARED),
            )
        )
    return (*rows, *_list_other_rows(labels, listed))


def _list_other_rows(labels: SegmentLabels, listed: list[str]) -> list[SegmentRow]:
    """Return the rows of values that are not listed, of missing ones, and of unseen ones."""
    members = labels.members
    rows = []
    if len(listed) < len(members.values):
        places = [members.values.index(value) for value in listed]
        others = (members.code != NO_SEGMENT) & ~np.isin(members.code, places)
        rows.append(SegmentRow(OTHERS, GLOBAL, "rare", labels.count_rows(others)))
    missing = labels.count_rows(members.code == NO_SEGMENT)
    if missing.n:
        rows.append(SegmentRow(MISSING, GLOBAL, "no_value", missing))
    return [*rows, SegmentRow(UNSEEN, GLOBAL, "unseen")]
