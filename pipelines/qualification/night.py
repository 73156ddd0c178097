"""The tables on the hand-overs of a night, which never keep its scores back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.labels import compute_labels
from features.tools.instants import (
    MICROSECOND,
    NEVER_US,
    US_PER_HOUR,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from models.clusters import number_keys
from models.qualification.monthly import FOLLOWED_HANDOVERS, build_qualification_table
from models.qualification.schemas import QUALIFICATION, THRESHOLDS
from models.qualification.states import COOLED, REJECTED, RETURNED, SILENT, STEP_STATES
from pipelines.qualification.handover import (
    HandoverStep,
    StepNight,
    find_answers,
    find_step,
    find_touches,
)
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part
from serve.store.store import Store

TABLE, THRESHOLD_TABLE = "qualification", "thresholds"


# QUALIFICATION and THRESHOLDS by name.
NightQualification = NightPart[dict[str, pa.Table]]


def compute_night_qualification(
    snapshot: Snapshot, nights: Sequence[StepNight]
) -> NightQualification:
    """Return the tables of the hand-overs of the steps that a night scores, none without a step."""
    if not nights:
        return NightQualification()
    return compute_night_part(
        "qualification",
        lambda: build_handover_tables(snapshot, nights),
        lambda tables: tables,
        # What is missing is not configured, or failed.
        reasons=(),
    )


def build_handover_tables(snapshot: Snapshot, nights: Sequence[StepNight]) -> dict[str, pa.Table]:
    """Return QUALIFICATION and THRESHOLDS by name, the steps in their order."""
    ordered = sorted(nights, key=lambda night: list(STEP_STATES).index(night.step.key))
    followed = [follow_handovers(snapshot, night.step, night.changes) for night in ordered]
    above = {night.step.key: night.threshold.break_even for night in ordered}
    rows = [night.describe(snapshot.as_of) for night in ordered]
    return {
        TABLE: build_qualification_table(pa.concat_tables(followed), above, snapshot.as_of),
        THRESHOLD_TABLE: pa.Table.from_pylist(rows, schema=THRESHOLDS),
    }


def follow_target_handovers(snapshot: Snapshot, target: str, store: Store) -> pa.Table:
    """Return QUALIFICATION of the hand-overs by a target's probability up to the as-of.

    ``rate_all`` counts leads from the break-even probability of the newest night. Without a step of
    the target the table is empty.
    """
    step = find_step(snapshot, target)
    if step is None:
        return QUALIFICATION.empty_table()
    names = (snapshot.project.project, target)
    # The night of the as-of itself counts, too.
    changes = store.state_changes(*names, snapshot.as_of + MICROSECOND)
    followed = follow_handovers(snapshot, step, changes)
    newest = store.last_published_run(snapshot.project.project)
    tables = store.night_tables(newest) if newest else {}
    limits = tables.get(THRESHOLD_TABLE, THRESHOLDS.empty_table()).to_pylist()
    by_step = {row["step"]: row["break_even"] for row in limits}
    above = by_step.get(step.key)
    ends = {step.key: np.inf if above is None else above}
    return build_qualification_table(followed, ends, snapshot.as_of)


def follow_handovers(snapshot: Snapshot, step: HandoverStep, changes: pa.Table) -> pa.Table:
    """Return FOLLOWED_HANDOVERS of a step: what became of each by the data at the as-of.

    ``changes`` are STATE_CHANGES, sorted by as-of. Hand-overs of leads that are no longer in the
    data are left out.
    """
    known = pa.array(snapshot.dataset.find_leads(changes["entity_id"]) >= 0)
    changes = changes.filter(known)
    handed = pc.fill_null(
        pc.equal(changes["qualification"], STEP_STATES[step.key][1]), False
    ).to_numpy()
    rows = changes.filter(pa.array(handed))
    target = snapshot.project.target_config(step.handover.target)
    spine = rows.select(["entity_id", "as_of"]).rename_columns(["entity_id", "cutoff"])
    labels = compute_labels(snapshot.dataset, spine, target, snapshot.observed)
    since, now = column_to_microseconds(rows["as_of"]), to_microseconds(snapshot.as_of)
    due = since + duration_to_microseconds(step.qualification.sla)
    touch = find_touches(snapshot, rows["entity_id"], since)
    touch = np.where(touch < now, touch, NEVER_US)
    never = touch == NEVER_US
    hours = np.where(never, 0, touch - since) / US_PER_HOUR
    zone = snapshot.project.timezone
    local = pc.cast(rows["as_of"], pa.timestamp("us", zone))
    columns = {
        "step": pa.repeat(step.key, rows.num_rows),
        "month": pc.strftime(local, "%Y-%m"),
        "grade": rows["grade"],
        "qualified_because": rows["qualified_because"],
        "probability": rows["probability"],
        "handover_chance": rows["handover_chance"],
        "cluster": number_keys(snapshot.dataset.find_clusters(rows["entity_id"])),
        "label": labels["label"],
        "touch_hours": pa.array(hours, mask=never),
        "is_due": due <= now,
        "in_time": touch <= due,
        "reason": _find_reasons(snapshot, step, changes, handed),
    }
    return pa.table(columns).cast(FOLLOWED_HANDOVERS)


def _find_reasons(
    snapshot: Snapshot, step: HandoverStep, changes: pa.Table, handed: np.ndarray
) -> pa.Array:
    """Return why each lead of the hand-overs among the changes went back, null if it did not.

    An event says so of a lead that is no longer scored, too. The others are said by the lead's next
    change.
    """
    rows = changes.filter(pa.array(handed))
    since, now = column_to_microseconds(rows["as_of"]), to_microseconds(snapshot.as_of)
    recycle = step.qualification.recycle
    rejected, returned = find_answers(snapshot.dataset, rows["entity_id"], since, recycle)
    lead = number_keys(changes["entity_id"])
    # Stable, so that the changes of a lead stay in the order of the nights.
    order = np.argsort(lead, kind="stable")
    following = np.full(len(order), -1)
    same = lead[order[1:]] == lead[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    place = following[handed]
    later = changes["recycle_reason"].take(pa.array(place, mask=place < 0))
    is_later = [pc.fill_null(pc.equal(later, name), False).to_numpy() for name in (SILENT, COOLED)]
    until = np.where(
        place >= 0, column_to_microseconds(changes["as_of"])[np.maximum(place, 0)], now
    )
    parts = [rejected < until, returned < until, *is_later]
    names = pa.array([REJECTED, RETURNED, SILENT, COOLED])
    chosen = np.select(parts, range(len(parts)), -1)
    return names.take(pa.array(chosen, mask=chosen < 0))
