"""Checks of a target's features and scores before they are published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.checks import Checks
from models.reference.feature_distribution import ColumnDistribution, TrainingDistribution
from models.reference.psi import compute_excess_psi
from serve.checks.checks import CheckResult, judge_value, pass_unchecked, report_worst, to_days
from serve.checks.feature_counts import FeatureCounts
from serve.monitoring.expectations import describe_future_training

# Share of the model's total contribution. A lighter feature hardly moves the scores, so its drift
# only warns. Category drift only warns too: categories have checks of their own.
MIN_STOPPING_WEIGHT = 0.01
# Grades are compared with a night at most this far back: over many days most leads move.
MAX_COMPARED_AGE = timedelta(days=3)
# With fewer leads, the share with a changed grade is mostly chance.
MIN_COMPARED_LEADS = 50
# A category with fewer expected rows may be missing by chance.
MIN_EXPECTED_ROWS = 20
# Four standard errors make a false alarm negligible over all attributes and nights.
SAMPLING_ERRORS = 4
INDEX_NAME, BEYOND_EXPECTED = "population stability index", "beyond chance and typical variation"
NO_POPULATION = "the model stores no training distribution; train again to enable this check"


def check_gone_leads(
    target: str, is_known: np.ndarray, ago: timedelta | None, limits: Checks
) -> CheckResult:
    """Check the share of the leads published on the last night that are no longer in the data.

    ``is_known`` has an element for each of them, ``ago`` is the time since that night. Where every
    id is written in another way, the number of leads stays, and a CRM would find none of them.
    """
    if ago is None or ago > MAX_COMPARED_AGE or len(is_known) < MIN_COMPARED_LEADS:
        return pass_unchecked("gone_leads", target, "no night to compare with, or too few leads")
    gone = int((~is_known).sum())
    text = (
        f"{gone:,} of the {len(is_known):,} leads that were published on the last night are not in "
        "the data any more"
    )
    return judge_value("gone_leads", target, "", gone / len(is_known), limits.gone_leads, text)


def check_probabilities(target: str, frame: pa.Table) -> list[CheckResult]:
    """Stop at a probability outside its interval or outside 0 to 1, and at a repeated entity."""
    low, middle, high = (
        frame[name] for name in ("probability_low", "probability", "probability_high")
    )
    is_valid = pc.and_(
        pc.and_(pc.less_equal(0.0, low), pc.less_equal(low, middle)), pc.less_equal(middle, high)
    )
    # A comparison with a missing bound is null, and such a row is as wrong as one out of bounds.
    is_valid = pc.fill_null(pc.and_(is_valid, pc.less_equal(high, 1.0)), False)
    invalid = frame["entity_id"].filter(pc.invert(is_valid))
    repeated = frame.num_rows - pc.count_distinct(frame["entity_id"]).as_py()
    stops = []
    if len(invalid):
        text = (
            f"{len(invalid)} rows outside their interval or outside 0 to 1, "
            f"such as {invalid[0].as_py()!r}"
        )
        stops.append(("interval", len(invalid), text))
    if repeated:
        text = f"{repeated} rows too many: an entity is scored twice"
        stops.append(("entities", repeated, text))
    return [
        CheckResult("probabilities", target, subject, count, None, None, "stop", text)
        for subject, count, text in stops
    ] or [CheckResult("probabilities", target, "", 0.0, None, None, "pass")]


def check_any_scored(frames: dict[str, pa.Table]) -> list[CheckResult]:
    """Stop if no entity is eligible for any target."""
    if any(frame.num_rows for frame in frames.values()):
        return []
    text = f"0 rows to publish: no entity is eligible at this as-of for {', '.join(frames)}"
    return [CheckResult("leads", "", "all targets", 0.0, None, None, "stop", text)]


def check_model_age(target: str, age: timedelta, limits: Checks) -> CheckResult:
    """Check the time since the training of the model."""
    return judge_value(
        "model_age",
        target,
        "",
        to_days(age) or 0.0,
        limits.model_age,
        f"trained {age.days} days ago",
    )


def warn_trained_in_future(target: str, trained_as_of: datetime) -> CheckResult:
    """Return the warning about a model whose training as-of lies after the clock."""
    text = describe_future_training(trained_as_of)
    return CheckResult("model_age", target, "", None, None, None, "warn", text)


def check_grade_changes(
    target: str, frame: pa.Table, ago: timedelta | None, limits: Checks
) -> CheckResult:
    """Check the share of leads whose grade differs from the last earlier night's.

    Only leads scored on both nights count. ``frame`` needs grade and previous_grade, as published.
    ``ago`` is the distance to the earlier night; None if there is none.
    """
    if ago is None:
        return pass_unchecked("moved", target, "there is no earlier night")
    if ago > MAX_COMPARED_AGE:
        return pass_unchecked("moved", target, f"the last night is {ago.days} days back")
    both = frame.filter(pc.is_valid(frame["previous_grade"]))
    if both.num_rows < MIN_COMPARED_LEADS:
        text = f"{both.num_rows} leads were scored on both nights, {MIN_COMPARED_LEADS} are needed"
        return pass_unchecked("moved", target, text)
    share = pc.mean(pc.not_equal(both["grade"], both["previous_grade"])).as_py()
    text = f"{share:.0%} of {both.num_rows:,} leads have a different grade than on the last night"
    return judge_value("moved", target, "", share, limits.moved, text)


def check_population(
    target: str,
    counts: FeatureCounts,
    probability: np.ndarray,
    attributes: Iterable[str],
    limits: Checks,
) -> list[CheckResult]:
    """Compare attributes, features and probabilities of a night with the training distribution."""
    population = counts.population
    if population is None:
        return [pass_unchecked("drift", target, NO_POPULATION)]
    if not counts.rows:
        return [pass_unchecked("drift", target, "no lead was scored")]
    compared = [name for name in attributes if name in population.columns]
    return [
        *_check_missing(target, counts, compared, population, limits),
        *_check_categories(target, counts, compared, population, limits),
        *_check_drift(target, counts, population, limits),
        *_check_score_drift(target, probability, population, limits),
    ]


def _check_missing(
    target: str,
    counts: FeatureCounts,
    names: list[str],
    population: TrainingDistribution,
    limits: Checks,
) -> list[CheckResult]:
    """Check the share of missing values of each attribute, beyond that of the training data."""
    results = []
    for name in names:
        share = counts.counts[name][-1] / counts.rows
        before = max(shares[-1] for shares in _training_shares(population.columns[name]))
        excess = _measure_excess(share, before, counts.rows)
        text = f"missing in {share:.0%} of the leads, in {before:.0%} of the training rows"
        results.append(judge_value("missing", target, name, excess, limits.missing, text))
    return report_worst(
        "missing", target, results, limits.missing, "attributes are missing more often"
    )


def _check_categories(
    target: str,
    counts: FeatureCounts,
    names: list[str],
    population: TrainingDistribution,
    limits: Checks,
) -> list[CheckResult]:
    """Check each attribute for categories unknown to the model, and for gone ones."""
    new, gone = [], []
    for name in names:
        column = population.columns[name]
        if column.kind == "category":
            share, before = counts.unknown_categories[name] / counts.rows, column.new_category_share
            excess = _measure_excess(share, before, counts.rows)
            text = f"{share:.0%} of the leads have a category that the model does not know"
            new.append(
                judge_value("new_categories", target, name, excess, limits.new_categories, text)
            )
            gone += _check_gone_categories(target, name, column, counts, limits)
    counted = "attributes have new categories beyond the limit"
    return [
        *report_worst("new_categories", target, new, limits.new_categories, counted),
        *report_worst(
            "gone_categories",
            target,
            gone,
            limits.gone_categories,
            "categories are gone beyond the limit",
        ),
    ]


def _training_shares(column: ColumnDistribution) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each bin in all training rows, and in the latest slice of them."""
    return (
        column.total_counts / column.total_counts.sum(),
        column.recent_counts / column.recent_counts.sum(),
    )


