"""Future activity: how much happens to an entity in the days after a cutoff."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from configs.targets import ColumnOutcome, Target
from features.build import build_features
from features.contracts import ACTIVITY_SPAN, INSTANT, SPINE, Dataset
from features.definitions.catalog import Catalog
from features.tools.instants import column_to_microseconds, duration_to_microseconds


def count_future_events(
    dataset: Dataset, spine: pa.Table, target: Target, unused: tuple[str, ...] = ()
) -> np.ndarray:
    """Return the events of each row's entity in ``[cutoff, cutoff + 7 days)``, float64 (rows,).

    A label and never a feature: it is complete 7 days after the cutoff, and holds the events that
    had become available by then. Events of the target's outcome do not count: they are a label of
    their own; nor do those of ``unused`` types. NaN in all rows for an outcome column, whose rows
    are not followed.
    """
    if isinstance(target.outcome, ColumnOutcome):
        return np.full(spine.num_rows, np.nan)
    # "Any" counts events of every type, whether the catalogue names it or not.
    catalog = Catalog(types=target.outcome_types, windows=(ACTIVITY_SPAN,), unused=unused)
    counts = [
        feature
        for feature in catalog.history_features
        if (feature.aggregate, feature.scope, feature.span) == ("count", "entity", ACTIVITY_SPAN)
    ]
    end = column_to_microseconds(spine["cutoff"]) + duration_to_microseconds(ACTIVITY_SPAN)
    ends = pa.table([spine["entity_id"], pa.array(end, INSTANT)], schema=SPINE)
    matrix = build_features(dataset, ends, catalog.select(f.name for f in counts))
    total = np.zeros(spine.num_rows)
    for feature in counts:
        events = matrix[feature.name].to_numpy()
        total += events if feature.subject == "any" else -events
    return total
