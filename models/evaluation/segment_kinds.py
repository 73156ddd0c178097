"""Kinds of models that a segment may have, and the reasons for one of them."""

from __future__ import annotations

from typing import Literal

SegmentModel = Literal["global", "recalibrated", "own"]
SegmentReason = Literal[
    "better",
    "not_better",
    "unstable",
    "too_few",
    "no_window",
    "rare",
    "no_value",
    "unseen",
    "no_column",
]
