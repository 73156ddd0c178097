"""Selection of reasons: the feature groups that are shown, and the feature that represents each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.feature import TYPE_PREFIX
from features.definitions.semantics import Meaning
from models.reference.typical_lead import TypicalLead
from serve.reasons.conflicts import (
    COUNT_MEASURE,
    DAYS_MEASURE,
    FeatureFacts,
    Statement,
    find_clashes,
)

# Log-odds. A weaker group is not a reason: it moves the probability by at most 1.25 points of 100.
MIN_CONTRIBUTION = 0.05
# Log-odds. A value is shown as good or bad only if its effect differs by this from having nothing.
MIN_CLEAR_EFFECT = 0.05
# Larger than any contribution in log-odds, so a faint feature ranks below all others of its group.
FAINT_PENALTY = 1e6
# Log-odds. A category of events (the latest events, the stage) has no typical value to compare
# with, so it needs a stronger contribution.
MIN_CATEGORY_CONTRIBUTION = 0.15
# Code of a category that names an event type which gives a lead up; other categories are coded 1.
ENDING_TYPE = -1.0
# Candidate groups per side beyond those that are shown: they replace a group that cannot be shown.
SPARE_GROUPS = 6


@dataclass(frozen=True)
class SelectedReasons:
    """Selected reasons, one element per reason.

    Sorted by lead; for each lead the reasons for precede those against, strongest first.

    Attributes:
        row: Row of the lead in the feature matrix.
        feature: Column of the feature that represents its group.
        total: Contribution of the whole group, in log-odds.
        is_low: Whether the value is described as a low one.
    """

    row: np.ndarray
    feature: np.ndarray
    total: np.ndarray
    is_low: np.ndarray


@dataclass(frozen=True)
class FeatureGroups:
    """The features of a model, grouped; groups are in the order of their first column.

    Attributes:
        meanings: Meaning of each feature.
        members: Columns of each group.
        families: For each group, the positions of all groups about the same events.
        absence_effect: For each feature, the log-odds that its group's family contributes to a
            lead without such events; 0 if unknown.
        median: Median of each feature among the training leads; NaN if unknown.
        facts: Subject, measure and lookback of each feature.
        ending_types: Event types that give a lead up; they are never shown as something good.
    """

    meanings: tuple[Meaning, ...]
    members: tuple[tuple[int, ...], ...]
    families: tuple[tuple[int, ...], ...]
    absence_effect: np.ndarray
    median: np.ndarray
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
        """Group the features with these names, in the column order of the feature matrix."""
        columns_of: dict[str, list[int]] = {}
        for column, name in enumerate(names):
            columns_of.setdefault(meanings[name].group, []).append(column)
        return cls(
            tuple(meanings[name] for name in names),
            tuple(map(tuple, columns_of.values())),
            tuple(
                _find_places(typical_lead.group_families.get(group, [group]), list(columns_of))
                for group in columns_of
            ),
            np.array([typical_lead.absence_effects.get(name, 0.0) for name in names]),
            np.array([typical_lead.medians.get(name, np.nan) for name in names]),
            FeatureFacts.from_meanings([meanings[name] for name in names]),
            ending_types,
        )

    def sum_by_group(self, contributions: np.ndarray) -> np.ndarray:
        """Return contributions summed by group, shape (rows, groups).

        They are added in column order, so every machine gives the same bits.
        """
        starts = np.cumsum([0, *map(len, self.members)])[:-1]
        order = [column for columns in self.members for column in columns]
        return np.add.reduceat(contributions[:, order], starts, axis=1)

    @cached_property
    def value_kinds(self) -> _ValueKinds:
        """Properties that decide what a feature's value can say."""
        return _ValueKinds.from_groups(self)

    @cached_property
    def has_worded_member(self) -> np.ndarray:
        """Mask of the groups with a feature that can represent them for some lead."""
        return np.array([any(self.meanings[i].is_worded for i in group) for group in self.members])

    @cached_property
    def ungraded_category(self) -> np.ndarray:
        """Mask of the features that are categories of events: they have no typical value."""
        return np.array([m.unit == "category" and m.scope != "lead" for m in self.meanings])

    def sum_by_family(self, sums: np.ndarray) -> np.ndarray:
        """Return the sums of each group's family, shape (rows, groups), added in group order."""
        by_group, totals = np.ascontiguousarray(sums.T), dict[tuple[int, ...], np.ndarray]()
        for family in self.families:
            if family not in totals:
                totals[family] = np.add.reduce(by_group[list(family)], axis=0)
        return np.column_stack([totals[family] for family in self.families])

    def padded_members(self) -> np.ndarray:
        """Return each group's columns, shape (groups, longest); shorter ones repeat their first."""
        longest = max(map(len, self.members))
        return np.array(
            [columns + columns[:1] * (longest - len(columns)) for columns in self.members]
        )


