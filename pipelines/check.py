"""Data check: what a company's data contains, and what each target could be trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import LeadscoreError
from configs.night import Schedule
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.contracts import Dataset
from features.definitions.attributes import infer_attribute_kinds
from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX
from features.labels import compute_labels
from features.population_checks import explain_empty_spine
from features.sources import list_source_columns
from features.spine import build_scoring_spine, build_training_spine
from features.wording.wording import load_english, load_wording
from pipelines.cron import require_cron_lines
from pipelines.event_names import count_event_types, require_event_types
from pipelines.funnel.segments import list_goal_warnings, require_funnel_columns
from pipelines.nightly.crm_delivery import plan_exports
from pipelines.open_leads import describe_open_leads
from pipelines.outcome_column import require_outcome_values
from pipelines.results.data_check import DataCheck, TargetCheck
from pipelines.runner import read_clock
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.workspace import find_readers

NUMBER_PATTERN = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
# Up to this share of values that are not numbers, a column was probably meant to be numeric.
MAX_NON_NUMERIC_SHARE = 0.1


def examine_data(project: Project, as_of: str | None) -> DataCheck:
    """Read the data as of an instant and count its rows; raise what reading raises.

    Before the data is read, ConfigError is raised for deliveries, words or a cron line that would
    stop a nightly run.
    """
    # Mistakes that would stop a night are found before the sources are read, which may take
    # minutes.
    plan_exports(project)
    load_wording(project)
    find_readers(project)
    # Prefect parses cron lines but takes seconds to import, so only a set schedule is checked.
    if project.schedule != Schedule():
        require_cron_lines(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    dataset = snapshot.dataset
    kinds = infer_attribute_kinds(dataset.values, dataset.readings.columns)
    used = {*dataset.attributes, *kinds} - set(project.features.exclude)
    dataset.readings.require_certain(sorted(used))
    require_funnel_columns(snapshot)
    types = count_event_types(dataset)
    targets = tuple(_check_target(snapshot, target) for target in project.targets)
    return DataCheck(
        project=project.project,
        as_of=snapshot.as_of,
        observed=snapshot.observed,
        timed=dataset.timed,
        entities=dataset.leads.num_rows,
        accounts=len(pc.unique(dataset.leads["account_id"].drop_null())),
        events=dataset.events.num_rows,
        span=_find_time_span(dataset),
        types=types,
        counts=dataset.counts,
        quarantine=str(project.workspace_path / "quarantine"),
        targets=targets,
        suppressed=dataset.suppressed,
        warnings=(
            *_list_warnings(snapshot, set(types)),
            *(
                line
                for check in targets
                if not check.problem
                for line in describe_open_leads(snapshot, check.target, check.to_score)
            ),
        ),
    )


def _find_time_span(dataset: Dataset) -> tuple[datetime, datetime] | None:
    """Return the first and the last event time, or creation time where there are no events."""
    events = dataset.events
    times = events["event_time"] if events.num_rows else dataset.leads["created_at"]
    if not (dataset.timed and len(times)):
        return None
    edges = pc.min_max(times).as_py()
    return edges["min"], edges["max"]


def _check_target(snapshot: Snapshot, target: str) -> TargetCheck:
    target_config, dataset = snapshot.project.target_config(target), snapshot.dataset
    try:
        require_event_types(snapshot.project, dataset, target, snapshot.as_of)
        require_outcome_values(snapshot.project, dataset, target)
        spine = build_training_spine(dataset, target_config, snapshot.as_of)
        labels = compute_labels(dataset, spine, target_config, snapshot.observed)
        to_score = build_scoring_spine(dataset, target_config, snapshot.as_of).num_rows
    # A problem of one target must not hide the counts of the others.
    except LeadscoreError as error:
        return TargetCheck(target, problem=str(error))
    mature, positive = (pc.sum(labels[column]).as_py() or 0 for column in ("mature", "label"))
    return TargetCheck(
        target=target,
        rows=spine.num_rows,
        entities=len(pc.unique(spine["entity_id"])),
        mature=mature,
        positive=positive,
        to_score=to_score,
        problem=_describe_problem(snapshot, target, spine, mature, positive),
    )


def _describe_problem(
    snapshot: Snapshot, target: str, spine: pa.Table, mature: int, positive: int
) -> str:
    if not spine.num_rows:
        target_config = snapshot.project.target_config(target)
        reason, fix = explain_empty_spine(snapshot.dataset, target, target_config, snapshot.as_of)
        return f"no entity was ever eligible: {reason}; {fix}"
    if not mature:
        return "no rows are mature: wait until horizon or mature_after has passed, or shorten it"
    if positive in (0, mature):
        return f"only one class: {positive:,} of {mature:,} mature rows have the outcome"
    return ""


def _list_warnings(snapshot: Snapshot, types: set[str]) -> list[str]:
    """Return a line for each limit of this data, and for each name of the config not in it."""
    project, dataset = snapshot.project, snapshot.dataset
    lines = [*snapshot.warnings, *_warn_about_missing_times(dataset)]
    lines += _warn_about_event_types(project, types)
    # An outcome or owner column is a number only if all its values are.
    for name in sorted(set(dataset.attributes) - set(dataset.readings.columns)):
        lines += _warn_about_numeric_texts(dataset.leads[name], name)
    lines += [*_warn_about_histories(snapshot), *_warn_about_privacy(snapshot)]
    lines += [*_warn_about_words(snapshot), *list_goal_warnings(snapshot)]
    leads = project.sources.leads
    if leads and leads.attributes:
        lines.append(
            "attributes of the leads source have today's values; one that is filled after the "
            "outcome would leak it: give its history in sources.attributes if there is one"
        )
    return lines


def _warn_about_missing_times(dataset: Dataset) -> Iterator[str]:
    if dataset.timed:
        return
    yield (
        "the data has no times: no point-in-time features, no maturity, no horizon; the outcome's "
        "date is unknown, and so is whether an attribute was filled before or after it"
    )
    order = (
        "their order stands for time" if dataset.ordered else "folds are drawn at random by entity"
    )
    yield f"rows are not dated: {order}"


def _warn_about_event_types(project: Project, types: set[str]) -> Iterator[str]:
    """Yield a line for each key of the config that names event types without events."""
    configured = {"features.stages": project.features.stages}
    for name, target_config in project.targets.items():
        population = target_config.population
        configured |= {
            f"targets.{name}.population.until": population.until,
            f"targets.{name}.population.reopen": population.reopen,
            f"targets.{name}.outcome_revoked_by": target_config.outcome_revoked_by,
        }
    for key, names in configured.items():
        if missing := sorted(set(names) - types):
            yield f"{key}: no event of type {', '.join(missing)}"


def _warn_about_histories(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each chosen attribute without a value."""
    values = snapshot.dataset.values
    kind_by_name = infer_attribute_kinds(values, snapshot.dataset.readings.columns)
    for i, source in enumerate(snapshot.project.sources.attributes):
        if missing := [name for name in source.only if name not in kind_by_name]:
            yield f"sources.attributes[{i}].only: no value of {', '.join(missing)}"


