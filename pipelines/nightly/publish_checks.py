"""Is a night fit to be published? The checks in their order: the models, the sources, then each target's scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from models.reference.event_volume import Activity
from models.registry.registry import Registry, Version
from models.scorer import Scorer
from pipelines.training_data import Snapshot
from serve.checks.checks import Check, passed
from serve.checks.feature_counts import Tonight
from serve.checks.score_checks import check_age, check_moved, check_population, check_probabilities
from serve.checks.source_checks import check_activity, check_sources, compared
from serve.scoring.scoring import attributes_of


def unreached(error: ConfigError) -> Check:
    """Warn that the registry did not answer, so that the last night's champions are taken."""
    text = f"the champions are those of the last night: {error.headline}"
    return Check("champion", "", "the registry", None, None, None, "warn", text)


def load_champions(
    champions: Mapping[str, Version | None], registry: Registry
) -> tuple[dict[str, Scorer], list[Check]]:
    """Return each target's scorer, with a stop for one whose files are missing, changed or of another target."""
    scorers, found = dict[str, Scorer](), []
    for target, version in champions.items():
        if version is None:
            text = "it has no champion, so no scores; train it and look at what the gate says"
            found.append(Check("champion", "", target, None, None, None, "warn", text))
            continue
        try:
            scorers[target] = Scorer.load(registry.directory(version))
        except DataError as error:
            found.append(Check("champion", target, "", None, None, None, "stop", error.headline))
            continue
        found.append(_own(target, scorers[target], version))
    return scorers, found


def _own(target: str, scorer: Scorer, version: Version) -> Check:
    if scorer.target == target:
        return passed("champion", target, f"version {version.number}")
    text = f"version {version.number} is a model of the target {scorer.target}"
    return Check("champion", target, "", None, None, None, "stop", text)


def check_data(now: Snapshot, scorers: dict[str, Scorer], former: pa.Table) -> list[Check]:
    """Check what was read, before anything is scored; ``former`` is what the last nights' checks saw."""
    limits = now.project.checks
    return [
        *check_sources(now.dataset, now.as_of, former, limits),
        *_activity(now, list(scorers.values())),
    ]


def _activity(now: Snapshot, scorers: list[Scorer]) -> list[Check]:
    """Compare the log with the weeks before the newest training; those say nothing of a night before them."""
    if not now.dataset.timed:
        return []
    newest = max(scorers, key=lambda scorer: _trained(now, scorer))
    kept, trained = newest.meta.get("activity"), _trained(now, newest)
    if kept is None:
        return [
            passed("gone_types", "", "the model does not keep what the log was like; train again")
        ]
    if trained > now.as_of:
        return [
            passed(
                "gone_types", "", f"the model learnt as of {trained.isoformat()}, after this night"
            )
        ]
    catalog = newest.catalog
    known = [f"event type {name}" for name in catalog.types] + [
        f"channel {name}" for name in catalog.channels
    ]
    known += [f"amount of {name}" for name in catalog.valued]
    return check_activity(
        now.dataset.events, now.as_of, Activity.from_json(kept), known, now.project.checks
    )


def check_scores(
    now: Snapshot, target: str, scorer: Scorer, matrix: pa.Table, frame: pa.Table, former: pa.Table
) -> list[Check]:
    """Check what a target's champion made of the night; ``frame`` is SCORES with the history, of ``matrix``."""
    limits = now.project.checks
    attributes = attributes_of(scorer.catalog)
    before = pc.max(former["as_of"]).as_py()
    seen, probability = Tonight.of(scorer, matrix), frame["probability"].to_numpy()
    found = [
        *check_probabilities(target, frame),
        compared("leads", target, "", frame.num_rows, former, limits.leads, noisy=True),
        check_moved(target, frame, now.as_of - before if before else None, limits),
        *check_population(target, seen, probability, attributes, limits),
    ]
    if now.dataset.timed:
        found.append(check_age(target, now.as_of - _trained(now, scorer), limits))
    return found


def _trained(now: Snapshot, scorer: Scorer) -> datetime:
    return now.project.instant(scorer.meta["trained_as_of"])
