"""Fit and engagement: the two sides of a score.

Fit comes from attributes of the lead, engagement from events of the lead and its account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from features.definitions.feature import Feature
from models.encoding import sample_evenly
from models.scorer import Scorer, ScoreScale

# Aggregates of the features that are attributes of the lead.
ATTRIBUTE_AGGREGATES = ("attribute", "dated")
SIDES = ("fit", "engagement")
# Rows explained for the percentiles: 50 rows for each point of the 1-100 scale.
MAX_ROWS = 5_000


def classify_side(feature: Feature) -> str | None:
    """Return the side of a feature; None for the age of a lead, which is on neither."""
    if feature.scope == "lead":
        return "fit" if feature.aggregate in ATTRIBUTE_AGGREGATES else None
    return "engagement"


def fit_side_scales(scorer: Scorer, matrix: pa.Table, rows: np.ndarray) -> dict[str, Any]:
    """Return the scale of each side as JSON values.

    A scale holds the percentiles of the side's summed contributions over some rows of a feature
    matrix; of more than 5,000 rows an even sample is used. A side without a feature in the model
    has no scale.
    """
    sample = matrix.take(pa.array(rows[sample_evenly(len(rows), MAX_ROWS)]))
    return {
        side: ScoreScale.fit(total).to_json()
        for side, total in _sum_by_side(scorer, scorer.explain(sample)).items()
    }


def score_sides(scorer: Scorer, contributions: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return fit and engagement of each row, 1 to 100, for the sides with a stored scale.

    A model trained by an earlier version stores none. ``contributions`` is the result of
    ``Scorer.explain``, which may be summed, being in log-odds (Lundberg & Lee 2017,
    https://arxiv.org/abs/1705.07874). The points are percentiles among training rows, so the map is
    monotone and frozen with the model.
    """
    scales = scorer.metadata.fit_engagement or {}
    sums = _sum_by_side(scorer, contributions)
    return {
        side: ScoreScale.from_json(scales[side]).score(sums[side])
        for side in SIDES
        if side in scales and side in sums
    }


def _sum_by_side(scorer: Scorer, contributions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the summed contributions of each row, for the sides with a feature in the model."""
    sides = {feature.name: classify_side(feature) for feature in scorer.catalog.features}
    own = np.array([sides[name] for name in scorer.encoding.names], dtype=object)
    return {
        side: contributions[:, :-1][:, own == side].sum(axis=1)
        for side in SIDES
        if (own == side).any()
    }
