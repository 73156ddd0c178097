"""What a company's data holds, and what each target could learn from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import LeadscoreError
from configs.night import Schedule
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.definitions.attributes import kinds
from features.definitions.feature import CHANNEL, GROUP, TYPE
from features.labels import compute_labels
from features.sources import list_source_columns
from features.spine import build_scoring_spine, build_training_spine
from features.wording.wording import english, wording_of
from pipelines.cron import require_cron_lines
from pipelines.nightly.crm_delivery import plan_exports
from pipelines.results.data_check import DataCheck, TargetCheck
from pipelines.training_data import Snapshot, load_snapshot, require_event_types

NUMBER_PATTERN = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
MAX_NON_NUMERIC_SHARE = 0.1
"""Share of values that are no numbers up to which a column was probably meant as one."""


def examine_data(project: Project, as_of: str | None) -> DataCheck:
    """Read the data as of an instant and count; raises what reading raises.

    ConfigError comes first, before the data are read: for deliveries, words or a cron line that would stop a night.
    """
    plan_exports(project)
    wording_of(project)
    if project.schedule != Schedule():  # Prefect knows cron lines, and takes seconds to import
        require_cron_lines(project)
    now = load_snapshot(project, as_of)
    data = now.dataset
    times = data.events["event_time"] if data.events.num_rows else data.leads["created_at"]
    edges = pc.min_max(times).as_py()
    kinds = pc.value_counts(data.events["event_type"]).to_pylist()
    types = {
        row["values"]: row["counts"]
        for row in sorted(kinds, key=lambda row: (-row["counts"], row["values"]))
    }
    return DataCheck(
        project=project.project,
        as_of=now.as_of,
        observed=now.observed,
        timed=data.timed,
        entities=data.leads.num_rows,
        accounts=len(pc.unique(data.leads["account_id"].drop_null())),
        events=data.events.num_rows,
        span=(edges["min"], edges["max"]) if data.timed and len(times) else None,
        types=types,
        counts=data.counts,
        quarantine=str(project.workspace_path / "quarantine"),
        targets=tuple(_check_target(now, name) for name in project.targets),
        suppressed=data.suppressed,
        warnings=tuple(_list_warnings(now, set(types))),
    )


def _check_target(now: Snapshot, name: str) -> TargetCheck:
    target = now.project.target_config(name)
    try:
        require_event_types(now, name)
        spine = build_training_spine(now.dataset, target, now.as_of)
        found = compute_labels(now.dataset, spine, target, now.observed)
        waiting = build_scoring_spine(now.dataset, target, now.as_of).num_rows
    except LeadscoreError as error:
        return TargetCheck(name, problem=str(error))
    mature, positive = (pc.sum(found[column]).as_py() or 0 for column in ("mature", "label"))
    entities = len(pc.unique(spine["entity_id"]))
    return TargetCheck(
        name, spine.num_rows, entities, mature, positive, waiting, _describe_problem(spine, mature, positive)
    )


def _describe_problem(spine: pa.Table, mature: int, positive: int) -> str:
    if not spine.num_rows:
        return "no entity was ever eligible: check population, cutoffs and observed_from"
    if not mature:
        return "no row is mature yet: wait until the horizon has passed, or shorten it"
    if positive in (0, mature):
        return f"only one class: {positive:,} of {mature:,} mature rows hold the outcome"
    return ""


def _list_warnings(now: Snapshot, types: set[str]) -> list[str]:
    """Say what this data cannot promise, and which names of the config occur nowhere in it."""
    project, found = now.project, []
    if not now.dataset.timed:
        found.append(
            "the data has no times: no point-in-time features, no maturity, no horizon; the outcome's date is unknown, "
            "and so is whether an attribute was filled before or after it"
        )
        order = (
            "their order stands for time"
            if now.dataset.ordered
            else "figures come from random folds by entity"
        )
        found.append(f"rows are not dated: {order}")
    named = {"features.stages": project.features.stages}
    named |= {
        f"targets.{name}.population.until": t.population.until
        for name, t in project.targets.items()
    }
    for key, wanted in named.items():
        missing = sorted(set(wanted) - types)
        if missing:
            found.append(f"{key}: no event of type {', '.join(missing)}")
    found += [
        line
        for name in now.dataset.attributes
        for line in _warn_about_numeric_texts(now.dataset.leads[name], name)
    ]
    found += [*_warn_about_histories(now), *_warn_about_privacy(now), *_warn_about_words(now)]
    leads = project.sources.leads
    if leads and leads.attributes:
        found.append(
            "attributes of the leads source show the values of today; one that is filled after the outcome would leak "
            "it: give its history in sources.attributes where there is one"
        )
    return found


def _warn_about_histories(now: Snapshot) -> Iterator[str]:
    """Say which attributes that the config chooses no history tells of, and which are nearly numbers."""
    values, found = now.dataset.values, kinds(now.dataset.values)
    for i, source in enumerate(now.project.sources.attributes):
        if missing := [name for name in source.only if name not in found]:
            yield f"sources.attributes[{i}].only: no value of {', '.join(missing)}"
    for name in (name for name, kind in found.items() if kind == "category"):
        yield from _warn_about_numeric_texts(
            values["value"].filter(pc.equal(values["attribute"], name)), name
        )


def _warn_about_privacy(now: Snapshot) -> Iterator[str]:
    """Say which personal columns are in no source, and which suppression holds nobody: a name may be written wrong."""
    personal, histories = set(now.project.privacy.personal), now.project.sources.attributes
    if personal and all(source.declared_attributes for source in histories):  # else the data names attributes too
        named = {name for source in histories for name in source.declared_attributes}
        if missing := sorted(personal - list_source_columns(now.project) - named):
            yield f"privacy.personal: no source has a column {', '.join(missing)}"
    for reason, held in now.dataset.suppressed.suppressed_counts.items():
        if not held:
            yield f"{reason}: none of the leads is suppressed by it"


def _warn_about_words(now: Snapshot) -> Iterator[str]:
    """Say which own words stand for a name that occurs nowhere, with the nearest that does."""
    events, leads = now.dataset.events, now.dataset.leads
    names = {*now.dataset.attributes, *now.project.features.stages, *english().language.nouns}
    for column in (events["event_type"], events["channel"], now.dataset.values["attribute"]):
        names.update(_distinct_texts(column))
    known = names.union(_distinct_texts(now.dataset.values["value"]))
    for name in now.dataset.attributes:
        known |= _distinct_texts(leads[name])
    for key in sorted(now.project.words):
        name = key.removeprefix(TYPE).removeprefix(CHANNEL).removeprefix(GROUP)
        if not {name, key} & known:
            hint = did_you_mean(name, names)
            yield f"words.{key}: nothing in the data is called so" + (f"; {hint}" if hint else "")


def _distinct_texts(column: pa.ChunkedArray) -> set[str]:
    """Return the different values of a column of texts; none of any other."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return set(pc.unique(column).drop_null().to_pylist()) if pa.types.is_string(kind) else set()


def _warn_about_numeric_texts(column: pa.ChunkedArray, name: str) -> list[str]:
    """Say that a column is read as categories because of a few values that are not numbers."""
    if not pa.types.is_string(column.type):
        return []
    texts = {
        row["values"]: row["counts"] for row in pc.value_counts(column.drop_null()).to_pylist()
    }
    odd = {text: count for text, count in texts.items() if not NUMBER_PATTERN.fullmatch(text)}
    bad, total = sum(odd.values()), sum(texts.values())
    if not 0 < bad <= MAX_NON_NUMERIC_SHARE * total:
        return []
    return [
        f"attribute {name} is read as categories: {bad:,} of {total:,} values are no numbers, such as {min(odd)!r}; "
        f"fix them, or list them under missing"
    ]
