"""A champion and today's features become a frame of scores."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.schema import Target
from features.build import build_features
from features.catalog import Catalog
from features.contracts import INSTANT, SCORES, Dataset
from features.spine import entity_codes, scoring_spine
from models.scorer import Scorer
from serve.reasons import reasons

UNKNOWN = {"previous_score", "trend", "run_id", "scored_at"}
"""Columns of SCORES that only the run that publishes can fill."""


def score(dataset: Dataset, target: Target, scorer: Scorer, as_of: datetime, names: dict[str, str]) -> pa.Table:
    """Return the rows of SCORES of one target at one as-of, without the columns UNKNOWN, ordered by rank.

    One row an entity of the target's scoring spine; the features are those of the scorer's own catalogue. ``names``
    gives project, target and model_version. Rank 1 is the most probable, ties by entity_id.
    """
    spine = scoring_spine(dataset, target, as_of)
    catalog = Catalog.from_json(scorer.meta["catalog"])
    matrix = build_features(dataset, spine, catalog.keeping([*scorer.encoding.names, *_telling(catalog)]))
    predicted = scorer.predict(matrix)
    lead = pa.array(entity_codes(spine["entity_id"], dataset.leads))
    probability = predicted["probability"].to_numpy()
    meanings = {feature.name: feature.meaning for feature in catalog.features}
    used = matrix.select(scorer.encoding.names)
    columns = {name: pa.array([text] * spine.num_rows, pa.string()) for name, text in names.items()}
    columns |= {name: predicted[name] for name in ("entity_id", "probability", "probability_low", "probability_high")}
    columns |= {name: predicted[name] for name in ("score", "grade", "outcome_days_50", "outcome_days_80")}
    columns["account_id"] = dataset.leads["account_id"].take(lead)
    columns["as_of"] = pa.array([as_of] * spine.num_rows, INSTANT)
    # Without times a cutoff only carries the order of the rows: it is no instant to tell anyone.
    columns["cutoff"] = predicted["cutoff"] if dataset.timed else columns["as_of"]
    columns["rank"], columns["percentile"] = _standing(probability, lead.to_numpy())
    columns["expected_value"] = _expected(dataset, target, lead, probability)
    columns["reasons"] = pa.array(reasons(scorer.explain(matrix), used, meanings), pa.string())
    columns["evidence"] = _evidence(matrix, catalog)
    schema = pa.schema([field for field in SCORES if field.name not in UNKNOWN])
    frame = pa.table([_plain(columns[field.name], field.type) for field in schema], schema=schema)
    return frame.sort_by("rank")


def with_history(frame: pa.Table, previous: pa.Table) -> pa.Table:
    """Add previous_score and trend from the scores of the last earlier as-of (entity_id, score)."""
    found = pc.index_in(frame["entity_id"], value_set=previous["entity_id"].combine_chunks())
    before = previous["score"].take(found)
    return frame.append_column("previous_score", before).append_column("trend", pc.subtract(frame["score"], before))


def stamped(frame: pa.Table, run_id: str, scored_at: datetime) -> pa.Table:
    """Complete a frame to SCORES with the run that publishes it."""
    frame = frame.append_column("run_id", pa.array([run_id] * frame.num_rows, pa.string()))
    frame = frame.append_column("scored_at", pa.array([scored_at] * frame.num_rows, INSTANT))
    return frame.select(SCORES.names).cast(SCORES)


def _plain(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    merged = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return merged.cast(kind)


def _standing(probability: np.ndarray, lead: np.ndarray) -> tuple[pa.Array, pa.Array]:
    order = np.lexsort((lead, -probability))  # leads are numbered in the order of entity_id
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    below = np.searchsorted(np.sort(probability), probability, "right")
    return pa.array(rank), pa.array(100.0 * below / max(len(probability), 1))


def _expected(dataset: Dataset, target: Target, lead: pa.Array, probability: np.ndarray) -> pa.Array:
    if target.amount is None:
        return pa.nulls(len(probability), pa.float64())
    if isinstance(target.amount, float):
        return pa.array(probability * target.amount)
    if target.amount not in dataset.attributes or not pa.types.is_floating(dataset.leads[target.amount].type):
        raise DataError(
            "the amount is not a number",
            where=f"amount: {target.amount}",
            mend="name a numeric attribute or a constant",
        )
    return pc.multiply(dataset.leads[target.amount].take(lead), pa.array(probability)).combine_chunks()


def _telling(catalog: Catalog) -> list[str]:
    """Return the features that say whether anything is known of a lead."""
    aggregates = ("attribute", "dated")
    return [f.name for f in catalog.features if f.aggregate in aggregates or f.name == "any_count_all"]


def _evidence(matrix: pa.Table, catalog: Catalog) -> pa.Array:
    """Say “too little” where nothing at all is known: no event of the entity and no attribute."""
    known = np.zeros(matrix.num_rows, bool)
    for name in _telling(catalog):
        column = matrix[name]
        known |= column.to_numpy() > 0 if name == "any_count_all" else ~pc.is_null(column, nan_is_null=True).to_numpy()
    return pa.array(np.where(known, "enough", "too little"), pa.string())
