"""Which groups of features are told as reasons, and which of a group's features speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.feature import TYPE
from features.definitions.semantics import Meaning
from models.reference.typical_lead import TypicalLead
from serve.reasons.conflicts import (
    COUNT_MEASURE,
    DAYS_MEASURE,
    FeatureFacts,
    Statement,
    find_clashes,
)

MIN_CONTRIBUTION = 0.05
"""Log-odds below which a group of features is no reason: at most one and a quarter percentage points of probability."""
MIN_CLEAR_EFFECT = 0.05
"""Log-odds by which what a lead has of a group must differ from having nothing of it, to be told as good or bad."""
FAINT_PENALTY = 1e6
"""Log-odds beyond any contribution."""
MIN_CATEGORY_CONTRIBUTION = 0.15
"""The threshold of what has no yardstick: which events were the latest, or the stage."""
ENDING_TYPE = -1.0
"""Stands for a category that names an event type which gives a lead up."""
SPARE_GROUPS = 2
"""Groups on either side that are looked at beyond those that are told, for where one cannot be told."""


@dataclass(frozen=True)
class SelectedReasons:
    """The reasons of some leads: an element a reason, by lead, those for before those against, strongest first.

    ``row`` is the lead, ``feature`` the column that speaks, ``total`` the contribution of its whole group in log-odds,
    ``is_low`` whether its value is told as a low one.
    """

    row: np.ndarray
    feature: np.ndarray
    total: np.ndarray
    is_low: np.ndarray


@dataclass(frozen=True)
class FeatureGroups:
    """The features of a model by group; ``members`` has the columns of each, in the order of their first column.

    ``families`` are, for each group, the places of all groups that tell of the same events; ``absence_effects`` is what a
    family adds where there is nothing of a feature, ``typical_value`` the middle value of it. ``ends`` are the event types that
    are never told as something good.
    """

    meanings: tuple[Meaning, ...]
    members: tuple[tuple[int, ...], ...]
    families: tuple[tuple[int, ...], ...]
    absent_effect: np.ndarray
    typical_value: np.ndarray
    facts: FeatureFacts
    ending_types: frozenset[str] = frozenset()

    @classmethod
    def from_features(
        cls,
        names: Sequence[str],
        meanings: Mapping[str, Meaning],
        typical_lead: TypicalLead,
        ending_types: frozenset[str] = frozenset(),
    ) -> Self:
        """Group the features of these names; what is not known of the usual lead is NaN, or 0 for what it adds."""
        found: dict[str, list[int]] = {}
        for column, name in enumerate(names):
            found.setdefault(meanings[name].group, []).append(column)
        return cls(
            tuple(meanings[name] for name in names),
            tuple(map(tuple, found.values())),
            tuple(_find_places(typical_lead.group_families.get(group, [group]), list(found)) for group in found),
            np.array([typical_lead.absence_effects.get(name, 0.0) for name in names]),
            np.array([typical_lead.medians.get(name, np.nan) for name in names]),
            FeatureFacts.from_meanings([meanings[name] for name in names]),
            ending_types,
        )

    def sum_by_group(self, contributions: np.ndarray) -> np.ndarray:
        """Return (rows, groups) sums, added in the order of the columns so that no machine's bits differ."""
        starts = np.cumsum([0, *map(len, self.members)])[:-1]
        order = [column for columns in self.members for column in columns]
        return np.add.reduceat(contributions[:, order], starts, axis=1)

    @cached_property
    def value_kinds(self) -> _ValueKinds:
        """What the values of the features can tell."""
        return _ValueKinds.from_groups(self)

    @cached_property
    def ungraded_category(self) -> np.ndarray:
        """Whether there is no yardstick for a feature: a category of what happened, an element a feature."""
        return np.array([m.unit == "category" and m.scope != "lead" for m in self.meanings])

    def sum_by_family(self, sums: np.ndarray) -> np.ndarray:
        """Return (rows, groups) sums of each group's family, added in the order of the groups."""
        by_group, found = np.ascontiguousarray(sums.T), dict[tuple[int, ...], np.ndarray]()
        for family in self.families:
            if family not in found:
                found[family] = np.add.reduce(by_group[list(family)], axis=0)
        return np.column_stack([found[family] for family in self.families])

    def padded_members(self) -> np.ndarray:
        """Return (groups, longest) columns of each group; a shorter one repeats its first."""
        longest = max(map(len, self.members))
        return np.array(
            [columns + columns[:1] * (longest - len(columns)) for columns in self.members]
        )


def _find_places(related: Sequence[str], groups: list[str]) -> tuple[int, ...]:
    return tuple(sorted(groups.index(group) for group in related if group in groups))


