"""The hand-overs of a night: states of the leads of one target, from those of the night before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.qualification.handovers import Handover, Qualification, Recycling
from features.contracts import INSTANT, Dataset
from features.labels import find_next_event
from features.paths.activities import find_activities
from features.score_tables import QUALIFICATION_COLUMNS
from features.tools.instants import (
    MICROSECOND,
    NEVER_US,
    WEEK,
    column_to_microseconds,
    to_microseconds,
)
from models.qualification.states import (
    EXPLORED,
    PROBABILITY,
    STATES,
    STEP_STATES,
    LeadEvidence,
    StepRules,
    find_candidates,
    hand_over_leads,
    read_nullable_instants,
    recycle_leads,
    set_due_dates,
)
from models.qualification.thresholds import (
    HandoverTerms,
    HandoverThreshold,
    WeeklyFlow,
    find_handover_threshold,
)
from models.scorer import ScoreScale
from pipelines.training_data import Snapshot
from serve.scoring.trends import append_columns, look_up_leads
from serve.scoring.weekly_lists import count_explored_places, count_owners, find_draw_chances
from serve.store.reader import STATE_CHANGES
from serve.store.store import Store

# Weeks of earlier scores that show how many leads a threshold hands over: more are more exact, but
# follow a change of the company more slowly.
FLOW_WEEKS = 4
FLOW_COLUMNS = ("entity_id", "probability", "as_of")
MQL_STEP = "mql"


@dataclass(frozen=True)
class HandoverStep:
    """A step of the config at one night.

    Attributes:
        key: “mql” or “sql”.
        handover: Its config.
        qualification: The config of all steps.
        rules: Its rules.
        explored: Places a week that are filled with leads drawn at random.
    """

    key: str
    handover: Handover
    qualification: Qualification
    rules: StepRules
    explored: int


@dataclass(frozen=True)
class StepNight:
    """The hand-overs of a step in one night.

    Attributes:
        step: The step.
        threshold: Its threshold.
        terms: What the threshold was found with.
        weeks: Weeks of scores that the pace is counted over.
        states: STATES of the leads that were scored, in the order of the scores.
        changes: STATE_CHANGES of the earlier nights, and of this one after the draw.
    """

    step: HandoverStep
    threshold: HandoverThreshold
    terms: HandoverTerms
    weeks: float
    states: pa.Table
    changes: pa.Table

    @property
    def handed(self) -> np.ndarray:
        """Return a mask of the leads that are in the hands of those who took them over."""
        return _is_handed(self.states, self.step.key)

    @classmethod
    def begin(
        cls,
        snapshot: Snapshot,
        step: HandoverStep,
        scores: pa.Table,
        scale: ScoreScale,
        store: Store,
    ) -> Self:
        """Return the states after returns, and after hand-overs by probability.

        ``scores`` needs entity_id, probability, score and expected_value.
        """
        names, as_of = (snapshot.project.project, step.handover.target), snapshot.as_of
        changes = store.state_changes(*names, as_of)
        previous = store.previous_scores(*names, as_of, columns=_list_state_columns())
        states = look_up_leads(scores, previous, QUALIFICATION_COLUMNS)
        before = pa.table(states, names=QUALIFICATION_COLUMNS).cast(STATES)
        flow = _read_flow(store, *names, as_of, scores)
        terms = _set_terms(step, scores, changes, as_of)
        probability = scores["probability"].to_numpy()
        # Twice: who goes back depends on the standing threshold, not on the places of the night.
        standing = find_handover_threshold(flow, probability[:0], terms).standing
        lowest = scale.score(np.array([min(standing, 1.0)]))[0] - snapshot.project.publish.steady
        is_low = (scores["score"].to_numpy() < lowest) | (standing > 1)
        evidence = _gather_evidence(snapshot, step, scores["entity_id"], before, is_low)
        states = recycle_leads(before, evidence, step.rules, as_of)
        candidates = find_candidates(states, step.rules, as_of)
        threshold = find_handover_threshold(flow, probability[candidates], terms)
        rows = candidates & (probability >= threshold.applied)
        chance = np.where(rows, 1.0, np.nan)
        states = hand_over_leads(states, rows, PROBABILITY, chance, step.key, as_of)
        return cls(step, threshold, terms, flow.weeks, states, changes)

    def explore(self, scores: pa.Table, listed_before: pa.Table, as_of: datetime) -> Self:
        """Return the night after the leads that were drawn for the week's list are handed over.

        ``scores`` needs entity_id, owner and listed, in the order of the states.
        """
        is_drawn = pc.fill_null(pc.equal(scores["listed"], EXPLORED), False).to_numpy()
        rows = find_candidates(self.states, self.step.rules, as_of) & is_drawn
        chance = find_draw_chances(scores, listed_before)
        states = hand_over_leads(self.states, rows, EXPLORED, chance, self.step.key, as_of)
        return replace(self, states=states)

    def finish(self, snapshot: Snapshot, scores: pa.Table) -> tuple[pa.Table, Self]:
        """Return the scores with QUALIFICATION_COLUMNS, and the night with all its changes."""
        key, names = self.step.key, scores["entity_id"]
        since = np.where(self.handed, read_nullable_instants(self.states["qualified_at"]), NEVER_US)
        touched = find_touches(snapshot, names, since) < to_microseconds(snapshot.as_of)
        sla = self.step.qualification.sla
        states = set_due_dates(self.states, touched, sla, key)
        scores = append_columns(scores, {name: states[name] for name in STATES.names})
        is_new = pc.fill_null(pc.equal(scores["qualified_at"], scores["as_of"]), False)
        changed = scores.filter(is_new).select(STATE_CHANGES.names).cast(STATE_CHANGES)
        changes = pa.concat_tables([self.changes, changed.sort_by("entity_id")])
        return scores, replace(self, states=states, changes=changes)

    def describe(self, as_of: datetime) -> dict[str, Any]:
        """Return the row of THRESHOLDS."""
        limit, step = self.threshold, self.step
        new = pc.equal(self.states["qualified_at"], pa.scalar(as_of, INSTANT))
        return {
            "as_of": as_of,
            "step": step.key,
            "target": step.handover.target,
            "threshold": _hide_unreachable(limit.standing),
            "limit": limit.limit,
            "applied": _hide_unreachable(limit.applied),
            "break_even": limit.break_even if np.isfinite(limit.break_even) else None,
            "cost": self.terms.cost,
            "value": None if np.isnan(self.terms.value) else self.terms.value,
            "per_week": step.handover.per_week,
            "explored_per_week": step.explored,
            "expected_per_week": limit.per_week + step.explored,
            "weeks": self.weeks,
            "used": self.terms.used,
            "handed_over": int((pc.fill_null(new, False).to_numpy() & self.handed).sum()),
            "open": int(self.handed.sum()),
        }


def find_step(snapshot: Snapshot, target: str) -> HandoverStep | None:
    """Return the step whose leads a target scores; None if there is none."""
    project, qualification = snapshot.project, snapshot.project.qualification
    if qualification is None:
        return None
    for key, handover in qualification.steps.items():
        if handover.target == target:
            recycle, capacity = qualification.recycle, project.capacity_config
            horizon = project.target_config(target).horizon or timedelta(0)
            rules = StepRules(key, recycle.wait, recycle.silent, project.publish.settle, horizon)
            explored = 0
            # Only the list of the first step hands over leads that were drawn.
            if capacity is not None and key == MQL_STEP:
                explored = count_explored_places(capacity) * count_owners(
                    snapshot.dataset, capacity
                )
            return HandoverStep(key, handover, qualification, rules, explored)
    return None


def find_touches(snapshot: Snapshot, entities: pa.ChunkedArray, since: np.ndarray) -> np.ndarray:
    """Return the first touch by sales of each lead at or after an instant, NEVER_US without one.

    Instants are microseconds since 1970; an instant of NEVER_US has no touch.
    """
    types = snapshot.project.features.outbound
    return _find_next(snapshot.dataset, entities, since, types)


def find_answers(
    dataset: Dataset, entities: pa.ChunkedArray, since: np.ndarray, recycle: Recycling
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first rejection and the first return of each lead, as ``find_touches`` does."""
    rejected, returned = (
        _find_next(dataset, entities, since, types)
        for types in (recycle.rejected, recycle.returned)
    )
    return rejected, returned


