"""What is usual among the leads that a model learnt from: the yardstick of what is told as much or as little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.feature import CHANNEL, GROUP, TYPE, Feature
from models.encoding import evenly
from models.scorer import Scorer

ROWS = 2_000
"""Rows of the training that are looked at: more tell nothing more."""
FEW = 10
"""Leads below which their mean is chance."""
DIGITS = 6


@dataclass(frozen=True)
class Usual:
    """What the leads of a training usually have, and what having nothing is worth to the model.

    ``middle`` has the median of each number. ``family`` names, for a group of features, all groups that tell of the
    same events: a call is an event by phone too, and every event is one of all. ``without`` is, for a feature, what its
    group's family adds to the log-odds on average where the feature says that there is nothing. Where hardly a lead
    has nothing of it, it is the average over leads whose whole history is taken away.
    """

    middle: Mapping[str, float] = field(default_factory=dict)
    without: Mapping[str, float] = field(default_factory=dict)
    family: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, scorer: Scorer, matrix: pa.Table, features: Iterable[Feature]) -> Self:
        """Look at a feature matrix that the scorer learnt from, of all features of its catalogue."""
        sample = matrix.take(pa.array(evenly(matrix.num_rows, ROWS)))
        numbers = [
            name for name in scorer.encoding.names if pa.types.is_floating(sample[name].type)
        ]
        known = {
            name: column[np.isfinite(column)]
            for name in numbers
            for column in [sample[name].to_numpy()]
        }
        middle = {name: float(np.median(column)) for name, column in known.items() if len(column)}
        history = [feature for feature in features if feature.scope != "lead"]
        family = _families(sample, history, scorer.encoding.names)
        return cls(middle, _without(scorer, sample, history, family), family)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        parts = {"middle": self.middle, "without": self.without}
        short = {
            name: {key: float(f"{v:.{DIGITS}g}") for key, v in part.items()}
            for name, part in parts.items()
        }
        return {**short, "family": dict(self.family)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**data)


def _without(
    scorer: Scorer, sample: pa.Table, history: list[Feature], family: Mapping[str, list[str]]
) -> dict[str, float]:
    """Return of each feature of the model what its family adds where there is nothing of it."""
    names, groups = (
        scorer.encoding.names,
        {feature.name: feature.meaning.group for feature in history},
    )
    parts, blank = scorer.explain(sample), scorer.explain(_blanked(sample, history))
    found = {}
    for feature in (each for each in history if each.name in names):
        related = family[feature.meaning.group]
        columns = [place for place, name in enumerate(names) if groups.get(name) in related]
        column = sample[feature.name]
        nothing = pc.is_null(column, nan_is_null=True)
        if feature.meaning.nothing == 0:
            nothing = pc.or_(nothing, pc.equal(column, 0.0))
        rows = pc.fill_null(nothing, True).to_numpy()
        chosen = parts[rows] if rows.sum() >= FEW else blank
        found[feature.name] = float(chosen[:, columns].sum(axis=1).mean())
    return found


def _families(
    sample: pa.Table, history: Sequence[Feature], names: Sequence[str]
) -> dict[str, list[str]]:
    """Return for each group, its own first, the groups of the model's features that some of the same events are in."""
    groups = dict.fromkeys(feature.meaning.group for feature in history if feature.name in names)
    about = {feature.meaning.group: (feature.scope, feature.meaning.subject) for feature in history}
    counts = {
        f.subject: sample[f.name].to_numpy()
        for f in history
        if f.scope == "entity" and _counts_all(f, sample)
    }
    whole = {feature.meaning.group for feature in history if feature.meaning.whole}
    return {
        group: [
            group,
            *(
                other
                for other in groups
                if other != group and _related(group, other, about, counts, whole)
            ),
        ]
        for group in groups
    }


def _related(
    one: str,
    other: str,
    about: Mapping[str, tuple[str, str]],
    counts: Mapping[str, np.ndarray],
    whole: set[str],
) -> bool:
    """Say whether the events of one group are, all or in part, events of the other: what takes them away takes both."""
    (scope, subject), (other_scope, other_subject) = about[one], about[other]
    if one in whole:
        return scope == "account" or other_scope == "entity"
    if scope != other_scope:
        return {scope, other_scope} == {"account", "others"} or (
            scope == "account" and subject == other_subject
        )
    return other not in whole and (
        _within(subject, other_subject, counts) or _within(other_subject, subject, counts)
    )


def _within(inner: str, outer: str, counts: Mapping[str, np.ndarray]) -> bool:
    """Say whether no lead has more events of one kind than of another, wider one: of a type in a channel, say."""
    width = [kind.strip(":") for kind in (TYPE, CHANNEL, GROUP)]
    if not {inner, outer} <= set(counts) or width.index(_kind(inner)) >= width.index(_kind(outer)):
        return False
    return bool((counts[inner] > 0).sum() >= FEW and (counts[inner] <= counts[outer]).all())


def _kind(subject: str) -> str:
    return subject.partition(":")[0]


def _counts_all(feature: Feature, sample: pa.Table) -> bool:
    """Say whether a feature counts all events of the lead of one type, channel or direction."""
    own = (
        feature.scope == "entity"
        and feature.subject != "any"
        and feature.name in sample.column_names
    )
    return own and feature.aggregate == "count" and feature.span is None


def _blanked(sample: pa.Table, history: Iterable[Feature]) -> pa.Table:
    """Return the rows as they would be if nothing had ever happened to the leads."""
    known = set(sample.column_names)
    for feature in (each for each in history if each.name in known):
        place = sample.column_names.index(feature.name)
        column = sample.schema.field(place)
        nothing = pa.scalar(feature.meaning.nothing, column.type)
        sample = sample.set_column(place, column, pa.repeat(nothing, sample.num_rows))
    return sample
