"""Rules that recognize columns that were written after the outcome.

Only columns that show their current value can have been written late. Features computed
point-in-time saw nothing later than their cutoff; they show how strong an honest column is. No rule
knows a name: each tests an effect of late writing on the values. Two rules, decisive columns and
standouts, follow Kaufman, Rosset, Perlich & Stitelman 2012, Leakage in data mining: formulation,
detection, and avoidance, ACM TKDD 6; the others follow from how records are kept. The bounds lie
where suspects and honest columns of seven public data sets are far apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.leakage.dates import find_dates_after_cutoff, find_decisive_date_differences
from models.leakage.sample import MIN_STRENGTH, AuditSample
from models.leakage.standouts import find_standouts
from models.leakage.strength import (
    AuditColumn,
    cross_fit_rates,
    measure_explained_share,
    measure_single_strength,
    measure_strength,
    measure_strength_error,
)
from models.leakage.worked import find_filled_when_worked

# Evidence by column, in words.
Evidence = Mapping[str, str]
# Takes the sample and the suspects found so far; yields columns with their evidence.
Rule = Callable[[AuditSample, Evidence], Iterator[tuple[str, str]]]

# A column of this strength alone, an AUC of about 0.95, leaves hardly anything open.
DECISIVE_STRENGTH = 0.6

# Strength of being filled. Optional questions of a form stay below 0.1, also after two standard
# errors: with few outcomes chance alone reaches 0.15.
MIN_FILLED_STRENGTH, MAX_HONEST_FILLED_STRENGTH = 0.15, 0.1

# Rows in the order of time are cut into blocks; a later block is emptier by this share of its rows.
TIME_BLOCKS, MIN_FILL_DROP = 20, 0.5

# A column written in the same step as a suspect is empty in this share of the suspect's gaps.
MIN_EMPTY_TOGETHER = 0.95

# Two columns record the same fact from this kappa on; whether they differ has at least this
# strength.
MIN_KAPPA, MIN_DIFFERENCE_STRENGTH = 0.5, 0.02
# The overwritten one is so many times as strong as the other.
MIN_OVERWRITTEN_RATIO = 2.0

# Share of rows in which at most so many columns add up to one, within this tolerance.
MIN_WHOLE_SHARE, MAX_PARTS, SUM_TOLERANCE = 0.8, 4, 0.01

# Rank correlation with the order of rows. A value of the season or the market correlates too, but
# more than half of neighboring rows share it.
MAX_ORDER_CORRELATION, MAX_TIED_NEIGHBORS = -0.6, 0.5

# Share of a number's ranks that the suspects explain, and its ratio to that of the other columns.
MIN_EXPLAINED_SHARE, MIN_EXPLAINED_RATIO = 0.5, 1.5

# A value that so many entities or accounts share identifies none of them.
MAX_GROUPS_PER_VALUE = 20
# Strength that rows of an entity or account lend each other, from so many rows of each on average.
MIN_IDENTITY_STRENGTH, MIN_ROWS_PER_GROUP = 0.05, 2


def find_decisive(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find columns that alone nearly decide the outcome.

    No column that is known beforehand does.
    """
    for name, strength in sample.strengths.items():
        if strength >= DECISIVE_STRENGTH:
            yield name, f"alone it reduces the log loss of the base rate by {strength:.0%}"


def find_decisive_dated(sample: AuditSample) -> Iterator[tuple[str, str]]:
    """Find event types and histories of which one feature alone nearly decides the outcome."""
    for column in sample.dated:
        strength = sample.measure_alone(column.bins)
        if strength >= DECISIVE_STRENGTH:
            yield (
                column.name,
                f"its values from before the cutoff alone reduce the log loss of the base rate "
                f"by {strength:.0%}",
            )