def _find_next(
    dataset: Dataset, entities: pa.ChunkedArray, since: np.ndarray, types: tuple[str, ...]
) -> np.ndarray:
    kinds = pa.array(types, pa.string())
    events = dataset.events.filter(pc.is_in(dataset.events["event_type"], value_set=kinds))
    spine = pa.table({"entity_id": entities, "cutoff": pa.array(since).cast(INSTANT)})
    time = np.append(column_to_microseconds(events["event_time"]), NEVER_US)
    return time[find_next_event(dataset, spine, events)]


def _gather_evidence(
    snapshot: Snapshot,
    step: HandoverStep,
    entities: pa.ChunkedArray,
    before: pa.Table,
    is_low: np.ndarray,
) -> LeadEvidence:
    handed = before["qualification"].is_valid().to_numpy()
    since = np.where(handed, read_nullable_instants(before["qualified_at"]), NEVER_US)
    recycle = step.qualification.recycle
    rejected, returned = find_answers(snapshot.dataset, entities, since, recycle)
    activities = find_activities(snapshot.dataset, snapshot.project.features)
    lead = snapshot.dataset.find_leads(entities)
    first, last = activities.first[lead], activities.first[lead + 1]
    has_any = last > first
    # A lead without an activity has none since its hand-over either.
    active = np.where(has_any, np.append(activities.time, 0)[np.where(has_any, last - 1, 0)], 0)
    return LeadEvidence(is_low, rejected, returned, active)


