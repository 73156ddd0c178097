"""What must hold of a target's features and scores before they are published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.checks import Checks
from models.reference.feature_distribution import ColumnDistribution, TrainingDistribution
from models.reference.psi import compute_excess_psi
from serve.checks.checks import CheckResult, judge_value, pass_unchecked, report_worst, to_days
from serve.checks.feature_counts import FeatureCounts

MIN_STOPPING_WEIGHT = 0.01
"""A feature with less than this share in what the model says may drift with a warning only; so may a category, which
has checks of its own.
"""
MAX_COMPARED_AGE = timedelta(days=3)
"""So near a night is one that grades are compared with."""
MIN_COMPARED_LEADS = 50
"""Leads from which a share of them says something."""
INDEX_NAME, BEYOND_EXPECTED = "population stability index", "beyond chance and what is usual"
NO_POPULATION = (
    "the model keeps nothing of its training population; train again to have this checked"
)


def check_probabilities(target: str, frame: pa.Table) -> list[CheckResult]:
    """Stop at a probability that is not inside its interval or not between 0 and 1, and at an entity twice."""
    low, middle, high = (
        frame[name] for name in ("probability_low", "probability", "probability_high")
    )
    sane = pc.and_(
        pc.and_(pc.less_equal(0.0, low), pc.less_equal(low, middle)), pc.less_equal(middle, high)
    )
    sane = pc.fill_null(pc.and_(sane, pc.less_equal(high, 1.0)), False)
    bad = frame["entity_id"].filter(pc.invert(sane))
    twice = frame.num_rows - pc.count_distinct(frame["entity_id"]).as_py()
    found = []
    if len(bad):
        text = (
            f"{len(bad)} rows outside their interval or outside 0 to 1, such as {bad[0].as_py()!r}"
        )
        found.append(CheckResult("probabilities", target, "interval", len(bad), None, None, "stop", text))
    if twice:
        text = f"{twice} rows too many: an entity is scored twice"
        found.append(CheckResult("probabilities", target, "entities", twice, None, None, "stop", text))
    return found or [CheckResult("probabilities", target, "", 0.0, None, None, "pass")]


def check_any_scored(frames: dict[str, pa.Table]) -> list[CheckResult]:
    """Stop where no entity is eligible under any target."""
    if any(frame.num_rows for frame in frames.values()):
        return []
    text = f"0 rows to publish: no entity is eligible at this as-of under {', '.join(frames)}"
    return [CheckResult("leads", "", "all targets", 0.0, None, None, "stop", text)]


def check_model_age(target: str, age: timedelta, limits: Checks) -> CheckResult:
    """Check how long ago the model was trained."""
    return judge_value(
        "model_age",
        target,
        "",
        to_days(age) or 0.0,
        limits.model_age,
        f"trained {age.days} days ago",
    )


def check_grade_changes(target: str, frame: pa.Table, ago: timedelta | None, limits: Checks) -> CheckResult:
    """Check the share of leads whose grade is another than at the last earlier as-of, among those scored at both.

    ``frame`` has grade and previous_grade, both as published. ``ago`` is how far back that as-of lies: leads move, and
    over many days most of them do.
    """
    if ago is None or ago > MAX_COMPARED_AGE:
        return pass_unchecked(
            "moved",
            target,
            "there is no night before" if ago is None else f"it is {ago.days} days back",
        )
    both = frame.filter(pc.is_valid(frame["previous_grade"]))
    if both.num_rows < MIN_COMPARED_LEADS:
        return pass_unchecked(
            "moved", target, f"{both.num_rows} leads were scored before, {MIN_COMPARED_LEADS} are needed"
        )
    share = pc.mean(pc.not_equal(both["grade"], both["previous_grade"])).as_py()
    text = f"{share:.0%} of {both.num_rows:,} leads have another grade than the night before"
    return judge_value("moved", target, "", share, limits.moved, text)


def check_population(
    target: str,
    counts: FeatureCounts,
    probability: np.ndarray,
    attributes: Iterable[str],
    limits: Checks,
) -> list[CheckResult]:
    """Compare a night with the training population: attributes, features, probabilities and their mean."""
    population = counts.population
    if population is None:
        return [pass_unchecked("drift", target, NO_POPULATION)]
    if not counts.rows:
        return [pass_unchecked("drift", target, "no lead was scored")]
    own = [name for name in attributes if name in population.columns]
    return [
        *_check_missing(target, counts, own, population, limits),
        *_check_categories(target, counts, own, population, limits),
        *_check_drift(target, counts, population, limits),
        *_check_score_drift(target, probability, population, limits),
    ]


def _check_missing(
    target: str, counts: FeatureCounts, names: list[str], population: TrainingDistribution, limits: Checks
) -> list[CheckResult]:
    found = []
    for name in names:
        column, share = population.columns[name], counts.counts[name][-1] / counts.rows
        before = max(column.total_counts[-1] / column.total_counts.sum(), column.recent_counts[-1] / column.recent_counts.sum())
        beyond = max(share - before - _bound_sampling_error(before, counts.rows), 0.0)
        text = f"missing in {share:.0%} of the leads, in {before:.0%} of those learnt from"
        found.append(judge_value("missing", target, name, beyond, limits.missing, text))
    return report_worst(
        "missing", target, found, limits.missing, "attributes are missing more than they were"
    )


def _check_categories(
    target: str, counts: FeatureCounts, names: list[str], population: TrainingDistribution, limits: Checks
) -> list[CheckResult]:
    new, gone = [], []
    for name in names:
        column = population.columns[name]
        if column.kind == "category":
            share = counts.unknown_categories[name] / counts.rows
            beyond = max(share - column.new_category_share - _bound_sampling_error(column.new_category_share, counts.rows), 0.0)
            text = f"{share:.0%} of the leads have a category that the model does not know"
            new.append(judge_value("new_categories", target, name, beyond, limits.new_categories, text))
            gone += _check_gone_categories(target, name, column, counts, limits)
    counted = "attributes have new categories beyond the limit"
    return [
        *report_worst("new_categories", target, new, limits.new_categories, counted),
        *report_worst(
            "gone_categories", target, gone, limits.gone_categories, "are gone beyond the limit"
        ),
    ]


def _check_gone_categories(target: str, name: str, column: ColumnDistribution, counts: FeatureCounts, limits: Checks) -> list[CheckResult]:
    shares = np.minimum(column.total_counts / column.total_counts.sum(), column.recent_counts / column.recent_counts.sum())
    sure = shares * counts.rows >= 20  # fewer may be missing by chance
    return [
        judge_value(
            "gone_categories",
            target,
            f"{name}: {level}",
            float(share),
            limits.gone_categories,
            text,
        )
        for level, share, enough, rows in zip(
            column.levels, shares, sure, counts.counts[name], strict=False
        )
        for text in [f"no lead has it; {share:.0%} of those learnt from had"]
        if enough and not rows
    ]


def _bound_sampling_error(share: float, rows: int) -> float:
    """Return how far a share of so many rows may lie beyond that of the training by chance: four standard errors."""
    return 4 * np.sqrt(max(share * (1 - share), 1 / rows) / rows)


def _check_drift(target: str, counts: FeatureCounts, population: TrainingDistribution, limits: Checks) -> list[CheckResult]:
    found = []
    for name, column in population.columns.items():
        index = _measure_drift(column, counts.counts[name], population.entities, counts.rows)
        text = f"{INDEX_NAME} {index:.2f} {BEYOND_EXPECTED}, {_describe_grown_bin(column, counts, name)}"
        one = judge_value("drift", target, name, index, limits.drift, text)
        light = one.verdict == "stop" and (column.importance < MIN_STOPPING_WEIGHT or column.kind == "category")
        found.append(replace(one, verdict="warn") if light else one)
    return report_worst("drift", target, found, limits.drift, "features drift beyond the limit")


def _measure_drift(column: ColumnDistribution, counts: np.ndarray, sizes: tuple[int, int], rows: int) -> float:
    """Return the drift against the whole training or its latest slice, whichever is less, beyond what is usual."""
    against = zip((column.total_counts, column.recent_counts), sizes, strict=True)
    return max(
        min(compute_excess_psi(kept, counts, (size, rows)) for kept, size in against) - column.max_training_drift, 0.0
    )


def _describe_grown_bin(column: ColumnDistribution, counts: FeatureCounts, name: str) -> str:
    """Name the bin whose share grew the most."""
    before, now = column.total_counts / column.total_counts.sum(), counts.counts[name] / counts.rows
    place = int(np.argmax(now - before))
    if column.kind == "category":
        bins = [*(f"“{level}”" for level in column.levels), "other categories", "missing"]
    else:
        edges = [f"{edge:g}" for edge in column.edges]
        bins = [f"up to {edge}" for edge in edges] + [
            f"above {edges[-1]}" if edges else "a number",
            "missing",
        ]
    return (
        f"{bins[place]} in {now[place]:.0%} of the leads, {before[place]:.0%} of those learnt from"
    )


def _check_score_drift(target: str, probability: np.ndarray, population: TrainingDistribution, limits: Checks) -> list[CheckResult]:
    kept = population.probability
    counts = kept.count(pa.chunked_array([pa.array(probability)]))
    index = _measure_drift(kept, counts, population.tested_entities, len(probability))
    above = float((probability > kept.edges[-1]).mean()) if len(kept.edges) else 0.0
    text = f"{INDEX_NAME} {index:.2f} {BEYOND_EXPECTED}, {above:.0%} of the leads in the top tenth"
    return [
        judge_value("score_drift", target, "", index, limits.score_drift, text),
        _check_mean(target, probability, population, limits),
    ]


def _check_mean(target: str, probability: np.ndarray, population: TrainingDistribution, limits: Checks) -> CheckResult:
    """Check the factor between the mean probability and that out of time, beyond chance and what slices differ by."""
    slices = np.log(np.maximum(population.mean_probabilities, 1e-9))
    expected, now = float(np.mean(population.mean_probabilities)), float(probability.mean())
    error = 4 * float(probability.std()) / np.sqrt(len(probability)) / max(now, 1e-9)
    away = np.min(np.abs(np.log(max(now, 1e-9)) - np.array([*slices, np.log(expected)])))
    usual = float(np.ptp(slices)) / 2
    factor = float(np.exp(max(away - usual - error, 0.0)))
    text = f"{now:.3f}, out of time it was {expected:.3f}: a factor of {factor:.1f} {BEYOND_EXPECTED}"
    return judge_value("mean", target, "", factor, limits.mean, text)
