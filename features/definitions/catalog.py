"""Every feature, declared once: its name, what it is, its unit, its wording for people, and when it is known."""

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
from features.definitions.aggregates import declare_account_features, declare_entity_features, declare_peer_features
from features.definitions.attributes import infer_attribute_kinds
from features.definitions.feature import Feature
from features.definitions.sequences import declare_journey_features, declare_lead_features, declare_sequence_features
from features.definitions.vocabulary import Vocabulary

MAX_TYPES = 60
"""Rarer event types and channels beyond this many have no features of their own; “any” counts them still."""

DATE_ONLY_SHARE = 0.9
"""Share of the leads created at one time of the day from which that time is a date, not an hour."""


@dataclass(frozen=True)
class Catalog(Vocabulary):
    """The features that follow from what a data set offers."""

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All features that are kept, in the order of the matrix's columns."""
        found: list[Feature] = []
        if self.has_history:
            found += [*declare_entity_features(self), *declare_sequence_features(self), *declare_journey_features(self)]
        if self.has_history and self.accounts:
            found += [*declare_account_features(self), *declare_peer_features(self)]
        found += declare_lead_features(self)
        kept = set(self.only)
        return tuple(feature for feature in _make_names_unique(found) if not kept or feature.name in kept)

    @cached_property
    def history_features(self) -> tuple[Feature, ...]:
        """Those that look back on events; the others come from the lead row."""
        return tuple(feature for feature in self.features if feature.scope != "lead")

    def select(self, names: Iterable[str]) -> Self:
        """Return the catalogue of these features alone; what is not asked for is not computed."""
        return replace(self, only=tuple(sorted(names)))


def build_catalog(
    project: Project, dataset: Dataset, hidden_columns: frozenset[str] | set[str] = frozenset()
) -> Catalog:
    """Return the catalogue of a data set as it is known, less what the config excludes and the ``hidden_columns`` columns."""
    asked = project.features
    out = {*asked.exclude, *hidden_columns}
    types, channels = (
        _list_most_frequent(dataset.events[name], out) for name in ("event_type", "channel")
    )
    with_value = dataset.events["event_type"].filter(pc.is_valid(dataset.events["value"]))
    accounts = dataset.leads["account_id"].drop_null()
    whole = Catalog(
        types=types,
        channels=channels,
        valued=tuple(sorted(set(types) & set(pc.unique(with_value).to_pylist()))),
        stages=tuple(stage for stage in asked.stages if stage not in out),
        attributes=tuple(
            (name, "number" if pa.types.is_floating(dataset.leads[name].type) else "category")
            for name in dataset.attributes
            if name not in out
        ),
        windows=tuple(sorted(asked.windows)),
        half_lives=tuple(sorted(asked.half_lives)),
        outbound=tuple(sorted({*asked.outbound} & {*types})),
        offline=tuple(sorted({*asked.offline} & {*channels})),
        ends=tuple(sorted({*asked.ends} & {*types})),
        role=asked.role or "",
        roles=_list_roles(project, dataset),
        dated=tuple(
            (name, kind) for name, kind in infer_attribute_kinds(dataset.values).items() if name not in out
        ),
        timezone=project.timezone,
        accounts=len(pc.unique(accounts)) < len(accounts),
        hours=_has_hours(project, dataset),
        timed=dataset.timed,
    )
    return (
        whole.select(f.name for f in whole.features if f.family in asked.families)
        if asked.families
        else whole
    )


def _make_names_unique(features: list[Feature]) -> list[Feature]:
    """Give each feature a name of its own: an attribute may be called like a feature of the history."""
    taken = set(SPINE.names)
    found = []
    for feature in features:
        name = feature.name
        while name in taken:
            name += "_"
        taken.add(name)
        found.append(replace(feature, name=name) if name != feature.name else feature)
    return found


def _has_hours(project: Project, dataset: Dataset) -> bool:
    """Say whether leads are created at different times of the day; a date is midnight, save where that is skipped."""
    created = dataset.leads["created_at"]
    local = pc.local_timestamp(pc.cast(created, pa.timestamp("us", project.timezone)))
    counts = pc.value_counts(pc.subtract(local, pc.floor_temporal(local, unit="day"))).field(
        "counts"
    )
    return bool(len(created)) and pc.max(counts).as_py() < DATE_ONLY_SHARE * len(created)


def _list_roles(project: Project, dataset: Dataset) -> tuple[str, ...]:
    role = project.features.role
    if role is None:
        return ()
    if role not in dataset.attributes:
        where, fix = f"{project.path}: features.role", "list it in sources.leads.attributes"
        raise ConfigError(
            "the role is not an attribute of the leads", where=where, found=repr(role), fix=fix
        )
    return _list_most_frequent(pc.cast(dataset.leads[role], pa.string()), set())


def _list_most_frequent(column: pa.ChunkedArray, out: set[str]) -> tuple[str, ...]:
    counts = [
        (-row["counts"], row["values"]) for row in pc.value_counts(column.drop_null()).to_pylist()
    ]
    return tuple(sorted(name for _, name in sorted(counts)[:MAX_TYPES] if name not in out))
