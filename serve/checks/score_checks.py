"""What must hold of a target's features and scores before they are published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.checks import Checks
from models.reference.feature_distribution import Column, Population
from models.reference.psi import beyond_chance
from serve.checks.checks import Check, in_days, judged, passed, worst
from serve.checks.feature_counts import Tonight

HEAVY = 0.01
"""A feature with less than this share in what the model says may drift with a warning only; so may a category, which
has checks of its own.
"""
RECENT = timedelta(days=3)
"""So near a night is one that grades are compared with."""
FEW = 50
"""Leads from which a share of them says something."""
INDEX, BEYOND = "population stability index", "beyond chance and what is usual"
NO_POPULATION = (
    "the model keeps nothing of its training population; train again to have this checked"
)


def check_probabilities(target: str, frame: pa.Table) -> list[Check]:
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
        found.append(Check("probabilities", target, "interval", len(bad), None, None, "stop", text))
    if twice:
        text = f"{twice} rows too many: an entity is scored twice"
        found.append(Check("probabilities", target, "entities", twice, None, None, "stop", text))
    return found or [Check("probabilities", target, "", 0.0, None, None, "pass")]


def check_some(frames: dict[str, pa.Table]) -> list[Check]:
    """Stop where no entity is eligible under any target."""
    if any(frame.num_rows for frame in frames.values()):
        return []
    text = f"0 rows to publish: no entity is eligible at this as-of under {', '.join(frames)}"
    return [Check("leads", "", "all targets", 0.0, None, None, "stop", text)]


def check_age(target: str, age: timedelta, limits: Checks) -> Check:
    """Check how long ago the model was trained."""
    return judged(
        "model_age",
        target,
        "",
        in_days(age) or 0.0,
        limits.model_age,
        f"trained {age.days} days ago",
    )


def check_moved(target: str, frame: pa.Table, ago: timedelta | None, limits: Checks) -> Check:
    """Check the share of leads whose grade is another than at the last earlier as-of, among those scored at both.

    ``frame`` has grade and previous_grade, both as published. ``ago`` is how far back that as-of lies: leads move, and
    over many days most of them do.
    """
    if ago is None or ago > RECENT:
        return passed(
            "moved",
            target,
            "there is no night before" if ago is None else f"it is {ago.days} days back",
        )
    both = frame.filter(pc.is_valid(frame["previous_grade"]))
    if both.num_rows < FEW:
        return passed(
            "moved", target, f"{both.num_rows} leads were scored before, {FEW} are needed"
        )
    share = pc.mean(pc.not_equal(both["grade"], both["previous_grade"])).as_py()
    text = f"{share:.0%} of {both.num_rows:,} leads have another grade than the night before"
    return judged("moved", target, "", share, limits.moved, text)


def check_population(
    target: str,
    tonight: Tonight,
    probability: np.ndarray,
    attributes: Iterable[str],
    limits: Checks,
) -> list[Check]:
    """Compare a night with the training population: attributes, features, probabilities and their mean."""
    population = tonight.population
    if population is None:
        return [passed("drift", target, NO_POPULATION)]
    if not tonight.rows:
        return [passed("drift", target, "no lead was scored")]
    own = [name for name in attributes if name in population.columns]
    return [
        *_missing(target, tonight, own, population, limits),
        *_categories(target, tonight, own, population, limits),
        *_drift(target, tonight, population, limits),
        *_scores(target, probability, population, limits),
    ]


def _missing(
    target: str, tonight: Tonight, names: list[str], population: Population, limits: Checks
) -> list[Check]:
    found = []
    for name in names:
        column, share = population.columns[name], tonight.counts[name][-1] / tonight.rows
        before = max(column.whole[-1] / column.whole.sum(), column.recent[-1] / column.recent.sum())
        beyond = max(share - before - _doubt(before, tonight.rows), 0.0)
        text = f"missing in {share:.0%} of the leads, in {before:.0%} of those learnt from"
        found.append(judged("missing", target, name, beyond, limits.missing, text))
    return worst(
        "missing", target, found, limits.missing, "attributes are missing more than they were"
    )


def _categories(
    target: str, tonight: Tonight, names: list[str], population: Population, limits: Checks
) -> list[Check]:
    new, gone = [], []
    for name in names:
        column = population.columns[name]
        if column.kind == "category":
            share = tonight.strange[name] / tonight.rows
            beyond = max(share - column.novel - _doubt(column.novel, tonight.rows), 0.0)
            text = f"{share:.0%} of the leads have a category that the model does not know"
            new.append(judged("new_categories", target, name, beyond, limits.new_categories, text))
            gone += _gone(target, name, column, tonight, limits)
    counted = "attributes have new categories beyond the limit"
    return [
        *worst("new_categories", target, new, limits.new_categories, counted),
        *worst(
            "gone_categories", target, gone, limits.gone_categories, "are gone beyond the limit"
        ),
    ]


def _gone(target: str, name: str, column: Column, tonight: Tonight, limits: Checks) -> list[Check]:
    shares = np.minimum(column.whole / column.whole.sum(), column.recent / column.recent.sum())
    sure = shares * tonight.rows >= 20  # fewer may be missing by chance
    return [
        judged(
            "gone_categories",
            target,
            f"{name}: {level}",
            float(share),
            limits.gone_categories,
            text,
        )
        for level, share, enough, rows in zip(
            column.levels, shares, sure, tonight.counts[name], strict=False
        )
        for text in [f"no lead has it; {share:.0%} of those learnt from had"]
        if enough and not rows
    ]


def _doubt(share: float, rows: int) -> float:
    """Return how far a share of so many rows may lie beyond that of the training by chance: four standard errors."""
    return 4 * np.sqrt(max(share * (1 - share), 1 / rows) / rows)


def _drift(target: str, tonight: Tonight, population: Population, limits: Checks) -> list[Check]:
    found = []
    for name, column in population.columns.items():
        index = _index(column, tonight.counts[name], population.entities, tonight.rows)
        text = f"{INDEX} {index:.2f} {BEYOND}, {_where(column, tonight, name)}"
        one = judged("drift", target, name, index, limits.drift, text)
        light = one.verdict == "stop" and (column.weight < HEAVY or column.kind == "category")
        found.append(replace(one, verdict="warn") if light else one)
    return worst("drift", target, found, limits.drift, "features drift beyond the limit")


def _index(column: Column, counts: np.ndarray, sizes: tuple[int, int], rows: int) -> float:
    """Return the drift against the whole training or its latest slice, whichever is less, beyond what is usual."""
    against = zip((column.whole, column.recent), sizes, strict=True)
    return max(
        min(beyond_chance(kept, counts, (size, rows)) for kept, size in against) - column.usual, 0.0
    )


def _where(column: Column, tonight: Tonight, name: str) -> str:
    """Name the bin whose share grew the most."""
    before, now = column.whole / column.whole.sum(), tonight.counts[name] / tonight.rows
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


def _scores(target: str, chance: np.ndarray, population: Population, limits: Checks) -> list[Check]:
    kept = population.probability
    counts = kept.count(pa.chunked_array([pa.array(chance)]))
    index = _index(kept, counts, population.tested, len(chance))
    above = float((chance > kept.edges[-1]).mean()) if len(kept.edges) else 0.0
    text = f"{INDEX} {index:.2f} {BEYOND}, {above:.0%} of the leads in the top tenth"
    return [
        judged("score_drift", target, "", index, limits.score_drift, text),
        _mean(target, chance, population, limits),
    ]


def _mean(target: str, chance: np.ndarray, population: Population, limits: Checks) -> Check:
    """Check the factor between the mean probability and that out of time, beyond chance and what slices differ by."""
    slices = np.log(np.maximum(population.means, 1e-9))
    expected, now = float(np.mean(population.means)), float(chance.mean())
    error = 4 * float(chance.std()) / np.sqrt(len(chance)) / max(now, 1e-9)
    away = np.min(np.abs(np.log(max(now, 1e-9)) - np.array([*slices, np.log(expected)])))
    usual = float(np.ptp(slices)) / 2
    factor = float(np.exp(max(away - usual - error, 0.0)))
    text = f"{now:.3f}, out of time it was {expected:.3f}: a factor of {factor:.1f} {BEYOND}"
    return judged("mean", target, "", factor, limits.mean, text)
