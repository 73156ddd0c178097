"""Reference of a training that nights are compared with: score rows, event volume, amounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import Target
from features.contracts import INSTANT
from features.definitions.feature import Feature
from features.spine import build_scoring_spine
from features.tools.instants import WEEK
from models.accounts import WithinAccountDependence
from models.encoding import sample_evenly
from models.reference.event_volume import EventVolume
from models.reference.feature_distribution import (
    MAX_ROWS,
    TrainingDistribution,
    select_monitored_features,
)
from models.reference.fit_engagement import fit_side_scales
from models.reference.typical_lead import TypicalLead
from models.training.results import TrainResult
from pipelines.training.amounts import fit_amount_model
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.scoring import list_lead_attributes

# Parts of the training rows in time order, so that drift within the training is known too.
SLICE_COUNT = 4
# Aggregates that follow the day of the week: on a Monday every silence lasts two days or longer.
CALENDAR_AGGREGATES = ("last_hour", "created_hour", "silence")


def attach_reference_profile(
    trained: TrainResult, snapshot: Snapshot, target: str, rows: TrainingRows
) -> TrainResult:
    """Return the training with a scorer that holds the reference for nights and the amount model.

    The reference is part of the scorer's metadata: feature distribution, fit and engagement scales,
    medians, dependence within accounts, and event volume for data with times.
    """
    scorer = trained.scorer
    features = rows.catalog.features
    weights = select_monitored_features(
        scorer,
        rows.matrix,
        list_lead_attributes(rows.catalog),
        [f.name for f in features if _follows_weekday(f)],
    )
    slices = slice_training_rows(snapshot, snapshot.project.target_config(target), rows)
    test_slices = _slice_evaluation_rows(trained.out_of_time, slices, rows.matrix)
    # The newest slice may have no rows where a target scores once after entry.
    last = next(part for part in reversed(slices) if len(part))
    latest = scorer.predict(rows.matrix.take(pa.array(last[sample_evenly(len(last), MAX_ROWS)])))
    days = frozenset(feature.name for feature in features if feature.meaning.unit == "days")
    population = TrainingDistribution.from_matrix(
        rows.matrix, slices, weights, scorer.encoding, test_slices, latest, days
    )
    metadata = replace(
        scorer.metadata,
        feature_distribution=population.to_json(),
        fit_engagement=fit_side_scales(scorer, rows.matrix, np.concatenate(slices)),
        typical_lead=TypicalLead.from_matrix(scorer, rows.matrix, features).to_json(),
        within_account=fit_account_dependence(snapshot, target, trained.out_of_time).to_json(),
    )
    if snapshot.dataset.timed:
        volume = EventVolume.from_events(snapshot.dataset.events, snapshot.as_of)
        metadata = replace(metadata, event_volume=volume.to_json())
    amount_model = fit_amount_model(snapshot, target, rows, scorer.encoding)
    return replace(trained, scorer=replace(scorer, metadata=metadata, amount_model=amount_model))


def fit_account_dependence(
    snapshot: Snapshot, target: str, out_of_time: pa.Table
) -> WithinAccountDependence:
    """Return the dependence of outcomes within accounts, fitted on out-of-time rows.

    Only rows with an account are used. A group is the rows of an account at one cutoff; where each
    entity has its own cutoff, those of one fold.
    """
    cutoffs = snapshot.project.target_config(target).cutoffs
    own_cutoffs = not snapshot.project.timed or (cutoffs is not None and cutoffs.delay is not None)
    lead = pa.array(snapshot.dataset.find_leads(out_of_time["entity_id"]))
    account = snapshot.dataset.leads["account_id"].take(lead)
    rows = out_of_time.append_column("account_id", account).filter(pc.is_valid(account))
    instant = rows["fold"] if own_cutoffs else rows["cutoff"].cast(pa.int64())
    columns = (rows["account_id"].to_numpy(), instant.to_numpy(), rows["probability"].to_numpy())
    return WithinAccountDependence.fit(*columns, rows["label"].to_numpy())


def _follows_weekday(feature: Feature) -> bool:
    """Return whether a feature follows the day of the week.

    Cutoffs of a grid may all be Mondays; nights are not.
    """
    return feature.aggregate in CALENDAR_AGGREGATES or (
        feature.span is not None and feature.span < WEEK
    )


def slice_training_rows(
    snapshot: Snapshot, target_config: Target, rows: TrainingRows
) -> list[np.ndarray]:
    """Return the training rows that resemble scored rows, in SLICE_COUNT parts by time.

    All rows of a grid of cutoffs do. A target that scores once after entry publishes open entities
    only: a slice then is the entities that a night would have published, at the as-of, one horizon
    before it, and so on.
    """
    if target_config.cutoffs is None or target_config.cutoffs.delay is None:
        return np.array_split(
            np.argsort(pc.cast(rows.matrix["cutoff"], pa.int64()).to_numpy(), kind="stable"),
            SLICE_COUNT,
        )
    ids, slices = rows.matrix["entity_id"].combine_chunks(), []
    for back in reversed(range(SLICE_COUNT)):
        night = snapshot.as_of - back * (target_config.horizon or timedelta(0))
        spine = build_scoring_spine(snapshot.dataset.cut_at(night), target_config, night)
        slices.append(pc.index_in(spine["entity_id"], value_set=ids).drop_null().to_numpy())
    return slices if any(map(len, slices)) else [np.arange(rows.matrix.num_rows)]


def _slice_evaluation_rows(
    out_of_time: pa.Table, slices: list[np.ndarray], matrix: pa.Table
) -> list[pa.Table]:
    """Return the out-of-time rows that are in a slice, in SLICE_COUNT parts by cutoff.

    Without such rows, return all out-of-time rows.
    """
    score_like = matrix.select(["entity_id", "cutoff"]).take(
        pa.array(np.unique(np.concatenate(slices)))
    )
    table = out_of_time.select(["entity_id", "cutoff", "probability"])
    table = table.set_column(1, "cutoff", pc.cast(table["cutoff"], INSTANT))
    matches = table.join(score_like, ["entity_id", "cutoff"], join_type="left semi")
    # A join returns rows in any order, so they are sorted by the whole key.
    table = (matches if len(matches) else table).sort_by(
        [("cutoff", "ascending"), ("entity_id", "ascending")]
    )
    return [
        table.take(pa.array(part)) for part in np.array_split(np.arange(len(table)), SLICE_COUNT)
    ]