def find_decisive_when_filled(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find columns that are filled where the outcome occurred: they were written afterwards."""
    for column in sample.columns.values():
        if column.filled.all() or not column.filled.any():
            continue
        chance = cross_fit_rates(column.filled.astype(np.int64), sample.label, sample.half)
        strength = measure_strength(chance, sample.label)
        reliable = strength - 2 * measure_strength_error(chance, sample.label)
        if strength >= MIN_FILLED_STRENGTH and reliable >= MAX_HONEST_FILLED_STRENGTH:
            rate, rest = (sample.label[rows].mean() for rows in (column.filled, ~column.filled))
            yield (
                column.name,
                f"filled in {column.filled.mean():.0%} of rows; {rate:.1%} of these have the "
                f"outcome, against {rest:.1%} of the others: whether it is filled reduces the log "
                f"loss of the base rate by {strength:.0%}",
            )


def find_emptied(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find columns that earlier rows have and later rows lack.

    They are filled long after the row was created, or are no longer filled. In both cases a row to
    be scored differs from the training rows.
    """
    if sample.time_order is None:
        return
    blocks = np.array_split(np.argsort(sample.time_order, kind="stable"), TIME_BLOCKS)
    for column in sample.columns.values():
        share = np.array([column.filled[rows].mean() for rows in blocks])
        highest = np.maximum.accumulate(share)
        worst = int(np.argmax(highest - share))
        if highest[worst] - share[worst] >= MIN_FILL_DROP and sample.strengths[column.name] > 0:
            first = int(np.argmax(share[: worst + 1]))
            yield (
                column.name,
                f"filled in {share[first]:.0%} of the rows around "
                f"{(first + 0.5) / TIME_BLOCKS:.0%} of the time span and in {share[worst]:.0%} "
                f"around {(worst + 0.5) / TIME_BLOCKS:.0%}: later rows lack what earlier rows have",
            )


def find_filled_together(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find columns that are filled only where a suspect is: they are written with it or later."""
    partly_filled = [
        column
        for name, column in sample.columns.items()
        if name in suspects and 0.05 < column.filled.mean() < 0.95
    ]
    for column in sample.columns_by_strength():
        for suspect in partly_filled if column.name not in suspects else []:
            both = suspect.filled[column.filled].mean()
            if (1 - both) <= (1 - MIN_EMPTY_TOGETHER) * (1 - suspect.filled.mean()):
                yield (
                    column.name,
                    f"filled in {column.filled.mean():.0%} of rows; {both:.1%} of these also have "
                    f"{suspect.name}, which {suspect.filled.mean():.0%} of all rows have: it is "
                    f"written in the same step or later",
                )
                break


def find_overwritten(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find pairs of columns with the same fact at two times, whose difference predicts the outcome.

    They agree far beyond chance (Cohen 1960, A coefficient of agreement for nominal scales), so
    they record the same fact. Where they differ one of them was overwritten
    (``_choose_overwritten``).
    """
    columns = [column for column in sample.columns.values() if column.distinct_count > 2]
    for left, right in itertools.combinations(columns, 2):
        if left.is_category != right.is_category:
            continue
        both = left.filled & right.filled
        same = pc.fill_null(pc.equal(left.raw, right.raw), False).to_numpy(zero_copy_only=False)
        # The cheap test first: kappa is at most the share of equal rows.
        if same.sum() <= MIN_KAPPA * both.sum() or _compute_kappa(left, right, both, same) < (
            MIN_KAPPA
        ):
            continue
        if not (both & ~same).any():
            continue
        strength = sample.measure_alone(np.where(both, 1 + same, 0))
        if strength >= MIN_DIFFERENCE_STRENGTH:
            differ, agree = (sample.label[both & rows].mean() for rows in (~same, same))
            evidence = (
                f"are equal in {same[both].mean():.0%} of rows; where they differ {differ:.1%} "
                f"have the outcome, otherwise {agree:.1%}: "
            )
            chosen = _choose_overwritten(sample, left, right)
            which = "it" if len(chosen) == 1 else "one of the two"
            for column in chosen:
                other = right if column is left else left
                yield (
                    column.name,
                    f"it and {other.name} {evidence}{which} was overwritten when the outcome "
                    f"became known",
                )


def _choose_overwritten(
    sample: AuditSample, left: AuditColumn, right: AuditColumn
) -> tuple[AuditColumn, ...]:
    """Return which of two columns with the same fact was overwritten; both if nothing shows it.

    The new value came with the outcome, so it is clearly the stronger one. Where both are alike and
    the config uses one of them, it is the other: the config says which one is known in time.
    """
    weak, strong = sorted((left, right), key=lambda column: sample.strengths[column.name])
    low, high = (max(sample.strengths[column.name], 0.0) for column in (weak, strong))
    if high >= MIN_STRENGTH + MIN_OVERWRITTEN_RATIO * low:
        return (strong,)
    out = [column for column in (left, right) if column.name in sample.left_out]
    return (out[0],) if len(out) == 1 else (left, right)


def _compute_kappa(
    left: AuditColumn, right: AuditColumn, both: np.ndarray, same: np.ndarray
) -> float:
    """Return Cohen's kappa of two columns on the rows in ``both``."""
    shares = []
    for column in (left, right):
        counts = pc.value_counts(column.raw.filter(pa.array(both)))
        values = counts.field("values").to_pylist()
        share = counts.field("counts").to_numpy() / both.sum()
        shares.append(dict(zip(values, share.tolist(), strict=True)))
    chance = sum(share * shares[1].get(value, 0.0) for value, share in shares[0].items())
    return float((same[both].mean() - chance) / (1 - chance)) if chance < 1 else 0.0


def find_parts_of_whole(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find numbers that add up to one: shares of a total that is known only at the end."""
    numbers = [
        column
        for column in sample.columns.values()
        if not column.is_category
        and column.filled.mean() > MIN_WHOLE_SHARE
        and column.distinct_count > 2
    ]
    shares = [c for c in numbers if np.nanmin(c.values) >= 0 and np.nanmax(c.values) <= 1]
    # Twice as many columns as a group has bound the number of combinations.
    for size in range(2, MAX_PARTS + 1):
        for group in itertools.combinations(shares[: 2 * MAX_PARTS], size):
            whole = _measure_whole_share(group)
            strongest = max(sample.strengths[column.name] for column in group)
            if whole < MIN_WHOLE_SHARE or strongest < MIN_STRENGTH:
                continue
            names = ", ".join(column.name for column in group)
            evidence = (
                f"{names} add up to one in {whole:.0%} of the rows where they are not all zero: "
                f"they are shares of a total, which is known only at the end"
            )
            yield from ((column.name, evidence) for column in group)


def _measure_whole_share(group: tuple[AuditColumn, ...]) -> float:
    """Return the share of the rows with a positive sum in which the sum is one.

    Return 0 if too few rows have a positive sum.
    """
    total = np.sum([np.nan_to_num(column.values) for column in group], axis=0)
    positive = total > 0
    if positive.mean() <= MIN_WHOLE_SHARE:
        return 0.0
    return float((np.abs(total - 1) <= SUM_TOLERANCE)[positive].mean())


def find_still_growing(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find numbers that are larger for older rows: they kept growing until the data was extracted.

    The level of a market or a season also follows time, but neighboring rows share it.
    """
    # Half a second, which a night need not pay.
    from scipy.stats import rankdata

    place = sample.time_order if sample.time_order is not None else sample.id_number
    if place is None:
        return
    by_age = np.argsort(place, kind="stable")
    order_name = "order" if place is sample.time_order else "id"
    for column in sample.columns_by_strength():
        values = column.values[by_age][column.filled[by_age]]
        if column.is_category or len(values) < len(place) / 2 or column.distinct_count <= 2:
            continue
        correlation = float(np.corrcoef(rankdata(values), np.arange(len(values)))[0, 1])
        tied = float((np.diff(values) == 0).mean())
        if correlation <= MAX_ORDER_CORRELATION and tied <= MAX_TIED_NEIGHBORS:
            yield (
                column.name,
                f"larger for older rows (rank correlation with the {order_name} "
                f"{correlation:.2f}), and only {tied:.0%} of neighboring rows share a value: it "
                f"kept growing until the data was extracted",
            )


def find_explained_by_suspects(
    sample: AuditSample, suspects: Evidence
) -> Iterator[tuple[str, str]]:
    """Find numbers that the suspects explain far better than the other columns do.

    One process writes them.
    """
    suspect_columns = [column for name, column in sample.columns.items() if name in suspects]
    others = [column for column in sample.columns_by_strength(0.0) if column.name not in suspects]
    for column in sample.columns_by_strength(2 * MIN_STRENGTH) if suspect_columns else []:
        if column.is_category or column.name in suspects:
            continue
        by_suspects = measure_explained_share(column, suspect_columns, sample.half)
        if by_suspects < MIN_EXPLAINED_SHARE:
            continue
        rest = [other for other in others if other is not column]
        by_others = measure_explained_share(column, rest, sample.half) if rest else 0.0
        if by_suspects >= MIN_EXPLAINED_RATIO * by_others:
            yield (
                column.name,
                f"the other suspects explain {by_suspects:.0%} of it, all other columns "
                f"{max(by_others, 0):.0%}: it is written together with them",
            )


def find_identifiers(sample: AuditSample, suspects: Evidence) -> Iterator[tuple[str, str]]:
    """Find categories that identify an entity or an account.

    The other rows of the entity or account then predict the row. Such categories are strong where
    rows are split at random, and weak where whole entities or accounts are (Roberts et al. 2017,
    Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
    structure, Ecography 40).
    """
    groups = {"entity": sample.entity}
    if sample.account is not None:
        groups["account"] = sample.account
    at_random = np.random.default_rng(0).permutation(len(sample.label)) % 2 == 0
    for kind, codes in groups.items():
        if len(codes) < MIN_ROWS_PER_GROUP * len(np.unique(codes)):
            continue
        for name, bins in _list_identifiers(sample, kind, codes, suspects):
            # A region identifies no entity: what it says of rows in both halves is little data.
            if _count_groups_per_value(bins, codes) > MAX_GROUPS_PER_VALUE:
                continue
            shared = measure_single_strength(bins, sample.label, at_random)
            apart = max(sample.measure_alone(bins), 0.0)
            if shared - apart >= MIN_IDENTITY_STRENGTH:
                yield (
                    name,
                    f"it identifies the {kind}: it reduces the log loss of the base rate by "
                    f"{shared:.0%} where rows of one {kind} lie in both halves, by {apart:.0%} "
                    f"where they do not",
                )


def _count_groups_per_value(bins: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean number of groups that share a value; ``bins`` is 0 where it is missing."""
    pairs = np.unique(np.stack([bins, codes])[:, bins > 0], axis=1)
    return pairs.shape[1] / max(len(np.unique(pairs[0])), 1)


def _list_identifiers(
    sample: AuditSample, kind: str, codes: np.ndarray, suspects: Evidence
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield columns that may identify an entity or account, each with the bin of each row.

    These are the categories, and the account itself if the order means nothing: then folds are cut
    by entity and split the rows of an account. Otherwise folds are cut in time.
    """
    yield from (
        (column.name, column.codes)
        for column in sample.columns.values()
        if column.is_category and column.name not in suspects
    )
    if kind == "account" and sample.time_order is None:
        yield "account_id", codes + 1


# With fewer rows of the rarer class not even a perfect leak is distinct from chance.
MIN_CLASS_ROWS = 10
# With fewer, chance alone would make suspects by rules that compare small strengths.
MIN_CLASS_ROWS_TO_COMPARE = 100

# Each rule with the number of rows of the rarer class that it needs. The order matters:
# find_filled_together and find_explained_by_suspects read what earlier rules found.
RULES: tuple[tuple[Rule, int], ...] = (
    (find_decisive, MIN_CLASS_ROWS),
    (find_decisive_when_filled, MIN_CLASS_ROWS),
    (find_dates_after_cutoff, 0),
    (find_filled_when_worked, 0),
    (find_decisive_date_differences, MIN_CLASS_ROWS),
    (find_standouts, MIN_CLASS_ROWS_TO_COMPARE),
    (find_emptied, MIN_CLASS_ROWS_TO_COMPARE),
    (find_parts_of_whole, MIN_CLASS_ROWS_TO_COMPARE),
    (find_still_growing, MIN_CLASS_ROWS_TO_COMPARE),
    (find_overwritten, MIN_CLASS_ROWS_TO_COMPARE),
    (find_filled_together, MIN_CLASS_ROWS),
    (find_explained_by_suspects, MIN_CLASS_ROWS_TO_COMPARE),
    (find_identifiers, MIN_CLASS_ROWS_TO_COMPARE),
)
