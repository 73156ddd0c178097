"""Stays in a state, and their counts by age, from which every estimate follows.

Counts are whole numbers. Those of shards, or of other parts of the leads, are added before anything
is estimated, so that the estimate is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from features.tools.jit import jit_kernel

# What happens to a stay at an age, besides its exits, which are numbered from 0. The order counts:
# at one age stays begin, then observations end, then exits happen.
BEGIN, CENSORED = -2, -1


@dataclass(frozen=True)
class Stays:
    """Stays in a state, one element per stay.

    A stay is observed at the ages ``[begin, end)``. An exit happens at ``end``; without one the
    observation ends there, and nothing is known of that age. Ages are whole numbers of one unit.
    ``begin`` is above 0 where a stay is observed only from a later age on (left truncation): it is
    known only because it lasted that long, so it is no evidence about earlier ages.

    Attributes:
        group: Number of the state, int64; each group has an estimate of its own.
        begin: Age from which the stay is observed, int64.
        end: Age of the exit, or at which the observation ends, int64.
        exit: Kind of the exit from 0, int64, or CENSORED.
        cluster: Number of what depends on each other, such as a hash of the account, uint64.
    """

    group: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    exit: np.ndarray
    cluster: np.ndarray

    def __len__(self) -> int:
        """Return the number of stays."""
        return len(self.group)

    def take(self, rows: np.ndarray) -> Self:
        """Return some of the stays, by a mask or by row numbers."""
        columns = (self.group, self.begin, self.end, self.exit, self.cluster)
        return type(self)(*(column[rows] for column in columns))

    def renumber_exits(self, kind: np.ndarray) -> Self:
        """Return the stays with other kinds of exits, one element per stay."""
        renumbered = np.where(self.exit == CENSORED, CENSORED, kind)
        return type(self)(self.group, self.begin, self.end, renumbered, self.cluster)

    def select_observed(self) -> Self:
        """Return the stays of which some age is observed.

        A stay that ended before it was observed, or was observed for no time, is no evidence.
        """
        observed = np.where(self.exit == CENSORED, self.begin < self.end, self.begin <= self.end)
        return self if observed.all() else self.take(np.flatnonzero(observed))


@dataclass(frozen=True)
class AgeCounts:
    """Numbers of stays by group, age and what happened, ordered by these three, without zeros.

    Attributes:
        group: Number of the state, int64.
        age: The age, int64.
        kind: BEGIN, CENSORED, or the kind of an exit, int64.
        count: Number of stays, int64.
    """

    group: np.ndarray
    age: np.ndarray
    kind: np.ndarray
    count: np.ndarray

    @classmethod
    def add_up(cls, parts: Iterable[Self]) -> Self:
        """Return the sum of counts."""
        columns = [(part.group, part.age, part.kind, part.count) for part in parts]
        group, age, kind, count = (
            np.concatenate([np.empty(0, np.int64), *column])
            for column in zip(*columns, strict=True)
        )
        order = _sort_rows(group, age, kind)
        group, age, kind, count = (column[order] for column in (group, age, kind, count))
        first = _mark_first((group, age, kind))
        starts = np.flatnonzero(first)
        total = np.add.reduceat(count, starts) if len(starts) else count
        return cls(group[starts], age[starts], kind[starts], total)


def count_stays(stays: Stays) -> AgeCounts:
    """Return the counts of stays; those without an observed age count nowhere."""
    observed = stays.select_observed()
    # Most begin at age 0: their number needs no sorting.
    late = np.flatnonzero(observed.begin > 0)
    prompt = np.bincount(observed.group[observed.begin == 0])
    groups = np.flatnonzero(prompt)
    group = np.concatenate([groups, observed.group[late], observed.group])
    age = np.concatenate([np.zeros(len(groups), np.int64), observed.begin[late], observed.end])
    kind = np.full(len(group), BEGIN, np.int64)
    kind[len(groups) + len(late) :] = observed.exit
    packing = _choose_packing(group, age, kind)
    if packing is None:
        count = np.ones(len(group), np.int64)
        count[: len(groups)] = prompt[groups]
        return AgeCounts.add_up([AgeCounts(group, age, kind, count)])
    keys = _pack_rows(group, age, kind, packing)
    keys.sort()
    # The rows are not needed any more: the counts take their place.
    counts = group, age, kind, np.empty(len(keys), np.int64)
    rows = _count_rows(keys, packing, prompt, counts)
    return AgeCounts(*(column[:rows] for column in counts))


def _sort_rows(group: np.ndarray, age: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return the order of rows by group, age and kind; equal rows are in any order."""
    packing = _choose_packing(group, age, kind)
    if packing is None:
        return np.lexsort((kind, age, group))
    return np.argsort(_pack_rows(group, age, kind, packing))


def _choose_packing(group: np.ndarray, age: np.ndarray, kind: np.ndarray) -> tuple[int, int] | None:
    """Return the bits of age and kind in a number that holds a row, None if it is too small.

    Sorting such numbers is several times as fast as sorting by three columns.
    """
    bits = [int(column.max(initial=0)).bit_length() for column in (group, age, kind - BEGIN)]
    return (bits[1], bits[2]) if sum(bits) < 63 and age.min(initial=0) >= 0 else None


def _pack_rows(
    group: np.ndarray, age: np.ndarray, kind: np.ndarray, packing: tuple[int, int]
) -> np.ndarray:
    return (((group << packing[0]) | age) << packing[1]) | (kind - BEGIN)


def _mark_first(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return a mask of the rows that differ from the row before."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return first


@jit_kernel
def _count_rows(keys: np.ndarray, packing: Any, prompt: np.ndarray, counts: Any) -> int:
    """Write each distinct row of sorted ones with its count; return their number.

    ``prompt`` is the number of stays of each group that begin at age 0, which share one row.
    """
    age_bits, kind_bits = packing
    groups, ages, kinds, numbers = counts
    rows = 0
    for place in range(len(keys)):
        key = keys[place]
        if place and key == keys[place - 1]:
            numbers[rows - 1] += 1
            continue
        groups[rows] = key >> (age_bits + kind_bits)
        ages[rows] = (key >> kind_bits) & ((1 << age_bits) - 1)
        kinds[rows] = (key & ((1 << kind_bits) - 1)) + BEGIN
        is_prompt = ages[rows] == 0 and kinds[rows] == BEGIN
        numbers[rows] = prompt[groups[rows]] if is_prompt else 1
        rows += 1
    return rows
