"""Causes of the change between two published scores of one lead."""

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
from features.definitions.attributes import as_of_join
from features.tools.instants import format_iso, to_microseconds
from models.scorer import Scorer
from pipelines.lead.replay import Replay, ReplaySources, build_lead_matrix

# In the order of reports and of `explain --json`.
CAUSES = ("lead", "others", "time", "model", "data")


@dataclass(frozen=True)
class CauseEffect:
    """Effect of one cause on a score.

    Attributes:
        points: Difference of the score (1 to 100).
        probability: Difference of the probability (0 to 1).
    """

    points: int
    probability: float


@dataclass(frozen=True)
class NewInformation:
    """Rows that became available at or after one as-of and before the next.

    Attributes:
        events: Events of the lead, by type.
        late_events: Those of ``events`` that happened before the earlier as-of, by type.
        account_events: Events of the other leads at its account, by type.
        changed_attributes: For each changed attribute its name (``attribute``) and its values as
            written, ``before`` and ``after``.
    """

    events: dict[str, int]
    late_events: dict[str, int]
    account_events: dict[str, int]
    changed_attributes: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, under the keys of `explain --json`."""
        return {
            "events": self.events,
            "late": self.late_events,
            "others": self.account_events,
            "attributes": self.changed_attributes,
        }


@dataclass(frozen=True)
class ScoreChange:
    """Difference between two published scores of one lead, by cause.

    Attributes:
        since: As-of of the earlier score.
        unscored_nights: Published nights between the two on which the lead was not scored.
        score: Earlier and later score.
        probability: Earlier and later probability.
        model_version: Earlier and later model version.
        cutoff_moved: Whether the two have different cutoffs; a target that scores once after entry
            keeps one cutoff.
        effects: Effect of each of CAUSES. The points sum to the difference of the scores, the
            probabilities to that of the probabilities, up to floating-point rounding.
        new_information: Rows that became available between the two.
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
        """Return the fields as JSON values, under the keys of `explain --json`."""
        # Scripts read these keys, so they stay although the fields have other names.
        return {
            "since": format_iso(self.since),
            "nights_without": self.unscored_nights,
            "score": list(self.score),
            "probability": list(self.probability),
            "model_version": list(self.model_version),
            "moved": self.cutoff_moved,
            "parts": {name: asdict(effect) for name, effect in self.effects.items()},
            "happened": self.new_information.to_json(),
        }


def explain_change(
    sources: ReplaySources,
    dataset: Dataset,
    previous: dict[str, Any],
    current: dict[str, Any],
    replay: Replay,
    unscored_nights: int,
) -> ScoreChange:
    """Return why a SCORES row differs from an earlier one of the same target and entity.

    ``dataset`` holds the data available before the as-of of ``current``, and ``replay`` the replay
    of ``current``.

    The causes are separated by computing the score in steps: the earlier model on the data
    available then; the same with the later cutoff (time); with the lead's new rows (lead); with the
    new rows of all other leads (others); and with the later model (model). A difference between
    either end and the published score is attributed to the data: older rows that arrived late or
    were overwritten, or another config or code version.

    Raises the errors of loading the earlier model and computing its features.
    """
    earlier = dataset.cut_at(previous["as_of"])
    cutoffs = (sources.find_cutoff(previous), sources.find_cutoff(current))
    steps = _predict_steps(
        sources,
        (previous, current),
        (earlier, dataset),
        cutoffs,
        (replay.predicted["score"], replay.probability),
    )
    published = [(row["score"], row["probability"]) for row in (previous, current)]
    return ScoreChange(
        previous["as_of"],
        unscored_nights,
        (previous["score"], current["score"]),
        (previous["probability"], current["probability"]),
        (previous["model_version"], current["model_version"]),
        cutoffs[0] != cutoffs[1],
        _split_by_cause([published[0], *steps, published[1]]),
        _collect_new_information(
            earlier, dataset, current["entity_id"], previous["as_of"], current["as_of"]
        ),
    )


