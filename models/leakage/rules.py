"""The rules by which a column gives itself away as written after the outcome.

Only columns that show today's value can be written late: what is computed from dated rows saw nothing later than its
cutoff, and serves here as the measure of what an honest column tells. No rule knows a name; each reads what being
written late does to a column. Kaufman, Rosset, Perlich & Stitelman 2012, Leakage in data mining: formulation,
detection, and avoidance, ACM TKDD 6, is the source of the first two; the others follow from how records are kept.
The bounds were set where the suspects and the honest columns of seven public data sets lie far apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata

from models.leakage.strength import Column, alone, explained, rates, strength, together

Found = Mapping[str, str]
Rule = Callable[["Sample", Found], Iterator[tuple[str, str]]]
"""Takes the sample and what was found so far; yields columns with the evidence in words."""

MATTERS = 0.01
"""Strength below which a column does no harm; most rules leave such columns alone."""

DECIDES = 0.6
"""Strength of a column alone from which hardly anything is left to learn: an AUC of about 0.95."""

STANDS_OUT, STANDS_OUT_TIMES, TRIED, COMPARED = 0.25, 4.0, 6, 30
"""What only one column tells: this share of what the others leave open, and so many times what any other column tells.
The strongest TRIED are left out one by one, beside the COMPARED strongest features of history. Honest columns of the
data sets settle at most 0.17 of what is open, those that were written later 0.34 and more.
"""

ASKED = 0.1
"""Strength alone from which a column is asked whether it stands out."""

SAME_WORDS = 0.95
"""Correlation of what two columns say of the outcome from which they say the same, and are left out together."""

FILLED_DECIDES = 0.15
"""Strength of being filled alone. Optional questions of a form stay below 0.1."""

BLOCKS, EMPTIER = 20, 0.5
"""Rows in order of time are cut into BLOCKS; a later one is EMPTIER by this share of its rows."""

WITHIN = 0.95
"""Share of the rows without a suspect that a column filled in the same step leaves empty too, against chance."""

AGREE, DIFFER = 0.5, 0.02
"""Cohen's kappa of two columns that record one thing, and the strength of whether they differ."""

WHOLE, PARTS, ROUNDED = 0.8, 4, 0.01
"""Share of the rows in which shares add up to one, of at most so many columns, to this precision."""

RUNS, SHARED = -0.6, 0.5
"""Rank correlation with the order of rows, and the share of neighbours with one value that a date's value has."""

EXPLAINED, EXPLAINED_TIMES = 0.5, 1.5
"""Share of a number's ranks that the suspects explain, and how many times what the other columns do."""

CARRIES, REPEATED = 0.05, 2
"""Strength that rows of an entity or an account lend each other, where it has so many rows on average."""


@dataclass(frozen=True)
class Sample:
    """Labelled rows: ``columns`` show today's value, by name; ``history`` are features of what was dated.

    ``half`` parts the rows into two that share no entity and no account. ``order`` holds each row's place in time, None
    where order means nothing; ``number`` its id where all ids are numbers. ``entity`` and ``account`` are codes.
    """

    label: np.ndarray
    half: np.ndarray
    entity: np.ndarray
    account: np.ndarray | None
    order: np.ndarray | None
    number: np.ndarray | None
    columns: dict[str, Column]
    history: list[Column]

    @cached_property
    def said(self) -> dict[str, np.ndarray]:
        """What each column alone says of each row, learnt from the other half."""
        return {
            name: rates(column.steps, self.label, self.half)
            for name, column in self.columns.items()
        }

    @cached_property
    def single(self) -> dict[str, float]:
        """The strength of each column alone."""
        return {name: strength(said, self.label) for name, said in self.said.items()}

    def alone(self, steps: np.ndarray) -> float:
        """Return the strength of a step a row alone."""
        return alone(steps, self.label, self.half)

    def strong(self, least: float = MATTERS) -> list[Column]:
        """Return the columns of at least this strength, the strongest first."""
        ranked = sorted(self.columns, key=lambda name: (-self.single[name], name))
        return [self.columns[name] for name in ranked if self.single[name] >= least]


