"""Is a night fit to be published? The checks in their order: the models, the sources, then each target's scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from models.reference.event_volume import EventVolume
from models.registry.registry import RegisteredVersion, Registry
from models.scorer import Scorer
from pipelines.training_data import Snapshot
from serve.checks.checks import CheckResult, pass_unchecked
from serve.checks.feature_counts import FeatureCounts
from serve.checks.score_checks import (
    check_grade_changes,
    check_model_age,
    check_population,
    check_probabilities,
)
from serve.checks.source_checks import check_event_types, check_sources, compare_row_count
from serve.scoring.scoring import list_lead_attributes


def warn_registry_unreachable(error: ConfigError) -> CheckResult:
    """Warn that the registry did not answer, so that the last night's champions are taken."""
    text = f"the champions are those of the last night: {error.headline}"
    return CheckResult("champion", "", "the registry", None, None, None, "warn", text)


def load_champion_scorers(
    champions: Mapping[str, RegisteredVersion | None], registry: Registry
) -> tuple[dict[str, Scorer], list[CheckResult]]:
    """Return each target's scorer, with a stop for one whose files are missing, changed or of another target."""
    scorers, found = dict[str, Scorer](), []
    for target, version in champions.items():
        if version is None:
            text = "it has no champion, so no scores; train it and look at what the gate says"
            found.append(CheckResult("champion", "", target, None, None, None, "warn", text))
            continue
        try:
            scorers[target] = Scorer.load(registry.scorer_directory(version))
        except DataError as error:
            found.append(CheckResult("champion", target, "", None, None, None, "stop", error.headline))
            continue
        found.append(_check_scorer_target(target, scorers[target], version))
    return scorers, found


def _check_scorer_target(target: str, scorer: Scorer, version: RegisteredVersion) -> CheckResult:
    if scorer.target == target:
        return pass_unchecked("champion", target, f"version {version.number}")
    text = f"version {version.number} is a model of the target {scorer.target}"
    return CheckResult("champion", target, "", None, None, None, "stop", text)


def check_data(snapshot: Snapshot, scorers: dict[str, Scorer], former: pa.Table) -> list[CheckResult]:
    """Check what was read, before anything is scored; ``former`` is what the last nights' checks saw."""
    limits = snapshot.project.checks
    return [
        *check_sources(snapshot.dataset, snapshot.as_of, former, limits),
        *_check_event_volume(snapshot, list(scorers.values())),
    ]


def _check_event_volume(now: Snapshot, scorers: list[Scorer]) -> list[CheckResult]:
    """Compare the log with the weeks before the newest training; those say nothing of a night before them."""
    if not now.dataset.timed:
        return []
    newest = max(scorers, key=lambda scorer: _trained_as_of(now, scorer))
    kept, trained = newest.metadata.event_volume, _trained_as_of(now, newest)
    if kept is None:
        return [
            pass_unchecked("gone_types", "", "the model does not keep what the log was like; train again")
        ]
    if trained > now.as_of:
        return [
            pass_unchecked(
                "gone_types", "", f"the model learnt as of {trained.isoformat()}, after this night"
            )
        ]
    catalog = newest.catalog
    known = [f"event type {name}" for name in catalog.types] + [
        f"channel {name}" for name in catalog.channels
    ]
    known += [f"amount of {name}" for name in catalog.valued]
    return check_event_types(
        now.dataset.events, now.as_of, EventVolume.from_json(kept), known, now.project.checks
    )


def check_scores(
    snapshot: Snapshot, target: str, scorer: Scorer, matrix: pa.Table, frame: pa.Table, former: pa.Table
) -> list[CheckResult]:
    """Check what a target's champion made of the night; ``frame`` is SCORES with the history, of ``matrix``."""
    limits = snapshot.project.checks
    attributes = list_lead_attributes(scorer.catalog)
    before = pc.max(former["as_of"]).as_py()
    seen, probability = FeatureCounts.from_matrix(scorer, matrix), frame["probability"].to_numpy()
    found = [
        *check_probabilities(target, frame),
        compare_row_count("leads", target, "", frame.num_rows, former, limits.leads, noisy=True),
        check_grade_changes(target, frame, snapshot.as_of - before if before else None, limits),
        *check_population(target, seen, probability, attributes, limits),
    ]
    if snapshot.dataset.timed:
        found.append(check_model_age(target, snapshot.as_of - _trained_as_of(snapshot, scorer), limits))
    return found


def _trained_as_of(now: Snapshot, scorer: Scorer) -> datetime:
    return now.project.parse_instant(scorer.metadata.trained_as_of)