def select_reasons(contributions: np.ndarray, matrix: pa.Table, groups: FeatureGroups, max_per_side: int) -> SelectedReasons:
    """Choose at most ``most`` reasons for and as many against of each row.

    From the strongest group to the weakest, whichever side it pulls to, one is told if a member can speak for it
    (``_choose_speakers``), if it reaches THRESHOLD (FIRM without a yardstick) and if it does not clash with what a stronger
    one said. Ties go to the group whose first column comes first.
    """
    sums, values = groups.sum_by_group(contributions), _to_numbers(matrix, groups)
    looked = min(max_per_side + SPARE_GROUPS, len(groups.members))
    group = np.hstack([_take_largest(sums, looked), _take_largest(-sums, looked)])
    side = np.where(np.arange(2 * looked) < looked, 1.0, -1.0)
    total = np.take_along_axis(sums, group, axis=1)
    together = np.take_along_axis(groups.sum_by_family(sums), group, axis=1)
    heavy = side * total >= MIN_CONTRIBUTION
    feature, little, able = _choose_speakers(
        contributions, values, groups, group, np.where(heavy, together, np.nan), side
    )
    able &= (side * total >= MIN_CATEGORY_CONTRIBUTION) | ~groups.ungraded_category[feature]
    said = _build_statements(feature, side, little, values, groups)
    told = _select_without_clashes(np.abs(total), able, said, groups.facts, max_per_side)
    rows, places = np.nonzero(told)
    return SelectedReasons(rows, feature[rows, places], total[rows, places], little[rows, places])


def _take_largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return (rows, at most ``most``) columns of the largest values, largest first, ties by column."""
    return np.argsort(-values, axis=1, kind="stable")[:, :count]


def _to_numbers(matrix: pa.Table, groups: FeatureGroups) -> np.ndarray:
    """Return (rows, features) float64: numbers as they are, NaN where missing; of a category 1 where it is known, and
    ENDED where it names an event type that gives a lead up.
    """
    found = np.empty((matrix.num_rows, matrix.num_columns))
    for place, column in enumerate(matrix.columns):
        if pa.types.is_floating(column.type):
            found[:, place] = column.to_numpy()
        else:
            found[:, place] = np.where(pc.is_null(column).to_numpy(), np.nan, 1.0)
            if groups.ending_types and groups.ungraded_category[place]:
                ended = pc.is_in(
                    column.cast(pa.string()), pa.array(sorted(groups.ending_types), pa.string())
                )
                found[ended.to_numpy(), place] = ENDING_TYPE
    found[~np.isfinite(found)] = np.nan
    return found


def _choose_speakers(
    contributions: np.ndarray,
    values: np.ndarray,
    groups: FeatureGroups,
    group: np.ndarray,
    family_total: np.ndarray,
    side: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each (row, place), the column that speaks, whether it tells of little, and whether one can speak.

    What the lead has of a feature adds what its family adds (``sum_by_family``) less what that adds where there is nothing.
    If that is on the side on which the group stands, the speaker tells of what is there. If it is on the other one,
    what the lead has is less than usual, and the speaker tells of that: of a count below the usual one, or a time above
    it. Where it is nothing clear (CLEAR), it can be told that there is nothing; or that it is long ago, if to have
    nothing weighs on that side too. A lack or a pause is never told as good, nor is what gives a lead up; nor is what
    anybody takes for praise told as bad: the group is then silent, or another member speaks. Of those who can, the one
    speaks that pulls hardest to the side, a faint one only
    where no other can. Where ``sum_by_family`` is NaN none can.
    """
    padded, kinds = groups.padded_members(), groups.value_kinds
    feature, little, able = (
        padded[group, 0],
        np.zeros(group.shape, bool),
        np.zeros(group.shape, bool),
    )
    for place in range(group.shape[1]):
        rows = np.flatnonzero(~np.isnan(family_total[:, place]))
        candidates, own = padded[group[rows, place]], rows[:, None]
        empty = side[place] * groups.absent_effect[candidates]
        adds = side[place] * family_total[own, place] - empty
        bad = side[place] < 0
        states = (adds >= MIN_CLEAR_EFFECT, adds <= -MIN_CLEAR_EFFECT, (np.abs(adds) < MIN_CLEAR_EFFECT) & (empty >= MIN_CONTRIBUTION))
        fits = kinds.can_speak(candidates, values[own, candidates], bad, *states)
        pull = np.where(fits, side[place] * contributions[own, candidates], 0.0)
        best = np.argmax(np.where(pull > 0, pull - FAINT_PENALTY * kinds.faint[candidates], -np.inf), axis=1)[
            :, None
        ]
        chosen = np.take_along_axis(candidates, best, axis=1)[:, 0]
        feature[rows, place] = chosen
        able[rows, place] = np.take_along_axis(pull, best, axis=1)[:, 0] > 0
        little[rows, place] = (
            ~np.take_along_axis(states[0], best, axis=1)[:, 0] & kinds.graded[chosen]
        )
    return feature, little, able


