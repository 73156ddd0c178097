"""A champion and today's features become a frame of scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.night import Capacity
from configs.targets import OutcomeAmount, Target
from features.build import build_features
from features.contracts import INSTANT, SCORES, SPINE, Dataset
from features.definitions.catalog import Catalog
from features.spine import scoring_spine
from features.tools.parallel import side_by_side
from features.wording.wording import Wording, english
from models.reference.fit_engagement import LEAD_ROW, SIDES, points
from models.scorer import Scorer
from serve.reasons.reasons import Teller, reasons
from serve.scoring.weekly_lists import owners_of

NO_REASONS = "[]"
HISTORY = {"previous_score", "previous_grade", "falling_since", "trend", "trend_7d", "trend_30d"}
UNKNOWN = HISTORY | {"listed", "review_at", "run_id", "scored_at"}
"""Columns of SCORES that only the run that publishes can fill."""
TOLD_OF = {"reasons", *SIDES}
"""Columns of SCORES that ``told`` gives."""

PIECE, TOLD = 50_000, 10_000
"""Rows predicted, and rows told, at once: no row's result depends on another, so that this changes memory alone."""


@dataclass(frozen=True)
class Order:
    """What to score: ``names`` gives project, target and model_version.

    ``told`` is the share of the rows, from the top, that are given reasons, ``wording`` the words of these.
    """

    target: Target
    as_of: datetime
    names: dict[str, str]
    told: float = 1.0
    capacity: Capacity | None = None
    wording: Wording = field(default_factory=english)


def rows_to_score(dataset: Dataset, scorer: Scorer, order: Order) -> pa.Table:
    """Return the feature matrix of the order's rows, one an entity of the target's scoring spine.

    The features are those of the scorer's own catalogue: those that it reads, and those that tell of evidence.
    """
    spine = scoring_spine(dataset, order.target, order.as_of)
    catalog = scorer.catalog
    return build_features(
        dataset, spine, catalog.keeping([*scorer.encoding.names, *_telling(catalog)])
    )


def score(dataset: Dataset, scorer: Scorer, order: Order, matrix: pa.Table) -> pa.Table:
    """Return the rows of SCORES of one target at one as-of, without UNKNOWN and TOLD_OF, ordered by rank.

    One row a row of ``matrix``, which ``rows_to_score`` returned. Rank 1 is the most probable, ties by entity_id.
    """
    catalog = scorer.catalog
    pieces = [matrix.slice(start, PIECE) for start in range(0, max(matrix.num_rows, 1), PIECE)]
    predicted = pa.concat_tables(list(side_by_side(scorer.predict, pieces)))
    lead = pa.array(dataset.lead_of(predicted["entity_id"]))
    probability = predicted["probability"].to_numpy()
    columns = {name: _constant(text, predicted, pa.string()) for name, text in order.names.items()}
    columns |= {
        name: predicted[name]
        for name in ("entity_id", "probability", "probability_low", "probability_high")
    }
    columns |= {
        name: predicted[name] for name in ("score", "grade", "outcome_days_50", "outcome_days_80")
    }
    columns["owner"] = owners_of(dataset, order.capacity, lead)
    columns["account_id"] = dataset.leads["account_id"].take(lead)
    columns["as_of"] = _constant(order.as_of, predicted, INSTANT)
    # Without times a cutoff only carries the order of the rows: it is no instant to tell anyone.
    columns["cutoff"] = predicted["cutoff"] if dataset.timed else columns["as_of"]
    columns["rank"], columns["percentile"] = _standing(probability, lead.to_numpy())
    columns["amount"] = _amount(dataset, order.target, lead, predicted)
    columns["expected_value"] = pc.multiply(columns["amount"], pa.array(probability))
    columns["evidence"] = _evidence(matrix, catalog)
    schema = pa.schema([field for field in SCORES if field.name not in UNKNOWN | TOLD_OF])
    ranked = pa.array(np.argsort(columns["rank"].to_numpy()))

    def in_order(field: pa.Field) -> pa.Array:
        return _plain(columns[field.name], field.type).take(ranked)

    return pa.table(list(side_by_side(in_order, schema)), schema=schema)


