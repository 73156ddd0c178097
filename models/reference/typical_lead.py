"""Training medians and effects of absence: reasons describe a value as high or low against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX, Feature
from models.encoding import sample_evenly
from models.scorer import Scorer

# Training rows that are read; medians of more rows hardly differ.
MAX_ROWS = 2_000
# The mean over fewer leads is chance.
MIN_LEADS = 10
SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class TypicalLead:
    """Typical values of the training leads, and the effect of having no events of a kind.

    Attributes:
        medians: Median of each numeric feature.
        absence_effects: For each feature of events, the mean log-odds that the family of its group
            contributes for leads without such events. Where hardly any lead is without, it is the
            mean over leads whose whole history is removed.
        group_families: For each group of features, all groups about the same events, its own first:
            a call is also an event by phone, and each event belongs to the group of all events.
    """

    medians: Mapping[str, float] = field(default_factory=dict)
    absence_effects: Mapping[str, float] = field(default_factory=dict)
    group_families: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def from_matrix(cls, scorer: Scorer, matrix: pa.Table, features: Iterable[Feature]) -> Self:
        """Summarize a training matrix with all features of the scorer's catalog."""
        sample = matrix.take(pa.array(sample_evenly(matrix.num_rows, MAX_ROWS)))
        numbers = [
            name for name in scorer.encoding.names if pa.types.is_floating(sample[name].type)
        ]
        columns = {name: sample[name].to_numpy() for name in numbers}
        finite = {name: column[np.isfinite(column)] for name, column in columns.items()}
        medians = {name: float(np.median(column)) for name, column in finite.items() if len(column)}
        history = [feature for feature in features if feature.scope != "lead"]
        families = _find_families(sample, history, scorer.encoding.names)
        effects = _measure_absence_effects(scorer, sample, history, families)
        return cls(medians, effects, families)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values, under the keys of stored models."""
        parts = {"middle": self.medians, "without": self.absence_effects}
        short = {
            name: {key: float(f"{v:.{SIGNIFICANT_DIGITS}g}") for key, v in part.items()}
            for name, part in parts.items()
        }
        return {**short, "family": dict(self.group_families)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Restore from the result of ``to_json``."""
        return cls(*(data.get(key, {}) for key in ("middle", "without", "family")))


def _measure_absence_effects(
    scorer: Scorer, sample: pa.Table, history: list[Feature], families: Mapping[str, list[str]]
) -> dict[str, float]:
    """Return for each feature of the model its family's contribution without events."""
    names = scorer.encoding.names
    groups = {feature.name: feature.meaning.group for feature in history}
    contributions, blank = scorer.explain(sample), scorer.explain(_blank_history(sample, history))
    effects = {}
    for feature in history:
        if feature.name not in names:
            continue
        related = families[feature.meaning.group]
        columns = [place for place, name in enumerate(names) if groups.get(name) in related]
        column = sample[feature.name]
        is_absent = pc.is_null(column, nan_is_null=True)
        if feature.meaning.empty_value == 0:
            is_absent = pc.or_(is_absent, pc.equal(column, 0.0))
        rows = pc.fill_null(is_absent, True).to_numpy()
        chosen = contributions[rows] if rows.sum() >= MIN_LEADS else blank
        effects[feature.name] = float(chosen[:, columns].sum(axis=1).mean())
    return effects


def _find_families(
    sample: pa.Table, history: Sequence[Feature], names: Sequence[str]
) -> dict[str, list[str]]:
    """Return for each group, its own first, the groups of the model that share events with it."""
    groups = dict.fromkeys(feature.meaning.group for feature in history if feature.name in names)
    about = {feature.meaning.group: (feature.scope, feature.meaning.subject) for feature in history}
    counts = {
        f.subject: sample[f.name].to_numpy()
        for f in history
        if f.scope == "entity" and _is_total_count(f, sample)
    }
    all_events = {feature.meaning.group for feature in history if feature.meaning.covers_all_events}
    return {
        group: [
            group,
            *(
                other
                for other in groups
                if other != group and _share_events(group, other, about, counts, all_events)
            ),
        ]
        for group in groups
    }


def _share_events(
    group: str,
    other: str,
    about: Mapping[str, tuple[str, str]],
    counts: Mapping[str, np.ndarray],
    all_events: set[str],
) -> bool:
    """Return whether all or some events of one group are events of the other.

    Removing the events of such a group changes both.
    """
    (scope, subject), (other_scope, other_subject) = about[group], about[other]
    if group in all_events:
        return scope == "account" or other_scope == "entity"
    if scope != other_scope:
        return {scope, other_scope} == {"account", "others"} or (
            scope == "account" and subject == other_subject
        )
    return other not in all_events and (
        _is_contained(subject, other_subject, counts)
        or _is_contained(other_subject, subject, counts)
    )


def _is_contained(inner: str, outer: str, counts: Mapping[str, np.ndarray]) -> bool:
    """Return whether no lead has more events of one kind than of a wider one.

    An example is an event type that occurs in one channel only.
    """
    width = [kind.strip(":") for kind in (TYPE_PREFIX, CHANNEL_PREFIX, GROUP_PREFIX)]
    if not {inner, outer} <= set(counts):
        return False
    if width.index(_subject_kind(inner)) >= width.index(_subject_kind(outer)):
        return False
    return bool((counts[inner] > 0).sum() >= MIN_LEADS and (counts[inner] <= counts[outer]).all())


def _subject_kind(subject: str) -> str:
    return subject.partition(":")[0]


def _is_total_count(feature: Feature, sample: pa.Table) -> bool:
    """Return whether a feature counts all events of the lead of one type, channel or direction."""
    own = (
        feature.scope == "entity"
        and feature.subject != "any"
        and feature.name in sample.column_names
    )
    return own and feature.aggregate == "count" and feature.span is None


def _blank_history(sample: pa.Table, history: Iterable[Feature]) -> pa.Table:
    """Return the rows with the value that each feature of events has without any event."""
    names = set(sample.column_names)
    for feature in history:
        if feature.name not in names:
            continue
        place = sample.column_names.index(feature.name)
        column = sample.schema.field(place)
        empty_value = pa.scalar(feature.meaning.empty_value, column.type)
        sample = sample.set_column(place, column, pa.repeat(empty_value, sample.num_rows))
    return sample
