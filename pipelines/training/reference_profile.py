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
from features.spine import scoring_spine
from models.accounts import Together
from models.encoding import evenly
from models.reference.event_volume import WEEK, Activity
from models.reference.feature_distribution import ROWS, Population, telling
from models.reference.fit_engagement import META, fitted
from models.reference.typical_lead import Usual
from models.training.training import Trained
from pipelines.training.amounts import learnt
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.scoring import attributes_of

SLICES = 4
CALENDAR = ("last_hour", "created_hour", "silence")
"""Aggregates that know the day of the week: on a Monday everyone has been silent for two days."""


def with_reference(trained: Trained, now: Snapshot, name: str, rows: TrainingRows) -> Trained:
    """Return a training whose scorer keeps what a night is compared with, in ``meta``, and the amount learnt."""
    scorer = trained.scorer
    features = rows.catalog.features
    weights = telling(
        scorer,
        rows.matrix,
        attributes_of(rows.catalog),
        [f.name for f in features if _of_the_day(f)],
    )
    slices = slices_of(now, now.project.target(name), rows)
    tested = _tested(trained.out_of_time, slices, rows.matrix)
    last = next(part for part in reversed(slices) if len(part))
    latest = scorer.predict(rows.matrix.take(pa.array(last[evenly(len(last), ROWS)])))
    days = frozenset(feature.name for feature in features if feature.meaning.unit == "days")
    population = Population.of(rows.matrix, slices, weights, scorer.encoding, tested, latest, days)
    kept = {
        "population": population.to_json(),
        META: fitted(scorer, rows.matrix, np.concatenate(slices)),
    }
    kept["usual"] = Usual.of(scorer, rows.matrix, features).to_json()
    if now.dataset.timed:
        kept["activity"] = Activity.of(now.dataset.events, now.as_of).to_json()
    kept["accounts"] = together(now, name, trained.out_of_time).to_json()
    worth = learnt(now, name, rows, scorer.encoding)
    return replace(trained, scorer=replace(scorer, meta=scorer.meta | kept, worth=worth))


def together(now: Snapshot, name: str, out_of_time: pa.Table) -> Together:
    """Return how outcomes of one account go together, from the rows tested out of time that have an account.

    Rows of one cutoff are looked at together; where each entity has a cutoff of its own, those of one fold are.
    """
    cutoffs = now.project.target(name).cutoffs
    own = not now.project.timed or (cutoffs is not None and cutoffs.delay is not None)
    lead = pa.array(now.dataset.lead_of(out_of_time["entity_id"]))
    account = now.dataset.leads["account_id"].take(lead)
    rows = out_of_time.append_column("account_id", account).filter(pc.is_valid(account))
    instant = rows["fold"] if own else rows["cutoff"].cast(pa.int64())
    columns = (rows["account_id"].to_numpy(), instant.to_numpy(), rows["probability"].to_numpy())
    return Together.fit(*columns, rows["label"].to_numpy())


def _of_the_day(feature: Feature) -> bool:
    """Say whether a feature follows the day of the week: the cutoffs of a grid may all be Mondays, nights are not."""
    return feature.aggregate in CALENDAR or (feature.span is not None and feature.span < WEEK)


def slices_of(now: Snapshot, target: Target, rows: TrainingRows) -> list[np.ndarray]:
    """Return the rows of a training that are like those of a night, in SLICES parts from the earliest to the latest.

    Those of a grid are. A target that scores once after entry publishes only who is still open: there a slice is whom
    a night would have published, at the as-of, a horizon before it, and so on.
    """
    if target.cutoffs is None or target.cutoffs.delay is None:
        return np.array_split(
            np.argsort(pc.cast(rows.matrix["cutoff"], pa.int64()).to_numpy(), kind="stable"), SLICES
        )
    ids, found = rows.matrix["entity_id"].combine_chunks(), []
    for back in reversed(range(SLICES)):
        night = now.as_of - back * (target.horizon or timedelta(0))
        spine = scoring_spine(now.dataset.upto(night), target, night)
        found.append(pc.index_in(spine["entity_id"], value_set=ids).drop_null().to_numpy())
    return found if any(map(len, found)) else [np.arange(rows.matrix.num_rows)]


def _tested(out_of_time: pa.Table, slices: list[np.ndarray], matrix: pa.Table) -> list[pa.Table]:
    """Return the tested rows that are in some slice, in SLICES parts by cutoff; all of them where none is."""
    alike = matrix.select(["entity_id", "cutoff"]).take(pa.array(np.unique(np.concatenate(slices))))
    table = out_of_time.select(["entity_id", "cutoff", "probability"])
    table = table.set_column(1, "cutoff", pc.cast(table["cutoff"], INSTANT))
    own = table.join(alike, ["entity_id", "cutoff"], join_type="left semi")
    own = (own if len(own) else table).sort_by(
        [("cutoff", "ascending"), ("entity_id", "ascending")]
    )
    return [own.take(pa.array(part)) for part in np.array_split(np.arange(len(own)), SLICES)]
