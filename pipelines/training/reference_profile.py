"""What a night is compared with: of the training, the rows that a night would have scored, and the log as it was."""

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

SLICE_COUNT = 4
CALENDAR_AGGREGATES = ("last_hour", "created_hour", "silence")
"""Aggregates that know the day of the week: on a Monday everyone has been silent for two days."""


def attach_reference_profile(
    trained: TrainResult, now: Snapshot, name: str, rows: TrainingRows
) -> TrainResult:
    """Return a training whose scorer keeps what a night is compared with, in ``meta``, and the amount learnt."""
    scorer = trained.scorer
    features = rows.catalog.features
    weights = select_monitored_features(
        scorer,
        rows.matrix,
        list_lead_attributes(rows.catalog),
        [f.name for f in features if _follows_weekday(f)],
    )
    slices = slice_training_rows(now, now.project.target_config(name), rows)
    tested = _slice_evaluation_rows(trained.out_of_time, slices, rows.matrix)
    last = next(part for part in reversed(slices) if len(part))
    latest = scorer.predict(rows.matrix.take(pa.array(last[sample_evenly(len(last), MAX_ROWS)])))
    days = frozenset(feature.name for feature in features if feature.meaning.unit == "days")
    population = TrainingDistribution.from_matrix(
        rows.matrix, slices, weights, scorer.encoding, tested, latest, days
    )
    metadata = replace(
        scorer.metadata,
        feature_distribution=population.to_json(),
        fit_engagement=fit_side_scales(scorer, rows.matrix, np.concatenate(slices)),
        typical_lead=TypicalLead.from_matrix(scorer, rows.matrix, features).to_json(),
        within_account=fit_account_dependence(now, name, trained.out_of_time).to_json(),
    )
    if now.dataset.timed:
        volume = EventVolume.from_events(now.dataset.events, now.as_of)
        metadata = replace(metadata, event_volume=volume.to_json())
    worth = fit_amount_model(now, name, rows, scorer.encoding)
    return replace(trained, scorer=replace(scorer, metadata=metadata, amount_model=worth))


def fit_account_dependence(
    now: Snapshot, name: str, out_of_time: pa.Table
) -> WithinAccountDependence:
    """Return how outcomes of one account go together, from the rows tested out of time that have an account.

    Rows of one cutoff are looked at together; where each entity has a cutoff of its own, those of one fold are.
    """
    cutoffs = now.project.target_config(name).cutoffs
    own = not now.project.timed or (cutoffs is not None and cutoffs.delay is not None)
    lead = pa.array(now.dataset.find_leads(out_of_time["entity_id"]))
    account = now.dataset.leads["account_id"].take(lead)
    rows = out_of_time.append_column("account_id", account).filter(pc.is_valid(account))
    instant = rows["fold"] if own else rows["cutoff"].cast(pa.int64())
    columns = (rows["account_id"].to_numpy(), instant.to_numpy(), rows["probability"].to_numpy())
    return WithinAccountDependence.fit(*columns, rows["label"].to_numpy())


def _follows_weekday(feature: Feature) -> bool:
    """Say whether a feature follows the day of the week: the cutoffs of a grid may all be Mondays, nights are not."""
    return feature.aggregate in CALENDAR_AGGREGATES or (
        feature.span is not None and feature.span < WEEK
    )


def slice_training_rows(now: Snapshot, target: Target, rows: TrainingRows) -> list[np.ndarray]:
    """Return the rows of a training that are like those of a night, in SLICES parts from the earliest to the latest.

    Those of a grid are. A target that scores once after entry publishes only who is still open: there a slice is whom
    a night would have published, at the as-of, a horizon before it, and so on.
    """
    if target.cutoffs is None or target.cutoffs.delay is None:
        return np.array_split(
            np.argsort(pc.cast(rows.matrix["cutoff"], pa.int64()).to_numpy(), kind="stable"),
            SLICE_COUNT,
        )
    ids, found = rows.matrix["entity_id"].combine_chunks(), []
    for back in reversed(range(SLICE_COUNT)):
        night = now.as_of - back * (target.horizon or timedelta(0))
        spine = build_scoring_spine(now.dataset.cut_at(night), target, night)
        found.append(pc.index_in(spine["entity_id"], value_set=ids).drop_null().to_numpy())
    return found if any(map(len, found)) else [np.arange(rows.matrix.num_rows)]


def _slice_evaluation_rows(
    out_of_time: pa.Table, slices: list[np.ndarray], matrix: pa.Table
) -> list[pa.Table]:
    """Return the tested rows that are in some slice, in SLICES parts by cutoff; all of them where none is."""
    alike = matrix.select(["entity_id", "cutoff"]).take(pa.array(np.unique(np.concatenate(slices))))
    table = out_of_time.select(["entity_id", "cutoff", "probability"])
    table = table.set_column(1, "cutoff", pc.cast(table["cutoff"], INSTANT))
    own = table.join(alike, ["entity_id", "cutoff"], join_type="left semi")
    own = (own if len(own) else table).sort_by(
        [("cutoff", "ascending"), ("entity_id", "ascending")]
    )
    return [own.take(pa.array(part)) for part in np.array_split(np.arange(len(own)), SLICE_COUNT)]
