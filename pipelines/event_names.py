"""Event types of a target: they must occur, and be written in one way only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, join_names
from configs.schema import Project
from configs.suggestions import did_you_mean
from configs.targets import ColumnOutcome
from features.contracts import Dataset
from features.names.twins import Twin, find_twins, list_twins

# Event types that an error message lists: enough to spot a typo, on a few lines.
MAX_TYPES_LISTED = 12


def require_event_types(project: Project, dataset: Dataset, target: str, as_of: datetime) -> None:
    """Raise the error of a target whose event types never occur, or are written in two ways.

    ConfigError if its outcome or entry never occurs; DataError if events have nearly the name of
    one that decides on eligibility or label.
    """
    target_config = project.target_config(target)
    if isinstance(target_config.outcome, ColumnOutcome):
        return
    counts = count_event_types(dataset)
    for key in ("outcome", "population.after"):
        where = f"targets.{target}.{key}"
        require_occurrence(project, counts, where, target_config.event_names[key], as_of)
    require_distinct_types(project, counts, target)


def require_occurrence(
    project: Project, counts: Mapping[str, int], where: str, types: Iterable[str], as_of: datetime
) -> None:
    """Raise ConfigError if none of some event types occurs; none need to if there are none.

    ``counts`` are the events of each type, and ``where`` is the key that names the types.
    """
    named = set(types)
    if not named or named & set(counts):
        return
    missing = min(named)
    listed = join_names(sorted(counts), MAX_TYPES_LISTED) or "no event at all"
    raise ConfigError(
        "this event type never occurs",
        where=f"{project.path}: {where}",
        found=f"{missing!r}; before {as_of.isoformat()} the data contains {listed}",
        fix=did_you_mean(missing, counts) or "correct the name, or use a later --as-of",
    )


def require_distinct_types(project: Project, counts: Mapping[str, int], target: str) -> None:
    """Raise DataError if many events have nearly the name of an event type of the target.

    ``counts`` are the events of each type.
    """
    if twins_by_key := find_target_twins(project, counts, target):
        key, twins = next(iter(twins_by_key.items()))
        raise DataError(
            "an event type is written in more than one way",
            where=f"{project.path}: targets.{target}.{key}",
            found=list_twins(twins),
            fix=twins[0].suggest(_name_event_source(project)),
        )


def count_event_types(dataset: Dataset) -> dict[str, int]:
    """Return the number of events by type, the most frequent first, then by name."""
    counts = pc.value_counts(dataset.events["event_type"]).to_pylist()
    # Ties are ordered by name, so that the same data gives the same report.
    counts.sort(key=lambda row: (-row["counts"], row["values"]))
    return {row["values"]: row["counts"] for row in counts}


def find_target_twins(
    project: Project, counts: Mapping[str, int], target: str
) -> dict[str, list[Twin]]:
    """Return the frequent near-twins of the event types that decide on a target, by its keys."""
    names = project.target_config(target).event_names
    used = {name for t in project.targets.values() for n in t.event_names.values() for name in n}
    listed = {name for source in project.sources.events for name in source.names}
    frequent = [twin for twin in find_twins(counts, used | listed) if twin.is_frequent]
    by_key = {key: [twin for twin in frequent if twin.name in names[key]] for key in names}
    return {key: twins for key, twins in by_key.items() if twins}


def _name_event_source(project: Project) -> str:
    return "sources.events[0]" if len(project.sources.events) == 1 else "sources.events[…]"
