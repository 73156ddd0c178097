"""Why a score is another one than the last published before it: the lead, the others, time, the model, or the data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT, Dataset
from features.definitions.attributes import values_at
from features.tools.instants import to_microseconds
from models.scorer import Scorer
from pipelines.lead.replay import Past, Replay, features_of

CAUSES = ("lead", "others", "time", "model", "data")
"""What can move a score, in the order in which it is told."""


@dataclass(frozen=True)
class CauseEffect:
    """What one cause did: ``points`` of the score (1 to 100), and the difference of the probability (0 to 1)."""

    points: int
    probability: float


@dataclass(frozen=True)
class NewInformation:
    """What became known of a lead at or after one as-of and before the next.

    ``events`` and ``account_events`` count the events of the lead and of the others at its account by type, ``late`` those
    of the lead's that had happened before the earlier as-of. ``changed_attributes`` names each changed attribute with its
    values ``previous`` and ``after`` as written.
    """

    events: dict[str, int]
    late_events: dict[str, int]
    account_events: dict[str, int]
    changed_attributes: list[dict[str, Any]]


@dataclass(frozen=True)
class ScoreChange:
    """The difference between two published scores of one lead, by cause.

    ``since`` is the earlier as-of, and ``unscored_nights`` counts the published nights between the two on which the
    lead was not scored. ``effects`` has one Part for each of CAUSES. Their points sum to the scores' difference, and
    their probabilities to that of the probabilities but for the rounding of floats. ``cutoff_moved`` is false where both
    look back from one cutoff, as where a target scores once after entry.
    """

    since: datetime
    unscored_nights: int
    score: tuple[int, int]
    probability: tuple[float, float]
    model_version: tuple[str, str]
    cutoff_moved: bool
    effects: dict[str, CauseEffect]
    new_information: NewInformation

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def explain_change(
    sources: Past,
    dataset: Dataset,
    previous: dict[str, Any],
    current: dict[str, Any],
    replay: Replay,
    unscored_nights: int,
) -> ScoreChange:
    """Return why a SCORES row ``now`` differs from an earlier one of the same target and entity.

    ``dataset`` is the data before the as-of of ``now``, and ``last`` what it comes out as. The causes are told apart by
    going from one to the other in steps: the earlier model on what was known then, its cutoff moved (time), with what
    became known of the lead, with what became known of all others, and the later model. What the two ends differ by
    from what was published is the data's: rows of before that came unannounced or were written over, or another
    config or version. Raises what loading the earlier model and reading its features raises.
    """
    earlier = dataset.cut_at(previous["as_of"])
    cutoffs = (sources.cutoff(previous), sources.cutoff(current))
    steps = _predict_steps(
        sources, (previous, current), (earlier, dataset), cutoffs, (replay.predicted["score"], replay.probability)
    )
    steps = [(previous["score"], previous["probability"]), *steps, (current["score"], current["probability"])]
    moves = [CauseEffect(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(steps)]
    rewritten = CauseEffect(
        moves[0].points + moves[-1].points, moves[0].probability + moves[-1].probability
    )
    parts = dict(
        zip(("data", "time", "lead", "others", "model"), [rewritten, *moves[1:-1]], strict=True)
    )
    return ScoreChange(
        previous["as_of"],
        unscored_nights,
        (previous["score"], current["score"]),
        (previous["probability"], current["probability"]),
        (previous["model_version"], current["model_version"]),
        cutoffs[0] != cutoffs[1],
        {name: parts[name] for name in CAUSES},
        _collect_new_information(earlier, dataset, current["entity_id"], previous["as_of"], current["as_of"]),
    )


def _predict_steps(
    sources: Past,
    rows: tuple[dict[str, Any], dict[str, Any]],
    data: tuple[Dataset, Dataset],
    cutoffs: tuple[datetime, datetime],
    last: tuple[int, float],
) -> list[tuple[int, float]]:
    """Return score and probability at the start, after time, after the lead, after the others, and at last."""
    (before, now), (earlier, later) = rows, data
    entity, end = now["entity_id"], cutoffs[1]
    old = sources.scorer(before)
    own = _add_lead_rows(earlier, later, entity, before["as_of"])
    found = _predict_at_cutoffs(old, earlier, entity, list(cutoffs)) + _predict_at_cutoffs(old, own, entity, [end])
    same = before["model_version"] == now["model_version"]
    return [*found, *([last] if same else _predict_at_cutoffs(old, later, entity, [end])), last]


def _predict_at_cutoffs(
    scorer: Scorer, data: Dataset, entity: str, cutoffs: list[datetime]
) -> list[tuple[int, float]]:
    predicted = scorer.predict(features_of(data, scorer, entity, cutoffs))
    return list(
        zip(predicted["score"].to_pylist(), predicted["probability"].to_pylist(), strict=True)
    )


def _add_lead_rows(earlier: Dataset, later: Dataset, entity: str, since: datetime) -> Dataset:
    """Return the earlier data with what became known of one entity by the later."""
    tables = {
        name: pa.concat_tables(
            [getattr(earlier, name), _select_new_rows(getattr(later, name), since, [entity])]
        )
        for name in ("events", "values")
    }
    return replace(earlier, **tables) if later.timed else earlier


def _select_new_rows(rows: pa.Table, since: datetime, entities: list[str]) -> pa.Table:
    """Return the rows of some entities that became known at ``since`` or after."""
    own = pc.is_in(rows["entity_id"], value_set=pa.array(entities, pa.string()))
    return rows.filter(
        pc.and_(own, pc.greater_equal(rows["available_at"], pa.scalar(since, INSTANT)))
    )


def _collect_new_information(
    earlier: Dataset, later: Dataset, entity: str, since: datetime, until: datetime
) -> NewInformation:
    if not later.timed:
        return NewInformation({}, {}, {}, [])
    own = _select_new_rows(later.events, since, [entity])
    late = own.filter(pc.less(own["event_time"], pa.scalar(since, INSTANT)))
    others = _select_new_rows(later.events, since, _find_account_peers(later.leads, entity))
    changed = (
        _find_changed_attributes(later, entity, since, until)
        if later.values.num_rows > earlier.values.num_rows
        else []
    )
    return NewInformation(_count_by_type(own), _count_by_type(late), _count_by_type(others), changed)


def _find_account_peers(leads: pa.Table, entity: str) -> list[str]:
    """Return the other entities of an entity's account; none where it has no account."""
    account = leads["account_id"].filter(pc.equal(leads["entity_id"], entity))[0]
    if not account.is_valid:
        return []
    found = (
        leads["entity_id"]
        .filter(pc.fill_null(pc.equal(leads["account_id"], account), False))
        .to_pylist()
    )
    return [name for name in found if name != entity]


def _count_by_type(events: pa.Table) -> dict[str, int]:
    """Count events by type, the most frequent first, ties by name."""
    counts = Counter(events["event_type"].to_pylist())
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _find_changed_attributes(
    later: Dataset, entity: str, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    names = pc.unique(_select_new_rows(later.values, since, [entity])["attribute"]).to_pylist()
    place = later.find_leads(pa.chunked_array([[entity, entity]]))
    at = np.array([to_microseconds(since), to_microseconds(until)])
    found = []
    for name in sorted(names):
        old, new = values_at(later.values, name, "category", place, at, later.lead_ids).to_pylist()
        found += [{"attribute": name, "before": old, "after": new}] if old != new else []
    return found