def _find_places(related: Sequence[str], groups: list[str]) -> tuple[int, ...]:
    """Return the positions of related groups among ``groups``, ascending."""
    return tuple(sorted(groups.index(group) for group in related if group in groups))


def select_reason_groups(
    contributions: np.ndarray, matrix: pa.Table, groups: FeatureGroups, max_per_side: int
) -> SelectedReasons:
    """Select at most ``max_per_side`` reasons for each row, and as many against.

    ``contributions`` has shape (rows, features), in log-odds; its columns are those of ``matrix``.

    Groups are visited from the strongest to the weakest, on both sides. A group is selected if a
    member can represent it (``_choose_speakers``), if its contribution reaches MIN_CONTRIBUTION
    (MIN_CATEGORY_CONTRIBUTION for a category of events), and if it does not clash with a stronger
    reason. Ties go to the group whose first column comes first.
    """
    sums, values = groups.sum_by_group(contributions), _to_numbers(matrix, groups)
    # Left out here, so that they take the place of no group that can speak.
    audible = np.where(groups.has_worded_member, sums, 0.0)
    candidates = min(max_per_side + SPARE_GROUPS, len(groups.members))
    group = np.hstack([_take_largest(audible, candidates), _take_largest(-audible, candidates)])
    side = np.where(np.arange(2 * candidates) < candidates, 1.0, -1.0)
    total = np.take_along_axis(sums, group, axis=1)
    family_total = np.take_along_axis(groups.sum_by_family(sums), group, axis=1)
    is_strong = side * total >= MIN_CONTRIBUTION
    # A weak group is no reason anyway, so no feature is looked up for it.
    feature, is_low, can_speak = _choose_speakers(
        contributions, values, groups, group, np.where(is_strong, family_total, np.nan), side
    )
    can_speak &= (side * total >= MIN_CATEGORY_CONTRIBUTION) | ~groups.ungraded_category[feature]
    statements = _build_statements(feature, side, is_low, values, groups)
    selected = _select_without_clashes(
        np.abs(total), can_speak, statements, groups.facts, max_per_side
    )
    rows, places = np.nonzero(selected)
    return SelectedReasons(rows, feature[rows, places], total[rows, places], is_low[rows, places])


def _take_largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the columns of each row's ``count`` largest values, largest first, ties by column."""
    # A stable sort, so that ties give the same reasons on every machine.
    return np.argsort(-values, axis=1, kind="stable")[:, :count]