def decides(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A column that alone nearly decides the outcome: none that is known beforehand does. History is asked too."""
    for name, power in sample.single.items():
        if power >= DECIDES:
            yield name, f"alone it takes {power:.0%} off the log loss of the base rate"
    for column in sample.history:
        power = sample.alone(column.steps)
        if power >= DECIDES:
            yield (
                column.name,
                f"what was dated before the cutoff alone takes {power:.0%} off the log loss",
            )


def stands_out(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A column that tells what no other does, far more of it than any other, and more than all of history does.

    What it alone tells is what is lost when it is left out (with those that say the same). The place in time is among
    the others, so that a column that only stands for a season or a market does not stand out. Repeated without the one
    found, since a leak hides the next.
    """
    order = [Column("", pa.array(sample.order), sample.order)] if sample.order is not None else []
    left = sample.strong(0.0)[:COMPARED]
    while left and sample.single[left[0].name] >= ASKED:
        whole = _together(sample, [*left, *sample.history, *order])
        history = whole - _together(sample, [*left, *order]) if sample.history else 0.0
        lost = {
            c.name: whole - _together(sample, _others(sample, left, c, order)) for c in left[:TRIED]
        }
        name = max(lost, key=lambda each: lost[each])
        same = _saying_the_same(sample, left, name)
        second = max((gain for each, gain in lost.items() if each not in same), default=0.0)
        settled = lost[name] / (1 - whole + lost[name])
        if settled < STANDS_OUT or lost[name] < max(STANDS_OUT_TIMES * second, history):
            return
        words = f"without it the log loss rises by {lost[name]:.0%} of the base rate's, without any other column by "
        words += (
            f"{max(second, 0):.1%} at most: it settles {settled:.0%} of what all others leave open"
        )
        yield from (
            (each, words if each == name else f"it says the same as {name}: {words}")
            for each in sorted(same)
        )
        left = [column for column in left if column.name not in same]


def _others(
    sample: Sample, left: list[Column], column: Column, order: list[Column]
) -> list[Column]:
    same = _saying_the_same(sample, left, column.name)
    return [*(each for each in left if each.name not in same), *sample.history, *order]


def _together(sample: Sample, columns: list[Column]) -> float:
    return together(columns, sample.label, sample.half) if columns else 0.0


def _saying_the_same(sample: Sample, left: list[Column], name: str) -> set[str]:
    """Return the column and those whose rates run with its own: copies would hide each other."""
    said = sample.said[name]
    return {name} | {c.name for c in left if _correlation(said, sample.said[c.name]) >= SAME_WORDS}


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) > 0 and np.ptp(other) > 0 else 0.0


