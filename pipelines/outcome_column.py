"""Outcome columns: values that never occur or are written differently, and leads too young."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow.compute as pc

from configs.durations import format_duration
from configs.errors import ConfigError, DataError, join_names
from configs.schema import Project
from configs.suggestions import did_you_mean
from configs.targets import ColumnOutcome, Target
from features.contracts import Dataset
from features.labels import cast_outcome_values, match_outcome_values
from features.names.twins import Twin, describe_twins, find_twins, list_twins
from features.tools.instants import (
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from models.evaluation.settled_age import find_settled_age

# Values of a column that a message lists: enough to spot a typo, on a few lines.
MAX_VALUES_LISTED = 8


def require_outcome_values(project: Project, dataset: Dataset, target: str) -> None:
    """Raise the error of an outcome column whose values never occur, or are written in two ways.

    ConfigError if a filled column holds none of them; DataError if many leads have nearly one.
    """
    outcome = project.target_config(target).outcome
    if not isinstance(outcome, ColumnOutcome):
        return
    counts = _count_values(dataset, outcome)
    values = cast_outcome_values(outcome, dataset.leads[outcome.column].type).to_pylist()
    if not counts or counts.keys() & set(values):
        require_distinct_values(project, dataset, target)
        return
    # The most frequent first; ties by value, so that the same data gives the same message.
    frequent = sorted(counts, key=lambda value: (-counts[value], value))
    listed = join_names([_format_value(value) for value in frequent], MAX_VALUES_LISTED)
    raise ConfigError(
        "the outcome's value never occurs in its column",
        where=f"{project.path}: targets.{target}.outcome.equals",
        found=f"{join_names([_format_value(value) for value in values], MAX_VALUES_LISTED)}; the "
        f"column {outcome.column} contains {listed}",
        fix=did_you_mean(_format_value(values[0]), map(_format_value, counts))
        or "give the value that represents the outcome",
    )


def require_distinct_values(project: Project, dataset: Dataset, target: str) -> None:
    """Raise DataError if many leads have nearly a value of the target's outcome column."""
    outcome = project.target_config(target).outcome
    if not isinstance(outcome, ColumnOutcome):
        return
    twins = find_outcome_twins(project, dataset, outcome)
    if frequent := [twin for twin in twins if twin.is_frequent]:
        raise DataError(
            "a value of the outcome is written in more than one way",
            where=f"{project.path}: targets.{target}.outcome.equals",
            found=f"column {outcome.column}: {list_twins(frequent)}",
            fix=frequent[0].suggest("sources.leads"),
        )


def list_outcome_warnings(project: Project, dataset: Dataset, observed: datetime) -> list[str]:
    """Return one line for each doubtful value of an outcome column, and for a lack of maturity.

    ``observed`` is the observation date. A target whose outcome cannot be read has no line: it is
    refused with an error of its own.
    """
    lines = list[str]()
    for name, target_config in project.targets.items():
        outcome = target_config.outcome
        if not isinstance(outcome, ColumnOutcome):
            continue
        try:
            lines += _warn_about_values(project, dataset, outcome, f"targets.{name}.outcome.equals")
            if dataset.timed:
                where = f"targets.{name}.outcome"
                lines += _warn_about_maturity(dataset, target_config, outcome, observed, where)
        except ConfigError:
            continue
    return lines


def _count_values(dataset: Dataset, outcome: ColumnOutcome) -> dict[str | float, int]:
    """Return the number of leads by value of the outcome column."""
    counts = pc.value_counts(dataset.leads[outcome.column].drop_null()).to_pylist()
    return {row["values"]: row["counts"] for row in counts}


def _format_value(value: str | float) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"


def _warn_about_values(
    project: Project, dataset: Dataset, outcome: ColumnOutcome, where: str
) -> Iterator[str]:
    """Yield a line for each value of the outcome that never occurs or is written differently."""
    counts = _count_values(dataset, outcome)
    values = cast_outcome_values(outcome, dataset.leads[outcome.column].type).to_pylist()
    for value in dict.fromkeys(values):
        if counts.keys() & set(values) and value not in counts:
            yield (
                f"{where}: the value {_format_value(value)} never occurs in the column "
                f"{outcome.column}; correct it, or remove it"
            )
    twins = find_outcome_twins(project, dataset, outcome)
    subject = f"{where}: the column {outcome.column}"
    yield from describe_twins(twins, subject, "sources.leads")


def find_outcome_twins(project: Project, dataset: Dataset, outcome: ColumnOutcome) -> list[Twin]:
    """Return the texts of an outcome column that are near-twins of a value of the outcome."""
    counts = {text: n for text, n in _count_values(dataset, outcome).items() if type(text) is str}
    values = {value for value in outcome.values if isinstance(value, str)}
    listed = project.sources.leads.names if project.sources.leads else ()
    return [twin for twin in find_twins(counts, {*values, *listed}) if twin.name in values]


def _warn_about_maturity(
    dataset: Dataset, target_config: Target, outcome: ColumnOutcome, observed: datetime, where: str
) -> Iterator[str]:
    """Yield a line if leads count that are too young for their value to be final."""
    # 0d is the statement that a value is final from the start.
    if outcome.mature_after is not None and not target_config.maturity:
        return
    values = dataset.leads[outcome.column]
    filled = pc.is_valid(values).to_numpy()
    age = (to_microseconds(observed) - column_to_microseconds(dataset.leads["created_at"]))[filled]
    is_positive = match_outcome_values(values, outcome)[filled]
    if not len(age):
        return
    settled = find_settled_age(age, is_positive)
    text = format_duration(settled)
    young = age < duration_to_microseconds(settled)
    if outcome.mature_after is not None:
        if settled > outcome.mature_after:
            yield (
                f"{where}.mature_after: {format_duration(outcome.mature_after)} may be too short: "
                f"{_compare_rates(young, is_positive, text)}"
            )
    elif settled:
        yield (
            f"{where}: no maturity: {young.sum():,} of {len(age):,} leads are younger than {text}, "
            f"and {(young & ~is_positive).sum():,} of them count as negatives; "
            f"{_compare_rates(young, is_positive, text)}; set outcome.mature_after: {text} (0d if "
            "a value is final from the start)"
        )
    else:
        yield (
            f"{where}: no maturity: a lead counts however young it is; the rate of outcomes does "
            f"not rise with age beyond noise ({len(age):,} leads); set outcome.mature_after (0d if "
            "a value is final from the start)"
        )


def _compare_rates(young: np.ndarray, is_positive: np.ndarray, text: str) -> str:
    return (
        f"the rate of outcomes settles from {text} on ({is_positive[young].mean():.1%} below, "
        f"{is_positive[~young].mean():.1%} from then on)"
    )