def _split_by_cause(steps: list[tuple[int, float]]) -> dict[str, CauseEffect]:
    """Return the effect of each of CAUSES, from score and probability after each step.

    The first and the last step compare a replay with a published score: both are due to the data.
    """
    moves = [CauseEffect(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(steps)]
    first, *inner, last = moves
    effects = dict(zip(("time", "lead", "others", "model"), inner, strict=True))
    effects["data"] = CauseEffect(first.points + last.points, first.probability + last.probability)
    return {name: effects[name] for name in CAUSES}


def _predict_steps(
    sources: ReplaySources,
    rows: tuple[dict[str, Any], dict[str, Any]],
    datasets: tuple[Dataset, Dataset],
    cutoffs: tuple[datetime, datetime],
    last: tuple[int, float],
) -> list[tuple[int, float]]:
    """Return score and probability of the start and after time, lead, others and model.

    The pairs hold the earlier and the later one; ``last`` is the result of the last step.
    """
    (previous, current), (earlier, later) = rows, datasets
    entity, cutoff = current["entity_id"], cutoffs[1]
    scorer = sources.load_scorer(previous)
    # The steps have a fixed order, since features do not add up: in another order the same events
    # would get another share. Time comes first and the model last, as documented in serving.md.
    with_lead = _add_lead_rows(earlier, later, entity, previous["as_of"])
    steps = _predict_at_cutoffs(scorer, earlier, entity, list(cutoffs))
    steps += _predict_at_cutoffs(scorer, with_lead, entity, [cutoff])
    # The same model gives the replay itself: it is not computed a second time.
    if previous["model_version"] == current["model_version"]:
        return [*steps, last, last]
    return [*steps, *_predict_at_cutoffs(scorer, later, entity, [cutoff]), last]


def _predict_at_cutoffs(
    scorer: Scorer, dataset: Dataset, entity: str, cutoffs: list[datetime]
) -> list[tuple[int, float]]:
    """Return score and probability of one entity at each cutoff."""
    predicted = scorer.predict(build_lead_matrix(dataset, scorer, entity, cutoffs))
    return list(
        zip(predicted["score"].to_pylist(), predicted["probability"].to_pylist(), strict=True)
    )


def _add_lead_rows(earlier: Dataset, later: Dataset, entity: str, since: datetime) -> Dataset:
    """Return ``earlier`` with the rows of one entity that ``later`` adds."""
    tables = {
        name: pa.concat_tables(
            [getattr(earlier, name), _select_new_rows(getattr(later, name), since, [entity])]
        )
        for name in ("events", "values")
    }
    # Rows without times have no instant at which they arrived, so none is new.
    return replace(earlier, **tables) if later.timed else earlier


def _select_new_rows(rows: pa.Table, since: datetime, entities: list[str]) -> pa.Table:
    """Return the rows of some entities that became available at ``since`` or later."""
    is_own = pc.is_in(rows["entity_id"], value_set=pa.array(entities, pa.string()))
    is_new = pc.greater_equal(rows["available_at"], pa.scalar(since, INSTANT))
    return rows.filter(pc.and_(is_own, is_new))


def _collect_new_information(
    earlier: Dataset, later: Dataset, entity: str, since: datetime, until: datetime
) -> NewInformation:
    """Return the rows that became available from ``since`` on; empty for data without times."""
    if not later.timed:
        return NewInformation({}, {}, {}, [])
    own = _select_new_rows(later.events, since, [entity])
    late = own.filter(pc.less(own["event_time"], pa.scalar(since, INSTANT)))
    others = _select_new_rows(later.events, since, _find_account_peers(later.leads, entity))
    # An as-of join sorts the whole history of an attribute; without new values it is saved.
    changed = (
        _find_changed_attributes(later, entity, since, until)
        if later.values.num_rows > earlier.values.num_rows
        else []
    )
    return NewInformation(
        _count_by_type(own), _count_by_type(late), _count_by_type(others), changed
    )


def _find_account_peers(leads: pa.Table, entity: str) -> list[str]:
    """Return the other entities of an entity's account; empty if it has no account."""
    account = leads["account_id"].filter(pc.equal(leads["entity_id"], entity))[0]
    if not account.is_valid:
        return []
    # Leads without an account are not colleagues: comparing a missing account gives null.
    is_member = pc.fill_null(pc.equal(leads["account_id"], account), False)
    members = leads["entity_id"].filter(is_member).to_pylist()
    return [member for member in members if member != entity]


def _count_by_type(events: pa.Table) -> dict[str, int]:
    """Return the number of events by type, the most frequent first, ties by name."""
    counts = Counter(events["event_type"].to_pylist())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _find_changed_attributes(
    later: Dataset, entity: str, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """Return the attributes whose value at ``since`` and at ``until`` differ, by name."""
    names = pc.unique(_select_new_rows(later.values, since, [entity])["attribute"]).to_pylist()
    place = later.find_leads(pa.chunked_array([[entity, entity]]))
    instants = np.array([to_microseconds(since), to_microseconds(until)])
    changed = []
    for name in sorted(names):
        # Read as a category, so that the report shows numbers as they were written.
        old, new = as_of_join(
            later.values, name, "category", place, instants, later.lead_ids
        ).to_pylist()
        if old != new:
            changed.append({"attribute": name, "before": old, "after": new})
    return changed