def stamped(rows: pa.Table, schema: pa.Schema, run_id: str, scored_at: datetime) -> pa.Table:
    """Complete rows to SCORES or ACCOUNT_SCORES, the ``schema``, with the run that publishes them."""
    rows = rows.append_column("run_id", _constant(run_id, rows, pa.string()))
    rows = rows.append_column("scored_at", _constant(scored_at, rows, INSTANT))
    return rows.select(schema.names).cast(schema)


def _constant(value: str | datetime, rows: pa.Table, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), rows.num_rows)


def told(scorer: Scorer, order: Order, matrix: pa.Table, frame: pa.Table) -> dict[str, pa.Array]:
    """Return reasons, fit and engagement of the rows of a ``frame`` that ``score`` made: of the order's share of them.

    The others, of lower rank, have an empty list, and null.
    """
    teller = Teller.of(scorer, order.wording)
    texts = np.full(frame.num_rows, NO_REASONS, object)
    sides = {side: np.zeros(frame.num_rows, np.int64) for side in SIDES}
    entities = frame["entity_id"].slice(0, math.ceil(order.told * frame.num_rows))
    place = pc.index_in(entities, value_set=matrix["entity_id"].combine_chunks()).combine_chunks()
    features = matrix.select([*SPINE.names, *scorer.encoding.names])

    def tell(start: int) -> None:
        piece = features.take(place.slice(start, TOLD))
        rows, parts = slice(start, start + piece.num_rows), scorer.explain(piece)
        for side, found in points(scorer, parts).items():
            sides[side][rows] = found
        texts[rows] = reasons(parts, piece.select(scorer.encoding.names), teller)

    # Words are made by the interpreter, contributions without it: one piece waits for the words of another.
    for _ in side_by_side(tell, range(0, len(place), TOLD)):
        pass
    known = {side: pa.array(found, pa.int64(), mask=found == 0) for side, found in sides.items()}
    return {"reasons": pa.array(texts, pa.string()), **known}


def _plain(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    merged = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return merged.cast(kind)


def _standing(probability: np.ndarray, lead: np.ndarray) -> tuple[pa.Array, pa.Array]:
    order = np.lexsort((lead, -probability))  # leads are numbered in the order of entity_id
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    below = np.searchsorted(np.sort(probability), probability, "right")
    return pa.array(rank), pa.array(100.0 * below / max(len(probability), 1))


def amounts(dataset: Dataset, target: Target, lead: pa.Array) -> pa.Array | None:
    """Return what an outcome of each lead (row numbers of ``leads``) is worth, float64, null where unknown.

    None where the target has no amount, or learns it; raises DataError for one that is no number.
    """
    if target.amount is None or isinstance(target.amount, OutcomeAmount):
        return None
    if isinstance(target.amount, float):
        return pa.array(np.full(len(lead), target.amount))
    if target.amount not in dataset.attributes or not pa.types.is_floating(
        dataset.leads[target.amount].type
    ):
        raise DataError(
            "the amount is not a number",
            where=f"amount: {target.amount}",
            fix="name a numeric attribute or a constant",
        )
    return dataset.leads[target.amount].take(lead).combine_chunks()


def _amount(dataset: Dataset, target: Target, lead: pa.Array, predicted: pa.Table) -> pa.Array:
    if target.learns_amount:
        return predicted["amount"].combine_chunks()
    amount = amounts(dataset, target, lead)
    return pa.nulls(len(lead), pa.float64()) if amount is None else amount


def attributes_of(catalog: Catalog) -> list[str]:
    """Return the features that are attributes of the lead."""
    return [feature.name for feature in catalog.features if feature.aggregate in LEAD_ROW]


def _telling(catalog: Catalog) -> list[str]:
    """Return the features that say whether anything is known of a lead."""
    return [
        *attributes_of(catalog),
        *(f.name for f in catalog.features if f.name == "any_count_all"),
    ]


def _evidence(matrix: pa.Table, catalog: Catalog) -> pa.Array:
    """Say “too little” where nothing at all is known: no event of the entity and no attribute."""
    known = np.zeros(matrix.num_rows, bool)
    for name in _telling(catalog):
        column = matrix[name]
        known |= (
            column.to_numpy() > 0
            if name == "any_count_all"
            else ~pc.is_null(column, nan_is_null=True).to_numpy()
        )
    return pa.array(np.where(known, "enough", "too little"), pa.string())