def filled_decides(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A column that is filled where the outcome came about: it was written when that was known."""
    for column in sample.columns.values():
        if column.filled.all() or not column.filled.any():
            continue
        power = sample.alone(column.filled.astype(np.int64))
        if power >= FILLED_DECIDES:
            rate, rest = (sample.label[rows].mean() for rows in (column.filled, ~column.filled))
            yield (
                column.name,
                f"filled in {column.filled.mean():.0%} of rows, and {rate:.1%} of these have the outcome against "
                f"{rest:.1%} of the others: being filled alone takes {power:.0%} off the log loss of the base rate",
            )


def emptied(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A column that earlier rows hold and later rows lack: it is filled long after, or no longer, by a tool or a batch.

    Either way a row to be scored does not hold what its like held in training.
    """
    if sample.order is None:
        return
    blocks = np.array_split(np.argsort(sample.order, kind="stable"), BLOCKS)
    for column in sample.columns.values():
        share = np.array([column.filled[rows].mean() for rows in blocks])
        highest = np.maximum.accumulate(share)
        worst = int(np.argmax(highest - share))
        if highest[worst] - share[worst] >= EMPTIER and sample.single[column.name] > 0:
            first = int(np.argmax(share[: worst + 1]))
            yield (
                column.name,
                f"filled in {share[first]:.0%} of the rows around {(first + 0.5) / BLOCKS:.0%} of the time and in "
                f"{share[worst]:.0%} around {(worst + 0.5) / BLOCKS:.0%}: later rows lack what earlier ones hold",
            )


def filled_with(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A column filled only where a suspect is: it is written in the same step or a later one."""
    partly = [
        c for name, c in sample.columns.items() if name in found and 0.05 < c.filled.mean() < 0.95
    ]
    for column in sample.strong():
        for suspect in partly if column.name not in found else []:
            both = suspect.filled[column.filled].mean()
            if (1 - both) <= (1 - WITHIN) * (1 - suspect.filled.mean()):
                yield (
                    column.name,
                    f"filled in {column.filled.mean():.0%} of rows, and {both:.1%} of these hold {suspect.name} too, "
                    f"which {suspect.filled.mean():.0%} of all rows do: it is written no earlier",
                )
                break


def written_over(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """Two columns that hold one thing, as of two moments, where having changed in between tells of the outcome.

    They agree far beyond chance (Cohen 1960, A coefficient of agreement for nominal scales), so they record the same;
    where they differ one of them was written over, and which one the data does not say.
    """
    columns = [column for column in sample.columns.values() if column.levels > 2]
    for one, other in itertools.combinations(columns, 2):
        if one.category != other.category:
            continue
        both = one.filled & other.filled
        same = pc.fill_null(pc.equal(one.raw, other.raw), False).to_numpy(zero_copy_only=False)
        if same.sum() <= AGREE * both.sum() or _kappa(one, other, both, same) < AGREE:
            continue
        power = sample.alone(np.where(both, 1 + same, 0))
        if power >= DIFFER:
            differ, agree = (sample.label[both & rows].mean() for rows in (~same, same))
            words = f"the same in {same[both].mean():.0%} of rows; where they differ {differ:.1%} have the outcome, "
            words += f"else {agree:.1%}: one of the two was written over as it came about"
            yield one.name, f"it and {other.name} are {words}"
            yield other.name, f"it and {one.name} are {words}"


def _kappa(one: Column, other: Column, both: np.ndarray, same: np.ndarray) -> float:
    shares = []
    for column in (one, other):
        counts = pc.value_counts(column.raw.filter(pa.array(both)))
        values, share = (
            counts.field("values").to_pylist(),
            counts.field("counts").to_numpy() / both.sum(),
        )
        shares.append(dict(zip(values, share.tolist(), strict=True)))
    chance = sum(share * shares[1].get(value, 0.0) for value, share in shares[0].items())
    return float((same[both].mean() - chance) / (1 - chance)) if chance < 1 else 0.0


def shares_of_a_whole(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """Numbers that add up to one: the share of a whole is known when the whole is, at the end of the process."""
    numbers = [
        c
        for c in sample.columns.values()
        if not c.category and c.filled.mean() > WHOLE and c.levels > 2
    ]
    parts = [c for c in numbers if np.nanmin(c.values) >= 0 and np.nanmax(c.values) <= 1][
        : 2 * PARTS
    ]
    for size in range(2, PARTS + 1):
        for group in itertools.combinations(parts, size):
            total = np.sum([np.nan_to_num(column.values) for column in group], axis=0)
            begun = total > 0
            whole = (np.abs(total - 1) <= ROUNDED)[begun].mean() if begun.mean() > WHOLE else 0.0
            if whole < WHOLE or max(sample.single[c.name] for c in group) < MATTERS:
                continue
            names = ", ".join(column.name for column in group)
            words = f"add up to one in {whole:.0%} of the rows where they are not all zero: they are shares of a whole"
            yield from ((c.name, f"{names} {words}, which is known at the end") for c in group)


def runs_on(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A number of each row's own that is the larger the older the row: it grew on until the data was drawn.

    The level of a market or a season runs with time too, but neighbours share it.
    """
    place = sample.order if sample.order is not None else sample.number
    if place is None:
        return
    by_age = np.argsort(place, kind="stable")
    for column in sample.strong():
        known = column.values[by_age][column.filled[by_age]]
        if column.category or len(known) < len(place) / 2 or column.levels <= 2:
            continue
        run = float(np.corrcoef(rankdata(known), np.arange(len(known)))[0, 1])
        shared = float((np.diff(known) == 0).mean())
        if run <= RUNS and shared <= SHARED:
            yield (
                column.name,
                f"the older the row the larger (rank correlation with the {'order' if place is sample.order else 'id'} "
                f"{run:.2f}), and only {shared:.0%} of neighbours share a value: it grew on until the data was drawn",
            )


def moves_with(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A number that the suspects explain far better than the other columns do: one process writes them."""
    suspects = [column for name, column in sample.columns.items() if name in found]
    others = [column for column in sample.strong(0.0) if column.name not in found]
    for column in sample.strong(2 * MATTERS) if suspects else []:
        if column.category or column.name in found:
            continue
        by_suspects = explained(column, suspects, sample.half)
        if by_suspects < EXPLAINED:
            continue
        rest = [each for each in others if each is not column]
        by_others = explained(column, rest, sample.half) if rest else 0.0
        if by_suspects >= EXPLAINED_TIMES * by_others:
            yield (
                column.name,
                f"the columns found explain {by_suspects:.0%} of it, all the others {max(by_others, 0):.0%}: it is "
                f"written with them",
            )


def stands_for(sample: Sample, found: Found) -> Iterator[tuple[str, str]]:
    """A category that stands for an entity or an account, whose other rows carry the score.

    Read by rows at random it tells much, read by whole entities or accounts it does not: what it tells is whose row
    it is. Roberts et al. 2017, Cross-validation strategies for data with … hierarchical structure, Ecography 40.
    """
    groups = {"entity": sample.entity} | (
        {"account": sample.account} if sample.account is not None else {}
    )
    at_random = np.random.default_rng(0).permutation(len(sample.label)) % 2 == 0
    for what, codes in groups.items():
        if len(codes) < REPEATED * len(np.unique(codes)):
            continue
        for name, steps in _identifying(sample, what, codes, found):
            scattered, apart = alone(steps, sample.label, at_random), max(sample.alone(steps), 0.0)
            if scattered - apart >= CARRIES:
                yield (
                    name,
                    f"it stands for the {what}: takes {scattered:.0%} off the log loss where rows of one {what} lie in "
                    f"both halves, {apart:.0%} where they do not",
                )


def _identifying(
    sample: Sample, what: str, codes: np.ndarray, found: Found
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may stand for an entity or account: the categories, and the account itself where folds part it.

    Folds are cut in time, or by whole entities where order means nothing; only the latter part an account unawares.
    """
    yield from (
        (c.name, c.steps) for c in sample.columns.values() if c.category and c.name not in found
    )
    if what == "account" and sample.order is None:
        yield "account_id", codes + 1


RULES: tuple[Rule, ...] = (
    decides,
    filled_decides,
    stands_out,
    emptied,
    shares_of_a_whole,
    runs_on,
    written_over,
    filled_with,
    moves_with,
    stands_for,
)
"""In this order: ``filled_with`` and ``moves_with`` ask what was found before them."""