@dataclass(frozen=True)
class _ValueKinds:
    """What a feature's value can tell, an element a feature.

    ``graded`` values are much or little; ``faint`` ones tell little; of ``lower_is_more`` ones a high value is little;
    of ``zero_is_nothing`` ones 0 is nothing; of ``signed`` ones less than 0 is little and 0 is not told; ``silent`` ones tell
    nothing; ``pause`` ones only something bad where they are long; ``praise`` ones are not told as too much; ``is_ending``
    ones tell of what gives a lead up, as ``ungraded_category`` ones may; ``last`` ones say when something happened last, and
    ``past`` ones of what happened at all.
    """

    graded: np.ndarray
    lower_is_more: np.ndarray
    zero_is_nothing: np.ndarray
    signed: np.ndarray
    silent: np.ndarray
    faint: np.ndarray
    pause: np.ndarray
    praise: np.ndarray
    is_ending: np.ndarray
    ungraded_category: np.ndarray
    is_last_time: np.ndarray
    is_of_events: np.ndarray
    typical_value: np.ndarray

    @classmethod
    def from_groups(cls, groups: FeatureGroups) -> Self:
        meanings = groups.meanings
        return cls(
            np.array([meaning.graded for meaning in meanings]),
            np.array([meaning.upside_down for meaning in meanings]),
            np.array([meaning.unit in ("count", "change") for meaning in meanings]),
            np.array([meaning.unit == "change" for meaning in meanings]),
            np.array([not meaning.speaks for meaning in meanings]),
            np.array([meaning.faint for meaning in meanings]),
            np.array([meaning.pause for meaning in meanings]),
            np.array([meaning.praise for meaning in meanings]),
            np.array(
                [
                    {meaning.name, meaning.subject.removeprefix(TYPE)} & groups.ending_types != set()
                    for meaning in meanings
                ]
            ),
            groups.ungraded_category,
            np.array([meaning.key == "age" for meaning in meanings]),
            np.array([meaning.scope != "lead" for meaning in meanings]),
            groups.typical_value,
        )

    def can_speak(
        self,
        features: np.ndarray,
        cells: np.ndarray,
        bad: bool,
        more: np.ndarray,
        less: np.ndarray,
        stale: np.ndarray,
    ) -> np.ndarray:
        """Say which cells can speak, of something ``bad`` or good, where ``more`` or ``less`` is to be told of them, or
        that it is ``stale``.
        """
        signed, ended = self.signed[features], self.is_ending[features]
        nothing = ~signed & (np.isnan(cells) | (self.zero_is_nothing[features] & (cells == 0)))
        usual = np.where(signed, 0.0, self.typical_value[features])
        falling = self.lower_is_more[features]
        low = np.where(falling, (cells > usual) & (less | stale), (cells < usual) & less)
        there = (
            ~nothing
            & (~signed | (cells > 0))
            & ~self.pause[features]
            & ~(bad & self.praise[features])
        )
        graded = np.where(more, there, bad & ~ended & (nothing | low))
        given_up = (
            ended
            | (self.ungraded_category[features] & (cells == ENDING_TYPE))
            | (self.is_of_events[features] & np.isnan(cells))
        )
        return ~self.silent[features] & (graded | ~self.graded[features]) & (bad | ~given_up)


def _build_statements(
    feature: np.ndarray, side: np.ndarray, is_low: np.ndarray, values: np.ndarray, groups: FeatureGroups
) -> Statement:
    """Return what each candidate would say, with its number as it is written."""
    cells = np.take_along_axis(values, feature, axis=1)
    kinds, measure = groups.value_kinds, groups.facts.measure[feature]
    nothing = np.isnan(cells) | (kinds.zero_is_nothing[feature] & (cells == 0))
    hours = np.round(cells * 24)
    days = np.where(hours < 24, hours / 24, np.round(cells))
    number = np.where(measure == COUNT_MEASURE, np.round(cells), np.where(measure == DAYS_MEASURE, days, np.nan))
    number[nothing] = np.nan
    silent = nothing | (is_low & kinds.lower_is_more[feature]) | kinds.is_last_time[feature]
    reach = np.where(nothing, groups.facts.lookback_days[feature], cells)
    sides = np.broadcast_to(side, feature.shape)
    return Statement(feature, sides, number, nothing | is_low, silent, reach)


def _select_without_clashes(
    strength: np.ndarray, able: np.ndarray, statements: Statement, facts: FeatureFacts, max_per_side: int
) -> np.ndarray:
    """Return which candidates are told: from the strongest, each that clashes with none told, ``most`` a side."""
    order = np.argsort(-strength, axis=1, kind="stable")
    ranked = Statement(*(np.take_along_axis(part, order, axis=1) for part in vars(statements).values()))
    told, room = np.zeros_like(able), np.full((2, len(able)), max_per_side)
    free = np.take_along_axis(able, order, axis=1)
    for place in range(order.shape[1]):
        here = ranked.select_place(place)
        against = (here.side < 0).astype(int)
        keep = free[:, place] & (room[against, np.arange(len(able))] > 0)
        for before in range(place):
            rows = np.flatnonzero(keep & told[:, before])
            one, other = here.select_rows(rows), ranked.select_place(before).select_rows(rows)
            keep[rows[find_clashes(facts, one, other)]] = False
        told[:, place] = keep
        room[against[keep], np.flatnonzero(keep)] -= 1
    found = np.zeros_like(told)
    np.put_along_axis(found, order, told, axis=1)
    return found
