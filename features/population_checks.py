"""Doubts about a target's population and outcome, by the data known at an as-of, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import format_duration
from configs.targets import Population, Target
from features.contracts import Dataset
from features.outcome_events import match_revocations, select_standing_outcomes
from features.spine import build_training_spine
from features.tools.instants import US_PER_DAY, column_to_microseconds

# From this share of the entities with the outcome on, an outcome that they have more than once is
# more than a win that was recorded twice.
MIN_RECURRING_SHARE = 0.2
# Up to this share of revocations may come late without a warning.
MAX_LATE_SHARE = 0.1


def explain_empty_spine(
    dataset: Dataset, name: str, target: Target, as_of: datetime
) -> tuple[str, str]:
    """Return the reason why no entity was ever eligible, and the fix.

    The cause is the first rule of the population without which there would be rows.
    """
    entities = f"{dataset.leads.num_rows:,} entities known before {as_of.isoformat()}"
    population = f"targets.{name}.population"
    types = " or ".join(target.outcome_types)
    for cause, fix, changed in (
        (
            f"the outcome ({types}), which had ended each of them before its first cutoff",
            f"set {population}.recurring: true if the outcome may happen again after it did, else "
            f"check {population}.after",
            change_population(target, recurring=True, until=list_other_ends(target)),
        ),
        (
            "population.until, which had ended each of them before its first cutoff",
            f"check {population}.until; {population}.reopen names events after which an entity is "
            "eligible again",
            change_population(target, until=()),
        ),
        (
            "population.max_age, which each of them had passed before its first cutoff",
            f"raise {population}.max_age, or use shorter steps of cutoffs",
            change_population(target, max_age=None),
        ),
        (
            "observed_from, which lies after all their cutoffs",
            f"check targets.{name}.observed_from, or use a later --as-of",
            target.model_copy(update={"observed_from": None}),
        ),
    ):
        # Unchanged rules are tried as well: they give no row again.
        if eligible := len(pc.unique(build_training_spine(dataset, changed, as_of)["entity_id"])):
            return f"{entities}; {eligible:,} would be eligible but for {cause}", fix
    return entities, "check population, cutoffs and observed_from, or use a later --as-of"


def list_population_doubts(
    dataset: Dataset, name: str, target: Target, complete_after: timedelta
) -> list[str]:
    """Return one line for each doubtful reading of the target's outcome events."""
    return [
        *_warn_about_recurrence(dataset, name, target),
        *_warn_about_revocations(dataset, name, target, complete_after),
    ]


def change_population(target: Target, **changes: object) -> Target:
    """Return the target with some rules of its population changed."""
    population: Population = target.population.model_copy(update=changes)
    return target.model_copy(update={"population": population})


def list_other_ends(target: Target) -> tuple[str, ...]:
    """Return the types of ``population.until`` that are not the outcome itself."""
    return tuple(name for name in target.population.until if name not in target.outcome_types)


def _warn_about_recurrence(dataset: Dataset, name: str, target: Target) -> Iterator[str]:
    """Yield a line where many entities have one outcome type more than once."""
    # Written down, true or false, the key says that the question was seen.
    if "recurring" in target.population.model_fields_set:
        return
    outcomes = select_standing_outcomes(dataset, target)
    known = outcomes.filter(pa.array(dataset.find_leads(outcomes["entity_id"]) >= 0))
    counts = known.group_by(["entity_id", "event_type"]).aggregate(
        [("event_time", "count_distinct")]
    )
    again = counts.filter(pc.greater(counts["event_time_count_distinct"], 1))
    repeated, all_entities = (len(pc.unique(rows["entity_id"])) for rows in (again, counts))
    if repeated and repeated >= MIN_RECURRING_SHARE * all_entities:
        kind = min(again["event_type"].to_pylist())
        yield (
            f"targets.{name}.outcome: {repeated:,} of {all_entities:,} entities with the outcome "
            f"have {kind} more than once, and the first ends eligibility: set population.recurring "
            "to true if the next one is to be predicted, too, else to false"
        )


def _warn_about_revocations(
    dataset: Dataset, name: str, target: Target, complete_after: timedelta
) -> Iterator[str]:
    """Yield lines on late revocations, and on those with an earlier outcome that stands."""
    if not target.outcome_revoked_by:
        return
    matched = match_revocations(dataset, target)
    revoked = np.flatnonzero(matched.revoked_by >= 0)
    if not len(revoked):
        yield f"targets.{name}.outcome_revoked_by: no outcome before any of these events"
        return
    known = column_to_microseconds(matched.revocations["available_at"])[matched.revoked_by[revoked]]
    delay = known - column_to_microseconds(matched.outcomes["event_time"])[revoked]
    late = int((delay > complete_after / timedelta(microseconds=1)).sum())
    if late > MAX_LATE_SHARE * len(delay):
        days = int(-(-np.quantile(delay, 1 - MAX_LATE_SHARE, method="higher") // US_PER_DAY))
        yield (
            f"targets.{name}.outcome_revoked_by: {late:,} of {len(delay):,} revocations became "
            f"known more than sources.complete_after ({format_duration(complete_after)}) after "
            f"their outcome, so the newest labels may still be revoked: 90 % are known after {days}"
            f"d, set sources.complete_after to it"
        )
    yield from _warn_about_doubled_outcomes(dataset, name, target, matched.outcomes, revoked)


def _warn_about_doubled_outcomes(
    dataset: Dataset, name: str, target: Target, outcomes: pa.Table, revoked: np.ndarray
) -> Iterator[str]:
    """Yield a line where an earlier outcome of the same entity stands after a revocation."""
    if target.population.recurring:
        return
    lead = dataset.find_leads(outcomes["entity_id"])
    time = column_to_microseconds(outcomes["event_time"])
    stands = np.ones(len(lead), bool)
    stands[revoked] = False
    first_standing = np.full(dataset.leads.num_rows + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_standing, lead[stands], time[stands])
    last_revoked = np.full(dataset.leads.num_rows + 1, np.iinfo(np.int64).min)
    np.maximum.at(last_revoked, lead[revoked], time[revoked])
    entities = int((first_standing < last_revoked)[:-1].sum())
    if entities:
        yield (
            f"targets.{name}.outcome_revoked_by: {entities:,} of "
            f"{len(np.unique(lead[revoked])):,} entities with a revoked outcome have an earlier one"
            " that stands, so they still count as won: remove the earlier event if it is the same "
            "outcome, recorded twice"
        )
