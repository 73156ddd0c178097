"""What is usual among the leads that a model learnt from: the yardstick of what is told as much or as little."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.feature import Feature
from models.encoding import evenly
from models.scorer import Scorer

ROWS = 2_000
"""Rows of the training that are looked at: more tell nothing more."""
FEW = 10
"""Leads that have nothing of a group, below which their mean contribution is chance."""
DIGITS = 6


@dataclass(frozen=True)
class Usual:
    """Of each feature the median of its known numbers; of each group what it adds where a lead has nothing of it.

    ``without`` is the mean contribution of a group (log-odds) over the leads that none of its events happened to;
    where hardly a lead is without, over leads whose whole history is taken away. ``blank`` is that of all history
    together, of the lead's own (“entity”) and with that of its account (“account”).
    """

    middle: dict[str, float] = field(default_factory=dict)
    without: dict[str, float] = field(default_factory=dict)
    blank: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scorer: Scorer, matrix: pa.Table, features: Sequence[Feature]) -> Self:
        """Look at a feature matrix that the scorer learnt from, of all features of its catalogue."""
        sample = matrix.take(pa.array(evenly(matrix.num_rows, ROWS)))
        names = scorer.encoding.names
        known = {name: sample[name].to_numpy() for name in names if pa.types.is_floating(sample[name].type)}
        middle = {name: float(np.nanmedian(column)) for name, column in known.items() if np.isfinite(column).any()}
        parts, blank = scorer.explain(sample), scorer.explain(_blanked(sample, features))
        without = {}
        for group, (columns, counts) in _members(features, names).items():
            rows = _empty(sample, counts)
            found = parts[rows] if rows.sum() >= FEW else blank
            without[group] = float(found[:, columns].sum(axis=1).mean())
        scopes = {feature.name: feature.scope for feature in features}
        own = np.array([scopes[name] == "entity" for name in names])
        shared = np.array([scopes[name] != "lead" for name in names])
        totals = {"entity": blank[:, :-1][:, own], "account": blank[:, :-1][:, shared]}
        return cls(middle, without, {scope: float(part.sum(axis=1).mean()) for scope, part in totals.items()})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            name: {key: float(f"{value:.{DIGITS}g}") for key, value in part.items()}
            for name, part in vars(self).items()
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**data)


def _members(features: Iterable[Feature], names: list[str]) -> dict[str, tuple[list[int], list[str]]]:
    """Return of each group with a history the places of its features among ``names``, and what counts its events."""
    places = {name: place for place, name in enumerate(names)}
    found = dict[str, tuple[list[int], list[str]]]()
    for feature in (each for each in features if each.scope != "lead"):
        columns, counts = found.setdefault(feature.meaning.group, ([], []))
        if feature.name in places:
            columns.append(places[feature.name])
        if feature.aggregate == "count" and feature.span is None:
            counts.append(feature.name)
    return {group: parts for group, parts in found.items() if parts[0]}


def _blanked(sample: pa.Table, features: Iterable[Feature]) -> pa.Table:
    """Return the rows as they would be if nothing had ever happened to the leads."""
    for feature in features:
        place = sample.column_names.index(feature.name) if feature.name in sample.column_names else -1
        if place >= 0 and feature.scope != "lead":
            field = sample.schema.field(place)
            nothing = pa.scalar(feature.meaning.nothing, field.type)
            sample = sample.set_column(place, field, pa.repeat(nothing, sample.num_rows))
    return sample


def _empty(sample: pa.Table, counts: list[str]) -> np.ndarray:
    """Say of each row whether all of these counts are 0; of none where there is no such count."""
    rows = np.full(sample.num_rows, bool(counts))
    for name in counts:
        rows &= pc.equal(sample[name], 0.0).to_numpy()
    return rows
