"""Checks before publishing, in their order: models, sources, then each target's scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, LeadscoreError
from models.reference.event_volume import EventVolume
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry
from models.scorer import Scorer
from pipelines.as_of import is_in_future
from pipelines.event_names import count_event_types, require_distinct_types
from pipelines.outcome_column import require_distinct_values
from pipelines.training_data import Snapshot
from serve.checks.change_checks import check_score_changes
from serve.checks.checks import CheckResult, pass_unchecked
from serve.checks.feature_counts import FeatureCounts
from serve.checks.score_checks import (
    check_gone_leads,
    check_grade_changes,
    check_model_age,
    check_population,
    check_probabilities,
    warn_trained_in_future,
)
from serve.checks.source_checks import check_event_types, check_sources, compare_row_count
from serve.scoring.scoring import list_lead_attributes


def warn_registry_unreachable(error: LeadscoreError) -> CheckResult:
    """Return a warning that the last run's champions are used, and why."""
    text = f"the champions are those of the last run: {error.headline}"
    return CheckResult("champion", "", "the registry", None, None, None, "warn", text)


def load_champion_scorers(
    champions: Mapping[str, RegisteredVersion | None], registry: Registry
) -> tuple[dict[str, Scorer], list[CheckResult]]:
    """Return the scorer of each target that has a champion, and one check result a target.

    The result stops the run for a scorer whose files are missing, changed or of another target.
    """
    scorers, checks = dict[str, Scorer](), list[CheckResult]()
    for target, version in champions.items():
        if version is None:
            # A warning, since the other targets can be published without this one.
            text = "it has no champion, so no scores; train it and see what the gate says"
            checks.append(CheckResult("champion", "", target, None, None, None, "warn", text))
            continue
        try:
            scorers[target] = Scorer.load(registry.scorer_directory(version))
        except DataError as error:
            # A stop for all targets, since they are published in one transaction.
            checks.append(
                CheckResult("champion", target, "", None, None, None, "stop", error.headline)
            )
            continue
        checks.append(_check_scorer_target(target, scorers[target], version))
    return scorers, checks


def check_data(
    snapshot: Snapshot, scorers: Mapping[str, Scorer], past_checks: pa.Table
) -> list[CheckResult]:
    """Check the data before anything is scored, against the check results of the last runs."""
    limits = snapshot.project.checks
    return [
        *check_sources(snapshot.dataset, snapshot.as_of, past_checks, limits),
        *_check_event_volume(snapshot, list(scorers.values())),
        *_warn_about_readings(snapshot, scorers),
        *_stop_on_twins(snapshot, scorers),
    ]


def _stop_on_twins(snapshot: Snapshot, scorers: Mapping[str, Scorer]) -> Iterator[CheckResult]:
    """Yield a stop for each target whose events or outcome are written in more than one way."""
    project, dataset = snapshot.project, snapshot.dataset
    counts = count_event_types(dataset)
    for target in scorers:
        try:
            require_distinct_types(project, counts, target)
            require_distinct_values(project, dataset, target)
        except DataError as error:
            text = f"{error.found}; {error.fix}"
            yield CheckResult("names", target, "", None, None, None, "stop", text)


def _warn_about_readings(
    snapshot: Snapshot, scorers: Mapping[str, Scorer]
) -> Iterator[CheckResult]:
    """Yield a warning for each attribute that is read as in training, unlike its values now."""
    for target, scorer in scorers.items():
        used = set(scorer.encoding.names)
        stored = {name: kind for name, kind in scorer.catalog.readings if name in used}
        for name, text in snapshot.dataset.readings.list_changes(stored):
            yield CheckResult("reading", target, name, None, None, None, "warn", text)


def check_scores(
    snapshot: Snapshot,
    target: str,
    scorer: Scorer,
    matrix: pa.Table,
    frame: pa.Table,
    past_checks: pa.Table,
    published: pa.Table,
) -> list[CheckResult]:
    """Check a target's scores.

    ``matrix`` is the feature matrix and ``frame`` its SCORES with the history columns, row by row;
    ``published`` are the scores of the last night.
    """
    limits = snapshot.project.checks
    attributes = list_lead_attributes(scorer.catalog)
    previous = pc.max(past_checks["as_of"]).as_py()
    ago = snapshot.as_of - previous if previous else None
    counts = FeatureCounts.from_matrix(scorer, matrix)
    probability = frame["probability"].to_numpy()
    known = snapshot.dataset.find_final_leads(published["entity_id"])
    # The number of open leads varies by chance, so `noisy` tolerates three standard deviations of
    # it.
    checks = [
        *check_probabilities(target, frame),
        compare_row_count(
            "leads", target, "", frame.num_rows, past_checks, limits.leads, noisy=True
        ),
        check_gone_leads(target, known >= 0, ago, limits),
        check_grade_changes(target, frame, ago, limits),
        check_score_changes(target, frame, ago, past_checks, limits),
        *check_population(target, counts, probability, attributes, limits),
    ]
    # Without times an as-of is only an order, and a model has no age.
    if snapshot.dataset.timed:
        trained_as_of = _trained_as_of(snapshot, scorer)
        # An age would be negative, or count from a day that is still to come.
        if is_in_future(snapshot.project, trained_as_of, snapshot.clock):
            checks.append(warn_trained_in_future(target, trained_as_of))
        else:
            checks.append(check_model_age(target, snapshot.as_of - trained_as_of, limits))
    return checks


def _check_scorer_target(target: str, scorer: Scorer, version: RegisteredVersion) -> CheckResult:
    if scorer.target == target:
        return pass_unchecked("champion", target, f"version {version.number}")
    text = f"version {version.number} is a model of the target {scorer.target}"
    return CheckResult("champion", target, "", None, None, None, "stop", text)


def _check_event_volume(snapshot: Snapshot, scorers: list[Scorer]) -> list[CheckResult]:
    """Compare the event log with the weeks before the newest training.

    Those weeks say nothing about an as-of before them, so such an as-of passes unchecked.
    """
    if not snapshot.dataset.timed:
        return []
    # The newest training knows the latest event types.
    newest = max(scorers, key=lambda scorer: _trained_as_of(snapshot, scorer))
    volume, trained_as_of = newest.metadata.event_volume, _trained_as_of(snapshot, newest)
    # Models of earlier versions stored no event volume; they keep publishing until the next
    # training.
    if volume is None:
        text = "the model does not keep the event volume of its training; train it again"
        return [pass_unchecked("gone_types", "", text)]
    if trained_as_of > snapshot.as_of:
        text = f"the model was trained as of {trained_as_of.isoformat()}, after this as-of"
        return [pass_unchecked("gone_types", "", text)]
    catalog = newest.catalog
    names = [
        *(f"event type {name}" for name in catalog.types),
        *(f"channel {name}" for name in catalog.channels),
        *(f"amount of {name}" for name in catalog.valued),
    ]
    return check_event_types(
        snapshot.dataset.events,
        snapshot.as_of,
        EventVolume.from_json(volume),
        names,
        snapshot.project.checks,
    )


def _trained_as_of(snapshot: Snapshot, scorer: Scorer) -> datetime:
    return snapshot.project.parse_instant(scorer.metadata.trained_as_of)
