"""Scoring: feature matrix, predictions, ranks and reasons of the open leads of one target."""

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
from features.contracts import INSTANT, SPINE, Dataset
from features.definitions.catalog import Catalog
from features.score_tables import FUNNEL_COLUMNS, QUALIFICATION_COLUMNS, SCORES
from features.spine import build_scoring_spine
from features.tools.parallel import parallel_map
from features.wording.composition import name_only_type
from features.wording.wording import Wording, load_english
from models.grades import GRADE_BY_SCORE, GRADE_NAMES
from models.reference.fit_engagement import ATTRIBUTE_AGGREGATES, SIDES, score_sides
from models.scorer import Scorer
from serve.reasons.reasons import ReasonWriter, prepare_compositions, write_reasons
from serve.scoring.weekly_lists import look_up_owners

NO_REASONS = "[]"
HISTORY_COLUMNS = {
    "previous_score",
    "previous_grade",
    "falling_since",
    "trend",
    "trend_7d",
    "trend_30d",
}
# Only the publishing run can fill these columns of SCORES: they need the scores table, the run or
# its funnel.
PUBLISH_COLUMNS = {
    *HISTORY_COLUMNS,
    "listed",
    "review_at",
    *FUNNEL_COLUMNS,
    *QUALIFICATION_COLUMNS,
    "run_id",
    "scored_at",
}
# ``explain_rows`` fills these columns of SCORES.
EXPLANATION_COLUMNS = {"reasons", *SIDES}

PREDICTED_COLUMNS = (
    "entity_id",
    "probability",
    "probability_low",
    "probability_high",
    "score",
    "grade",
    "outcome_days_50",
    "outcome_days_80",
)

# No row's result depends on another row, so the batch sizes affect only the memory used.
PREDICT_BATCH_ROWS, EXPLAIN_BATCH_ROWS = 50_000, 10_000


@dataclass(frozen=True)
class ScoringRequest:
    """A target to be scored at one as-of.

    Attributes:
        target_config: Config of the target.
        as_of: Instant of the scores; only data available before it is used.
        name_columns: Values of the columns project, target and model_version.
        explained_share: Share of the rows, from rank 1 down, that get reasons (0 to 1).
        capacity: Capacity of the weekly lists; it names the owner column.
        wording: Language and nouns of the reasons.
    """

    target_config: Target
    as_of: datetime
    name_columns: dict[str, str]
    explained_share: float = 1.0
    capacity: Capacity | None = None
    wording: Wording = field(default_factory=load_english)


def build_scoring_matrix(dataset: Dataset, scorer: Scorer, request: ScoringRequest) -> pa.Table:
    """Return the feature matrix of a request, one row per entity of the target's scoring spine.

    It has the features of the scorer's own catalog that the model reads, and those that show
    whether anything is known of a lead.
    """
    spine = build_scoring_spine(dataset, request.target_config, request.as_of)
    catalog = scorer.catalog
    return build_features(
        dataset, spine, catalog.select([*scorer.encoding.names, *_list_evidence_features(catalog)])
    )


def score_matrix(
    dataset: Dataset, scorer: Scorer, request: ScoringRequest, matrix: pa.Table
) -> pa.Table:
    """Return SCORES of one target at one as-of, sorted by rank, one row per row of ``matrix``.

    ``matrix`` is the result of ``build_scoring_matrix``. Rank 1 is the most probable lead; ties
    are ranked by entity_id. PUBLISH_COLUMNS and EXPLANATION_COLUMNS are missing.
    """
    pieces = [
        matrix.slice(start, PREDICT_BATCH_ROWS)
        for start in range(0, max(matrix.num_rows, 1), PREDICT_BATCH_ROWS)
    ]
    predicted = pa.concat_tables(list(parallel_map(scorer.predict, pieces)))
    lead = pa.array(dataset.find_leads(predicted["entity_id"]))
    probability = predicted["probability"].to_numpy()
    columns = {
        name: _repeat_value(text, predicted, pa.string())
        for name, text in request.name_columns.items()
    }
    columns |= {name: predicted[name] for name in PREDICTED_COLUMNS}
    columns["owner"] = look_up_owners(dataset, request.capacity, lead)
    columns["account_id"] = dataset.leads["account_id"].take(lead)
    columns["as_of"] = _repeat_value(request.as_of, predicted, INSTANT)
    # In data without times a cutoff only encodes the order of the rows, so it is not published.
    columns["cutoff"] = predicted["cutoff"] if dataset.timed else columns["as_of"]
    columns["rank"], columns["percentile"] = _rank_rows(probability, lead.to_numpy())
    columns["amount"] = _choose_amounts(dataset, request.target_config, lead, predicted)
    columns["expected_value"] = pc.multiply(columns["amount"], pa.array(probability))
    columns["evidence"] = _assess_evidence(matrix, scorer, predicted)
    missing = PUBLISH_COLUMNS | EXPLANATION_COLUMNS
    schema = pa.schema([field for field in SCORES if field.name not in missing])
    order = pa.array(np.argsort(columns["rank"].to_numpy()))

    def sort_column(field: pa.Field) -> pa.Array:
        return _cast_column(columns[field.name], field.type).take(order)

    return pa.table(list(parallel_map(sort_column, schema)), schema=schema)


def stamp_run_columns(
    rows: pa.Table, schema: pa.Schema, run_id: str, scored_at: datetime
) -> pa.Table:
    """Return rows with run_id and scored_at, in ``schema``: SCORES or ACCOUNT_SCORES."""
    rows = rows.append_column("run_id", _repeat_value(run_id, rows, pa.string()))
    rows = rows.append_column("scored_at", _repeat_value(scored_at, rows, INSTANT))
    return rows.select(schema.names).cast(schema)