def _to_numbers(matrix: pa.Table, groups: FeatureGroups) -> np.ndarray:
    """Return the matrix as float64, shape (rows, features); missing and infinite values are NaN.

    A category is 1, or ENDING_TYPE if it names an event type that gives a lead up.
    """
    numbers = np.empty((matrix.num_rows, matrix.num_columns))
    for place, column in enumerate(matrix.columns):
        if pa.types.is_floating(column.type):
            numbers[:, place] = column.to_numpy()
        else:
            numbers[:, place] = np.where(pc.is_null(column).to_numpy(), np.nan, 1.0)
            if groups.ending_types and groups.ungraded_category[place]:
                is_ending = pc.is_in(
                    column.cast(pa.string()), pa.array(sorted(groups.ending_types), pa.string())
                )
                numbers[is_ending.to_numpy(), place] = ENDING_TYPE
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _choose_speakers(
    contributions: np.ndarray,
    values: np.ndarray,
    groups: FeatureGroups,
    group: np.ndarray,
    family_total: np.ndarray,
    side: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the feature that represents each candidate group of each row.

    ``group`` holds candidate groups and ``family_total`` the contribution of each one's family,
    both of shape (rows, candidates). A candidate whose ``family_total`` is NaN gets no feature.
    ``side`` is 1 for the candidates for and -1 for those against.

    The effect of a lead's value is its family's contribution less that of a lead without such
    events. A member can represent the group as follows:

    - The effect is on the group's side: the sentence states the value.
    - It is on the other side: the sentence states that the value is low (of a time, high).
    - It is not clear (MIN_CLEAR_EFFECT): the sentence states that there is nothing, or that it
      was long ago if having nothing weighs on that side too.

    A lack, a pause and an ending type are never shown as good; activity is never shown as bad. Of
    the members that qualify, the one with the strongest contribution to the side is chosen, a
    faint one only if there is no other.

    Returns three arrays of shape (rows, candidates): the column, whether its value is described as
    low, and whether any member qualifies.
    """
    padded, kinds = groups.padded_members(), groups.value_kinds
    feature = padded[group, 0]
    is_low, can_speak = np.zeros(group.shape, bool), np.zeros(group.shape, bool)
    for place in range(group.shape[1]):
        rows = np.flatnonzero(~np.isnan(family_total[:, place]))
        candidates, own = padded[group[rows, place]], rows[:, None]
        absence = side[place] * groups.absence_effect[candidates]
        effect = side[place] * family_total[own, place] - absence
        more, less = effect >= MIN_CLEAR_EFFECT, effect <= -MIN_CLEAR_EFFECT
        stale = (np.abs(effect) < MIN_CLEAR_EFFECT) & (absence >= MIN_CONTRIBUTION)
        is_bad = side[place] < 0
        fits = kinds.can_speak(candidates, values[own, candidates], is_bad, more, less, stale)
        pull = np.where(fits, side[place] * contributions[own, candidates], 0.0)
        rank = np.where(pull > 0, pull - FAINT_PENALTY * kinds.faint[candidates], -np.inf)
        best = np.argmax(rank, axis=1)[:, None]
        chosen = np.take_along_axis(candidates, best, axis=1)[:, 0]
        feature[rows, place] = chosen
        can_speak[rows, place] = np.take_along_axis(pull, best, axis=1)[:, 0] > 0
        states_value = np.take_along_axis(more, best, axis=1)[:, 0]
        is_low[rows, place] = ~states_value & kinds.graded[chosen]
    return feature, is_low, can_speak


@dataclass(frozen=True)
class _ValueKinds:
    """Properties that decide what a feature's value can say, one element per feature.

    Attributes:
        graded: The value can be high or low.
        lower_is_more: A high value means little, such as the time since the last event.
        zero_is_nothing: 0 means that nothing happened.
        signed: A negative value is low, and 0 says nothing.
        silent: The feature never represents its group.
        faint: The feature says little; it represents its group only if no other can.
        pause: A pause; it says something only if it is long, and then something bad.
        praise: Activity; it is never shown as something bad.
        is_ending: The feature is about an event type that gives a lead up.
        ungraded_category: A category of events; its value may name such an event type.
        is_last_time: The time since the last event.
        is_of_events: The feature is about events, not an attribute of the lead.
        median: Median among the training leads; NaN if unknown.
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
    median: np.ndarray

    @classmethod
    def from_groups(cls, groups: FeatureGroups) -> Self:
        """Derive the properties from the meanings of the features."""
        meanings = groups.meanings
        return cls(
            np.array([meaning.is_graded for meaning in meanings]),
            np.array([meaning.is_inverted for meaning in meanings]),
            np.array([meaning.unit in ("count", "change") for meaning in meanings]),
            np.array([meaning.unit == "change" for meaning in meanings]),
            np.array([not meaning.is_worded for meaning in meanings]),
            np.array([meaning.is_worded_last for meaning in meanings]),
            np.array([meaning.is_pause for meaning in meanings]),
            np.array([meaning.reads_as_praise for meaning in meanings]),
            np.array(
                [
                    {meaning.name, meaning.subject.removeprefix(TYPE_PREFIX)} & groups.ending_types
                    != set()
                    for meaning in meanings
                ]
            ),
            groups.ungraded_category,
            np.array([meaning.key == "age" for meaning in meanings]),
            np.array([meaning.scope != "lead" for meaning in meanings]),
            groups.median,
        )

    def can_speak(
        self,
        features: np.ndarray,
        cells: np.ndarray,
        is_bad: bool,
        more: np.ndarray,
        less: np.ndarray,
        stale: np.ndarray,
    ) -> np.ndarray:
        """Return a mask of the cells that can represent their group.

        All arrays have the shape of ``features``, whose values are ``cells``. ``is_bad`` says
        whether the reason is one against. ``more``, ``less`` and ``stale`` say what the sentence is
        to state: the value, that it is low, or that it was long ago.
        """
        signed, is_ending = self.signed[features], self.is_ending[features]
        nothing = ~signed & (np.isnan(cells) | (self.zero_is_nothing[features] & (cells == 0)))
        typical = np.where(signed, 0.0, self.median[features])
        low = np.where(
            self.lower_is_more[features],
            (cells > typical) & (less | stale),
            (cells < typical) & less,
        )
        states_value = (
            ~nothing
            & (~signed | (cells > 0))
            & ~self.pause[features]
            & ~(is_bad & self.praise[features])
        )
        fits = np.where(more, states_value, is_bad & ~is_ending & (nothing | low))
        only_bad = (
            is_ending
            | (self.ungraded_category[features] & (cells == ENDING_TYPE))
            | (self.is_of_events[features] & np.isnan(cells))
        )
        return ~self.silent[features] & (fits | ~self.graded[features]) & (is_bad | ~only_bad)


def _build_statements(
    feature: np.ndarray,
    side: np.ndarray,
    is_low: np.ndarray,
    values: np.ndarray,
    groups: FeatureGroups,
) -> Statement:
    """Return the statement of each candidate, with its number rounded as it is written."""
    cells = np.take_along_axis(values, feature, axis=1)
    kinds, measure = groups.value_kinds, groups.facts.measure[feature]
    nothing = np.isnan(cells) | (kinds.zero_is_nothing[feature] & (cells == 0))
    # Sentences write times under a day in hours, and longer ones in days.
    hours = np.round(cells * 24)
    days = np.where(hours < 24, hours / 24, np.round(cells))
    number = np.where(
        measure == COUNT_MEASURE,
        np.round(cells),
        np.where(measure == DAYS_MEASURE, days, np.nan),
    )
    number[nothing] = np.nan
    is_absence = nothing | (is_low & kinds.lower_is_more[feature]) | kinds.is_last_time[feature]
    lookback_days = np.where(nothing, groups.facts.lookback_days[feature], cells)
    sides = np.broadcast_to(side, feature.shape)
    return Statement(feature, sides, number, nothing | is_low, is_absence, lookback_days)


def _select_without_clashes(
    strength: np.ndarray,
    can_speak: np.ndarray,
    statements: Statement,
    facts: FeatureFacts,
    max_per_side: int,
) -> np.ndarray:
    """Return a mask of the selected candidates, shape (rows, candidates).

    Candidates are visited from the strongest to the weakest. One is selected if it clashes with
    none selected before it, and if its side has fewer than ``max_per_side``.
    """
    order = np.argsort(-strength, axis=1, kind="stable")
    ranked = statements.reorder_places(order)
    selected, room = np.zeros_like(can_speak), np.full((2, len(can_speak)), max_per_side)
    ranked_can_speak = np.take_along_axis(can_speak, order, axis=1)
    for place in range(order.shape[1]):
        candidate = ranked.select_place(place)
        against = (candidate.side < 0).astype(int)
        keep = ranked_can_speak[:, place] & (room[against, np.arange(len(can_speak))] > 0)
        for before in range(place):
            rows = np.flatnonzero(keep & selected[:, before])
            stronger = ranked.select_place(before).select_rows(rows)
            keep[rows[find_clashes(facts, candidate.select_rows(rows), stronger)]] = False
        selected[:, place] = keep
        room[against[keep], np.flatnonzero(keep)] -= 1
    result = np.zeros_like(selected)
    np.put_along_axis(result, order, selected, axis=1)
    return result
