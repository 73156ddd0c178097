"""The catalogue: every feature of a data set, declared once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from features.contracts import SPINE, Dataset
from features.definitions.aggregates import (
    declare_account_features,
    declare_entity_features,
    declare_peer_features,
)
from features.definitions.attributes import infer_attribute_kinds
from features.definitions.feature import Feature
from features.definitions.group_features import declare_group_features
from features.definitions.sequences import (
    declare_journey_features,
    declare_lead_features,
    declare_sequence_features,
)
from features.definitions.vocabulary import Vocabulary

# Rarer event types and channels have no features of their own; "any" still counts them. With this
# limit codes fit into the 64 bits of the distinct kernel, and subjects (two lists of 60, "any" and
# two groups) into int8.
MAX_TYPES = 60

# If at least this share of the leads was created at one time of the day, the source holds dates.
DATE_ONLY_SHARE = 0.9


@dataclass(frozen=True)
class Catalog(Vocabulary):
    """The features that follow from the vocabulary of a data set."""

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Return the selected features, in the order of the matrix's columns."""
        features: list[Feature] = []
        if self.has_history:
            features += [
                *declare_entity_features(self),
                *declare_sequence_features(self),
                *declare_journey_features(self),
            ]
        if self.has_history and self.accounts:
            features += [*declare_account_features(self), *declare_peer_features(self)]
            features += declare_group_features(self)
        features += declare_lead_features(self)
        selected = set(self.only)
        return tuple(
            feature
            for feature in _make_names_unique(features)
            if not selected or feature.name in selected
        )

    @cached_property
    def history_features(self) -> tuple[Feature, ...]:
        """Return the features of events; the others come from the lead row."""
        return tuple(feature for feature in self.features if feature.scope != "lead")

    def select(self, names: Iterable[str]) -> Self:
        """Return the catalogue of these features alone; no other is computed."""
        return replace(self, only=tuple(sorted(names)))


def build_catalog(
    project: Project, dataset: Dataset, hidden_columns: frozenset[str] | set[str] = frozenset()
) -> Catalog:
    """Return the catalogue of a data set without the config's exclusions and ``hidden_columns``.

    Raises ConfigError if the configured role is not an attribute of the leads, DataError if the
    kind of an attribute is in doubt.
    """
    settings = project.features
    excluded = {*settings.exclude, *hidden_columns}
    columns = dataset.readings.columns
    dated = infer_attribute_kinds(dataset.values, columns)
    used = [name for name in (*dataset.attributes, *dated) if name not in excluded]
    dataset.readings.require_certain(used)
    types, channels = (
        _list_most_frequent(dataset.events[name], excluded) for name in ("event_type", "channel")
    )
    with_value = dataset.events["event_type"].filter(pc.is_valid(dataset.events["value"]))
    accounts = dataset.leads["account_id"].drop_null()
    catalog = Catalog(
        types=types,
        channels=channels,
        valued=tuple(sorted(set(types) & set(pc.unique(with_value).to_pylist()))),
        stages=tuple(stage for stage in settings.stages if stage not in excluded),
        attributes=tuple(
            (name, "number" if pa.types.is_floating(dataset.leads[name].type) else "category")
            for name in dataset.attributes
            if name not in excluded
        ),
        windows=tuple(sorted(settings.windows)),
        half_lives=tuple(sorted(settings.half_lives)),
        outbound=tuple(sorted({*settings.outbound} & {*types})),
        offline=tuple(sorted({*settings.offline} & {*channels})),
        ends=tuple(sorted({*settings.ends} & {*types})),
        role=project.role_attribute or "",
        roles=_list_roles(project, dataset),
        role_features=bool(project.accounts.roles),
        dated=tuple((name, kind) for name, kind in dated.items() if name not in excluded),
        readings=tuple((name, columns[name].stored) for name in used if name in columns),
        timezone=project.timezone,
        accounts=len(pc.unique(accounts)) < len(accounts),
        hours=_has_hours(project, dataset),
        timed=dataset.timed,
        unused=tuple(sorted({*settings.exclude} & {*_list_types(dataset)})),
    )
    return (
        catalog.select(f.name for f in catalog.features if f.family in settings.families)
        if settings.families
        else catalog
    )


def _make_names_unique(features: list[Feature]) -> list[Feature]:
    """Return the features with unique names: an attribute may be named like another feature."""
    taken = set(SPINE.names)
    renamed = []
    for feature in features:
        name = feature.name
        while name in taken:
            name += "_"
        taken.add(name)
        renamed.append(replace(feature, name=name) if name != feature.name else feature)
    return renamed


def _has_hours(project: Project, dataset: Dataset) -> bool:
    """Return whether leads are created at different times of the day.

    A date is read as midnight, or as the next time where a time zone skips midnight.
    """
    created = dataset.leads["created_at"]
    local = pc.local_timestamp(pc.cast(created, pa.timestamp("us", project.timezone)))
    counts = pc.value_counts(pc.subtract(local, pc.floor_temporal(local, unit="day"))).field(
        "counts"
    )
    return bool(len(created)) and pc.max(counts).as_py() < DATE_ONLY_SHARE * len(created)


def _list_roles(project: Project, dataset: Dataset) -> tuple[str, ...]:
    role = project.role_attribute
    if role is None:
        return ()
    # In their order, which is that of the config: a model keeps their numbers.
    if project.accounts.roles:
        return tuple(project.accounts.roles)
    if role not in dataset.attributes:
        where, fix = f"{project.path}: features.role", "list it in sources.leads.attributes"
        raise ConfigError(
            "the role is not an attribute of the leads", where=where, found=repr(role), fix=fix
        )
    return _list_most_frequent(pc.cast(dataset.leads[role], pa.string()), set())


def _list_types(dataset: Dataset) -> list[str]:
    names: list[str] = pc.unique(dataset.events["event_type"]).drop_null().to_pylist()
    return names


def _list_most_frequent(column: pa.ChunkedArray, excluded: set[str]) -> tuple[str, ...]:
    # Names decide between equal counts, so that the order of the rows does not.
    counts = [
        (-row["counts"], row["values"]) for row in pc.value_counts(column.drop_null()).to_pylist()
    ]
    return tuple(sorted(name for _, name in sorted(counts)[:MAX_TYPES] if name not in excluded))
