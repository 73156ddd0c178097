"""Stays in a state, and their counts by age, from which every estimate follows.

Counts are whole numbers. Those of shards, or of other parts of the leads, are added before anything
is estimated, so that the estimate is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from features.tools.jit import jit_inline, jit_kernel

# What happens to a stay at an age, besides its exits, which are numbered from 0. The order counts:
# at one age stays begin, then observations end, then exits happen.
BEGIN, CENSORED = -2, -1
# Random groups of clusters, by their hash, which have one weight in a bootstrap replicate. They add
# an error of 4 % to the length of an interval, 200 replicates themselves one of 5 %.
BUCKETS = 256
# Bits of the digits by which ages are sorted: 256 streams are written at a time, as many as the
# nearest cache can follow.
DIGIT_BITS = 8


@dataclass(frozen=True)
class OrderedStays:
    """Begins and ends of observed stays by group, ordered by age and kind.

    Begins at age 0, which most are, have no rows.

    Attributes:
        first: First row of each group; at last the number of rows, int64 (groups + 1,).
        age: The age, int64.
        code: What happened and to which bucket, ``(kind - BEGIN) * BUCKETS + bucket``, int32.
        prompt: Stays of each group and bucket that begin at age 0, int64 (groups, BUCKETS).
        size: Stays of each group, int64.
    """

    first: np.ndarray
    age: np.ndarray
    code: np.ndarray
    prompt: np.ndarray
    size: np.ndarray


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

    @cached_property
    def by_age(self) -> OrderedStays:
        """Return the begins and ends of those stays of which some age is observed, in order."""
        columns = (self.group, self.begin, self.end, self.exit, self.cluster)
        groups = int(self.group.max(initial=-1)) + 1
        first, size = np.zeros(groups + 1, np.int64), np.zeros(groups, np.int64)
        _count_by_group(columns, first, size)
        age, code = np.empty(first[-1], np.int64), np.empty(first[-1], np.int32)
        prompt = np.zeros((groups, BUCKETS), np.int64)
        _group_rows(columns, first, (age, code), prompt)
        _sort_groups(first, (age, code))
        return OrderedStays(first, age, code, prompt, size)


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
    ordered = stays.by_age
    # Begins at age 0 share one row in each group.
    size = len(ordered.age) + len(ordered.size)
    counts = tuple(np.empty(size, np.int64) for _ in range(4))
    rows = _count_rows((ordered.first, ordered.age, ordered.code), ordered.prompt, counts)
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


@jit_inline
def _is_observed(begin: int, end: int, ending: int) -> bool:
    return begin < end or (begin == end and ending != CENSORED)


@jit_kernel
def _count_by_group(stays: Any, first: np.ndarray, size: np.ndarray) -> None:
    """Count the rows and the stays of each group."""
    group, begin, end, ending, _ = stays
    for stay in range(len(group)):
        if _is_observed(begin[stay], end[stay], ending[stay]):
            size[group[stay]] += 1
            first[group[stay] + 1] += 2 if begin[stay] > 0 else 1
    for place in range(len(size)):
        first[place + 1] += first[place]


@jit_kernel
def _group_rows(stays: Any, first: np.ndarray, rows: Any, prompt: np.ndarray) -> None:
    """Write the begin and the end of each stay among the rows of its group."""
    group, begin, end, ending, cluster = stays
    age, code = rows
    places = first[:-1].copy()
    for stay in range(len(group)):
        if not _is_observed(begin[stay], end[stay], ending[stay]):
            continue
        own, bucket = group[stay], np.int64(cluster[stay] % np.uint64(BUCKETS))
        if begin[stay] > 0:
            age[places[own]], code[places[own]] = begin[stay], bucket
            places[own] += 1
        else:
            prompt[own, bucket] += 1
        age[places[own]] = end[stay]
        code[places[own]] = (ending[stay] - BEGIN) * BUCKETS + bucket
        places[own] += 1


@jit_kernel
def _sort_groups(first: np.ndarray, rows: Any) -> None:
    """Sort the rows of each group by age and kind, digit by digit from the lowest."""
    age, code = rows
    for group in range(len(first) - 1):
        own = slice(first[group], first[group + 1])
        if first[group] == first[group + 1]:
            continue
        now = age[own], code[own]
        other = np.empty_like(age[own]), np.empty_like(code[own])
        last_kind, last_age = code[own].max() // BUCKETS, age[own].max()
        passes, shift = 0, 0
        while last_kind >> shift:
            _move_by_digit(now[1] // BUCKETS, shift, now, other)
            now, other, passes, shift = other, now, passes + 1, shift + DIGIT_BITS
        shift = 0
        while last_age >> shift:
            _move_by_digit(now[0], shift, now, other)
            now, other, passes, shift = other, now, passes + 1, shift + DIGIT_BITS
        if passes % 2:
            other[0][:], other[1][:] = now[0], now[1]


@jit_kernel
def _move_by_digit(key: np.ndarray, shift: int, rows: Any, moved: Any) -> None:
    """Write rows in the order of a digit of their keys; those with the same one stay in order."""
    age, code = rows
    moved_age, moved_code = moved
    mask = (1 << DIGIT_BITS) - 1
    begin = np.zeros(mask + 2, np.int64)
    for row in range(len(key)):
        begin[((key[row] >> shift) & mask) + 1] += 1
    for digit in range(mask + 1):
        begin[digit + 1] += begin[digit]
    for row in range(len(key)):
        digit = (key[row] >> shift) & mask
        moved_age[begin[digit]], moved_code[begin[digit]] = age[row], code[row]
        begin[digit] += 1


@jit_kernel
def _count_rows(rows: Any, prompt: np.ndarray, counts: Any) -> int:
    """Write each distinct row of a group, age and kind with its count; return their number."""
    first, age, code = rows
    groups, ages, kinds, numbers = counts
    place = 0
    for group in range(len(first) - 1):
        begun = prompt[group].sum()
        if begun:
            groups[place], ages[place], kinds[place], numbers[place] = group, 0, BEGIN, begun
            place += 1
        for row in range(first[group], first[group + 1]):
            kind = code[row] // BUCKETS + BEGIN
            is_first = row == first[group] or age[row] != age[row - 1]
            if is_first or kind != kinds[place - 1]:
                groups[place], ages[place] = group, age[row]
                kinds[place], numbers[place] = kind, 1
                place += 1
            else:
                numbers[place - 1] += 1
    return place