def _check_gone_categories(
    target: str, name: str, column: ColumnDistribution, counts: FeatureCounts, limits: Checks
) -> list[CheckResult]:
    """Check for categories of one attribute that no lead has any more; one result per category."""
    # The smaller share: a category that was already rare in the latest slice is not gone.
    shares = np.minimum(*_training_shares(column))
    is_expected = shares * counts.rows >= MIN_EXPECTED_ROWS
    return [
        judge_value(
            "gone_categories",
            target,
            f"{name}: {level}",
            float(share),
            limits.gone_categories,
            f"no lead has it; {share:.0%} of the training rows had it",
        )
        # ``levels`` is shorter: the last bins are other categories and missing values.
        for level, share, expected, rows in zip(
            column.levels, shares, is_expected, counts.counts[name], strict=False
        )
        if expected and not rows
    ]


def _measure_excess(share: float, expected: float, rows: int) -> float:
    """Return how far a share of ``rows`` rows exceeds the expected one beyond chance; 0 if not."""
    # Without the floor of 1 / rows a share of 0 would have no error, and one new row would count.
    error = SAMPLING_ERRORS * np.sqrt(max(expected * (1 - expected), 1 / rows) / rows)
    return max(share - expected - error, 0.0)


def _check_drift(
    target: str, counts: FeatureCounts, population: TrainingDistribution, limits: Checks
) -> list[CheckResult]:
    """Check the drift of each feature; light features and categories warn at most."""
    results = []
    for name, column in population.columns.items():
        index = _measure_drift(column, counts.counts[name], population.entities, counts.rows)
        grown = _describe_grown_bin(column, counts.counts[name] / counts.rows)
        text = f"{INDEX_NAME} {index:.2f} {BEYOND_EXPECTED}, {grown}"
        result = judge_value("drift", target, name, index, limits.drift, text)
        may_stop = column.importance >= MIN_STOPPING_WEIGHT and column.kind != "category"
        if result.verdict == "stop" and not may_stop:
            result = replace(result, verdict="warn")
        results.append(result)
    return report_worst("drift", target, results, limits.drift, "features drift beyond the limit")


