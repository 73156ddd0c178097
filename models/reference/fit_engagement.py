"""Two sides of a score: fit, what is known of the lead itself, and engagement, what it and its account have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from features.definitions.feature import Feature
from models.encoding import evenly
from models.scorer import Scale, Scorer

LEAD_ROW = ("attribute", "dated")
"""Aggregates of the features that are attributes of the lead."""
SIDES = ("fit", "engagement")
ROWS = 5_000
"""Rows explained for the percentiles: each stands for a fiftieth of a point."""
META = "facets"


def side_of(feature: Feature) -> str | None:
    """Return the side that a feature belongs to; None for the age of a lead, which is neither."""
    if feature.scope == "lead":
        return "fit" if feature.aggregate in LEAD_ROW else None
    return "engagement"


def fitted(scorer: Scorer, matrix: pa.Table, rows: np.ndarray) -> dict[str, Any]:
    """Return the scales of both sides as JSON values: the percentiles of their sums over some rows of a matrix.

    Of more than ROWS rows an even sample is explained. A side of which the model reads no feature has no scale.
    """
    sample = matrix.take(pa.array(rows[evenly(len(rows), ROWS)]))
    return {
        side: asdict(Scale.fit(total))
        for side, total in _sums(scorer, scorer.explain(sample)).items()
    }


def points(scorer: Scorer, contributions: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return 1 to 100 for each row of both sides, as far as the scorer keeps their scales; none of an older model's.

    ``contributions`` is what ``Scorer.explain`` returned. Contributions to log-odds may be added (Lundberg & Lee 2017,
    https://arxiv.org/abs/1705.07874); the map is the percentile among the rows that the model learnt from, and so
    monotone and frozen with the model.
    """
    kept = scorer.meta.get(META, {})
    sums = _sums(scorer, contributions)
    return {
        side: Scale(**kept[side]).score(sums[side])
        for side in SIDES
        if side in kept and side in sums
    }


def _sums(scorer: Scorer, contributions: np.ndarray) -> dict[str, np.ndarray]:
    sides = {feature.name: side_of(feature) for feature in scorer.catalog.features}
    own = np.array([sides[name] for name in scorer.encoding.names], dtype=object)
    return {
        side: contributions[:, :-1][:, own == side].sum(axis=1)
        for side in SIDES
        if (own == side).any()
    }