def _warn_about_privacy(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each personal column that no source has, and each suppression without leads.

    Either may be a misspelled name.
    """
    project = snapshot.project
    personal, histories = set(project.privacy.personal), project.sources.attributes
    # A history that does not declare its attributes names them in its rows: columns are unknown.
    if personal and all(source.declared_attributes for source in histories):
        declared = {name for source in histories for name in source.declared_attributes}
        if missing := sorted(personal - list_source_columns(project) - declared):
            yield f"privacy.personal: no source has a column {', '.join(missing)}"
    for reason, count in snapshot.dataset.suppressed.suppressed_counts.items():
        if not count:
            yield f"{reason}: it suppresses none of the leads"


def _warn_about_words(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each word whose name occurs nowhere, with the most similar name."""
    dataset, project = snapshot.dataset, snapshot.project
    events, leads, values = dataset.events, dataset.leads, dataset.values
    names = {*dataset.attributes, *project.features.stages, *load_english().language.nouns}
    for column in (events["event_type"], events["channel"], values["attribute"]):
        names.update(_distinct_texts(column))
    known = names.union(_distinct_texts(values["value"]))
    for name in dataset.attributes:
        known |= _distinct_texts(leads[name])
    for key in sorted(project.words):
        name = key.removeprefix(TYPE_PREFIX).removeprefix(CHANNEL_PREFIX)
        name = name.removeprefix(GROUP_PREFIX)
        if not {name, key} & known:
            hint = did_you_mean(name, names)
            yield f"words.{key}: nothing in the data has this name" + (f"; {hint}" if hint else "")


def _distinct_texts(column: pa.ChunkedArray) -> set[str]:
    """Return the distinct values of a text column; an empty set for any other column."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return set(pc.unique(column).drop_null().to_pylist()) if pa.types.is_string(kind) else set()


def _warn_about_numeric_texts(column: pa.ChunkedArray, name: str) -> list[str]:
    """Return a line if a few values that are not numbers make a column categorical."""
    if not pa.types.is_string(column.type):
        return []
    counts = {
        row["values"]: row["counts"] for row in pc.value_counts(column.drop_null()).to_pylist()
    }
    non_numeric = {
        text: count for text, count in counts.items() if not NUMBER_PATTERN.fullmatch(text)
    }
    bad, total = sum(non_numeric.values()), sum(counts.values())
    if not 0 < bad <= MAX_NON_NUMERIC_SHARE * total:
        return []
    # The smallest text is the example, so that the same data gives the same line.
    return [
        f"attribute {name} is read as categories: {bad:,} of {total:,} values are not numbers, "
        f"such as {min(non_numeric)!r}; fix them, or list them under missing"
    ]