def _repeat_value(value: str | datetime, rows: pa.Table, kind: pa.DataType) -> pa.Array:
    """Return a column with the same value in each of the rows."""
    return pa.repeat(pa.scalar(value, kind), rows.num_rows)


def explain_rows(
    dataset: Dataset, scorer: Scorer, request: ScoringRequest, matrix: pa.Table, scores: pa.Table
) -> dict[str, pa.Array]:
    """Return reasons (JSON), fit and engagement, one value per row of ``scores``.

    ``scores`` is the result of ``score_matrix``. The request's share of the rows, from rank 1 down,
    is explained; the other rows get an empty list of reasons, and null.
    """
    wording = name_only_type(request.wording, scorer.catalog, dataset)
    writer = ReasonWriter.from_scorer(scorer, wording)
    texts = np.full(scores.num_rows, NO_REASONS, object)
    sides = {side: np.zeros(scores.num_rows, np.int64) for side in SIDES}
    entities = scores["entity_id"].slice(0, math.ceil(request.explained_share * scores.num_rows))
    place = pc.index_in(entities, value_set=matrix["entity_id"].combine_chunks()).combine_chunks()
    features = matrix.select([*SPINE.names, *scorer.encoding.names])
    spine = matrix.select(SPINE.names).take(place)
    compositions = prepare_compositions(dataset, spine, scorer, wording)
    # In the order of the log, so that a batch finds its events in few shards.
    order = np.arange(len(place)) if compositions is None else compositions.order_rows()

    def explain_batch(start: int) -> None:
        rows = order[start : start + EXPLAIN_BATCH_ROWS]
        piece = features.take(place.take(pa.array(rows)))
        parts = scorer.explain(piece)
        for side, values in score_sides(scorer, parts).items():
            sides[side][rows] = values
        texts[rows] = write_reasons(
            parts,
            piece.select(scorer.encoding.names),
            writer,
            compositions=None if compositions is None else compositions.take(rows),
        )

    # Contributions are computed without the interpreter lock, sentences with it: batches in threads
    # overlap the one with the other.
    for _ in parallel_map(explain_batch, range(0, len(place), EXPLAIN_BATCH_ROWS)):
        pass
    # Fit and engagement run from 1 to 100; 0 marks a row without them.
    side_columns = {
        side: pa.array(values, pa.int64(), mask=values == 0) for side, values in sides.items()
    }
    return {"reasons": pa.array(texts, pa.string()), **side_columns}


def _cast_column(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return a column as one array of a type."""
    merged = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return merged.cast(kind)


def _rank_rows(probability: np.ndarray, lead: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Return rank (1 is the most probable) and percentile (0 to 100) of each row."""
    # Lead numbers follow the order of entity_id, so they break ties as documented.
    order = np.lexsort((lead, -probability))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    below = np.searchsorted(np.sort(probability), probability, "right")
    return pa.array(rank), pa.array(100.0 * below / max(len(probability), 1))


def look_up_amounts(dataset: Dataset, target_config: Target, lead: pa.Array) -> pa.Array | None:
    """Return the configured amount of an outcome of each lead, float64; null if unknown.

    ``lead`` holds row numbers of the dataset's leads. Returns None if the target has no amount or
    learns it from outcome events.

    Raises DataError if the amount names a column that is not numeric, or not certainly.
    """
    if target_config.amount is None or isinstance(target_config.amount, OutcomeAmount):
        return None
    if isinstance(target_config.amount, float):
        return pa.array(np.full(len(lead), target_config.amount))
    dataset.readings.require_certain([target_config.amount])
    if target_config.amount not in dataset.attributes or not pa.types.is_floating(
        dataset.leads[target_config.amount].type
    ):
        raise DataError(
            "the amount is not a number",
            where=f"amount: {target_config.amount}",
            fix="name a numeric attribute or a constant",
        )
    return dataset.leads[target_config.amount].take(lead).combine_chunks()


def _choose_amounts(
    dataset: Dataset, target_config: Target, lead: pa.Array, predicted: pa.Table
) -> pa.Array:
    """Return the predicted amount if the target learns it, else the configured one."""
    if target_config.learns_amount:
        return predicted["amount"].combine_chunks()
    amount = look_up_amounts(dataset, target_config, lead)
    return pa.nulls(len(lead), pa.float64()) if amount is None else amount


def list_lead_attributes(catalog: Catalog) -> list[str]:
    """Return the names of the features that are attributes of the lead."""
    return [
        feature.name for feature in catalog.features if feature.aggregate in ATTRIBUTE_AGGREGATES
    ]


def _list_evidence_features(catalog: Catalog) -> list[str]:
    """Return the names of the features that show whether anything is known of a lead."""
    return [
        *list_lead_attributes(catalog),
        *(f.name for f in catalog.features if f.name == "any_count_all"),
    ]


def _assess_evidence(matrix: pa.Table, scorer: Scorer, predicted: pa.Table) -> pa.Array:
    """Return “too little” or “enough” for each row.

    Too little is known of a lead without any event and any attribute. Too little is also known
    where the interval of the probability reaches from the worst grade to the best, since the lead
    may then deserve any grade.
    """
    known = np.zeros(matrix.num_rows, bool)
    for name in _list_evidence_features(scorer.catalog):
        column = matrix[name]
        known |= (
            column.to_numpy() > 0
            if name == "any_count_all"
            else ~pc.is_null(column, nan_is_null=True).to_numpy()
        )
    low, high = (
        GRADE_BY_SCORE[scorer.scale.score(predicted[name].to_numpy())]
        for name in ("probability_low", "probability_high")
    )
    known &= (low != GRADE_NAMES[-1]) | (high != GRADE_NAMES[0])
    return pa.array(np.where(known, "enough", "too little"), pa.string())