def _measure_drift(
    column: ColumnDistribution, counts: np.ndarray, sizes: tuple[int, int], rows: int
) -> float:
    """Return the population stability index beyond chance and the drift within the training data.

    The night is compared with all training rows and with their latest slice; the smaller index
    counts. ``sizes`` are the entities of these two, ``rows`` those of the night.
    """
    # A season or the growth of the log differs from one reference, a real change from both.
    references = zip((column.total_counts, column.recent_counts), sizes, strict=True)
    index = min(compute_excess_psi(before, counts, (size, rows)) for before, size in references)
    return max(index - column.max_training_drift, 0.0)


def _describe_grown_bin(column: ColumnDistribution, shares: np.ndarray) -> str:
    """Return the bin whose share grew the most, with its share and that in the training rows."""
    before = column.total_counts / column.total_counts.sum()
    place = int(np.argmax(shares - before))
    if column.kind == "category":
        bins = [*(f"“{level}”" for level in column.levels), "other categories", "missing"]
    else:
        edges = [f"{edge:g}" for edge in column.edges]
        bins = [f"up to {edge}" for edge in edges] + [
            f"above {edges[-1]}" if edges else "a number",
            "missing",
        ]
    return (
        f"{bins[place]} in {shares[place]:.0%} of the leads, "
        f"{before[place]:.0%} of the training rows"
    )


def _check_score_drift(
    target: str, probability: np.ndarray, population: TrainingDistribution, limits: Checks
) -> list[CheckResult]:
    """Check the drift of the probabilities and of their mean, against out-of-time predictions."""
    reference = population.probability
    counts = reference.count(pa.chunked_array([pa.array(probability)]))
    index = _measure_drift(reference, counts, population.tested_entities, len(probability))
    above = float((probability > reference.edges[-1]).mean()) if len(reference.edges) else 0.0
    text = f"{INDEX_NAME} {index:.2f} {BEYOND_EXPECTED}, {above:.0%} of the leads in the top tenth"
    return [
        judge_value("score_drift", target, "", index, limits.score_drift, text),
        _check_mean(target, probability, population, limits),
    ]


def _check_mean(
    target: str, probability: np.ndarray, population: TrainingDistribution, limits: Checks
) -> CheckResult:
    """Check the factor between the mean probability and the out-of-time mean.

    The factor excludes chance and half the spread of the means of the training's time slices.
    """
    # Means below 1e-9 are raised to it, so that their logarithm is finite.
    slices = np.log(np.maximum(population.mean_probabilities, 1e-9))
    expected, now = float(np.mean(population.mean_probabilities)), float(probability.mean())
    error = SAMPLING_ERRORS * float(probability.std()) / np.sqrt(len(probability)) / max(now, 1e-9)
    distance = np.min(np.abs(np.log(max(now, 1e-9)) - np.array([*slices, np.log(expected)])))
    spread = float(np.ptp(slices)) / 2
    factor = float(np.exp(max(distance - spread - error, 0.0)))
    text = f"{now:.3f}, {expected:.3f} out of time: a factor of {factor:.1f} {BEYOND_EXPECTED}"
    return judge_value("mean", target, "", factor, limits.mean, text)