def _read_flow(
    store: Store, project: str, target: str, as_of: datetime, scores: pa.Table
) -> WeeklyFlow:
    """Return the pace of the last weeks: one night a week, the newest of each, and this night.

    Without an earlier night, all leads came in one week.
    """
    nights = [scores.select(FLOW_COLUMNS)]
    for week in range(1, FLOW_WEEKS + 1):
        # The end is excluded, hence the microsecond: a night exactly a week ago counts.
        end = as_of - week * WEEK + MICROSECOND
        night = store.previous_scores(project, target, end, end - WEEK, FLOW_COLUMNS)
        nights += [night] if night.num_rows else []
    first = nights.pop() if len(nights) > 1 else None
    table = pa.concat_tables(nights)
    peaks = table.group_by("entity_id").aggregate([("probability", "max")])
    before = np.full(peaks.num_rows, -np.inf)
    if first is None:
        return WeeklyFlow(before, peaks["probability_max"].to_numpy(), 1.0)
    (own,) = look_up_leads(peaks, first, ("probability",))
    before = pc.fill_null(own, -np.inf).to_numpy()
    weeks = (as_of - first["as_of"][0].as_py()) / WEEK
    return WeeklyFlow(before, peaks["probability_max"].to_numpy(), weeks)


def _set_terms(
    step: HandoverStep, scores: pa.Table, changes: pa.Table, as_of: datetime
) -> HandoverTerms:
    """Return the terms of a night: the places that are left, and what an outcome is worth."""
    recent = changes.filter(pc.greater(changes["as_of"], pa.scalar(as_of - WEEK, INSTANT)))
    used = _is_handed(recent, step.key)
    used &= pc.fill_null(pc.equal(recent["qualified_because"], PROBABILITY), False).to_numpy()
    value = step.handover.value
    if value is None:
        known = scores.filter(scores["expected_value"].is_valid())
        chance = pc.sum(known["probability"]).as_py() or np.nan
        # The amount of an expected outcome: leads that are likelier to have it count more.
        value = (pc.sum(known["expected_value"]).as_py() or np.nan) / chance
    places = max(step.handover.per_week - step.explored, 0)
    return HandoverTerms(places, int(used.sum()), step.handover.cost, value)


def _is_handed(rows: pa.Table, step: str) -> np.ndarray:
    name = STEP_STATES[step][1]
    handed: np.ndarray = pc.fill_null(pc.equal(rows["qualification"], name), False).to_numpy()
    return handed


def _list_state_columns() -> tuple[str, ...]:
    return ("entity_id", *QUALIFICATION_COLUMNS)


def _hide_unreachable(probability: float) -> float | None:
    return probability if probability <= 1 else None
