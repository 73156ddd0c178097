"""Reading of all sources of a company as one Dataset of leads, events and attribute values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from configs.addresses.redaction import redact_exception
from configs.errors import DataError
from configs.schema import Project
from configs.source_rows import AttributeRows, EventRows, LeadRows
from features.arrivals import Arrivals
from features.contracts import Dataset, EventLeadRows, SourceCount
from features.fingerprint import compute_fingerprint
from features.intake.costs.cost_log import read_costs
from features.intake.events.log import read_events
from features.intake.experiments.assignments import read_experiments
from features.intake.formats.files import Selection
from features.intake.histories.value_history import read_values
from features.intake.leads.columns import list_carried_columns
from features.intake.leads.table import read_leads
from features.intake.objections import Objections
from features.intake.reading import NO_COLUMN, SourceReader
from features.intake.same_as import describe_unknown_survivors, read_merges
from features.intake.time_limits import ExcludedLeads, TimeLimits
from features.intake.visitors.visitor_links import read_visitor_links
from features.merges import LeadMerges, Merges
from features.readings.columns import ColumnReading, Readings
from features.times.plausible_times import PlausibleSpan

Source = LeadRows | EventRows | AttributeRows

__all__ = ["list_carried_columns", "list_source_columns", "read_sources"]


def read_sources(
    project: Project,
    quarantine: Path | None = None,
    scratch: Path | None = None,
    clock: datetime | None = None,
) -> Dataset:
    """Read all sources of a project as a Dataset.

    Bad rows are written to ``quarantine/<source>.csv`` (not if ``quarantine`` is None), where
    ``<source>`` is ``leads``, or ``events_1`` …, ``attributes_1`` …, ``same_as_1`` …, ``costs_1``
    …, ``experiments_1`` … in the config's order.
    Duplicates are among them; the first of equal rows is used. Without a leads source the entities
    come from the events. Neither the order of the rows nor their distribution over files changes
    leads, values, fingerprint or the set of events. A log larger than memory is stored in the
    directory ``scratch``, if given, while it is used. Suppressed entities are left out and counted,
    unless models may learn from them; personal columns are dropped here. Rows that become
    available after ``clock`` are skipped, and rows at instants far from all others
    (``plausible_times``) are bad.

    Raises DataError for a source that cannot be read, lacks a column or has too many bad rows;
    ConfigError for an unknown database or format, and for an attribute that is not allowed or has
    two sources.
    """
    limits = TimeLimits.from_project(project, clock)
    with _hide_environment(project), _name_swapped_file(project):
        dataset = _read_within(project, quarantine, scratch, limits)
    if not project.timed:
        return dataset
    leads = project.sources.leads
    late = any(source.known_at for source in project.sources.events)
    late |= leads is not None and leads.known_at is not None
    late |= bool(project.sources.identities)
    narrowed = limits.narrow(find_plausible_span(dataset, arrives_later=late))
    # Read again, since a bad row must decide neither a lead's creation, nor which of two rows of a
    # lead is used, nor the type of an attribute. Few data sets have such rows.
    if not narrowed.plausible:
        return dataset
    with _hide_environment(project):
        return _read_within(project, quarantine, scratch, narrowed)


def find_plausible_span(dataset: Dataset, *, arrives_later: bool = True) -> PlausibleSpan:
    """Return the span of the bulk of all instants of leads and events.

    Without ``arrives_later`` each row is available at its own time, which is then counted once.
    """
    tables = {"event_time": dataset.events}
    if not dataset.leads_from_events:
        tables["created_at"] = dataset.leads
    columns = [table[name] for name, table in tables.items()]
    columns += [table["available_at"] for table in tables.values()] if arrives_later else []
    return PlausibleSpan.from_arrivals([Arrivals.from_instants(column) for column in columns])


def _read_within(
    project: Project, quarantine: Path | None, scratch: Path | None, limits: TimeLimits
) -> Dataset:
    sources = project.sources
    merges, merge_counts = read_merges(project, quarantine, limits)
    objections = Objections(project, merges)
    leads, counts, lead_readings, excluded = _read_lead_source(
        project, quarantine, objections, limits
    )
    # Leads come first: their opt-out column decides which events are left out.
    exclusion = (limits, excluded)
    lead_merges, merge_counts = _settle_merges(project, merges, merge_counts, leads)
    links, link_counts = read_visitor_links(
        project, leads, objections, lead_merges, quarantine, limits
    )
    log = read_events(
        project, leads, objections, quarantine, scratch, exclusion, lead_merges, links
    )
    # Leads derived from the events are numbered only once all events have been read.
    event_lead_rows = None if leads is None else EventLeadRows(leads, log.events, log.lead_row)
    leads = log.entities if leads is None else leads
    values, value_counts, value_readings = read_values(
        project, leads, objections, quarantine, exclusion, lead_merges
    )
    costs, cost_counts = read_costs(project, quarantine, limits)
    experiments, experiment_counts = read_experiments(
        project, leads, objections, quarantine, exclusion, lead_merges
    )
    more_counts = (*merge_counts, *cost_counts, *link_counts, *experiment_counts)
    return Dataset(
        leads,
        log.events,
        (*counts, *log.counts, *value_counts, *more_counts),
        compute_fingerprint(leads, log.events, log.hash_sum, values, lead_merges, links),
        timed=project.timed,
        ordered=project.ordered,
        values=values,
        scratch=scratch,
        suppressed=objections.to_suppression(leads["entity_id"]),
        event_lead_rows=event_lead_rows,
        readings=Readings(lead_readings | value_readings, leads["entity_id"]),
        leads_from_events=sources.leads is None,
        merges=lead_merges,
        costs=costs,
        withdrawn=log.withdrawn,
        links=links,
        experiments=experiments,
    )


def _read_lead_source(
    project: Project, quarantine: Path | None, objections: Objections, limits: TimeLimits
) -> tuple[pa.Table | None, list[SourceCount], dict[str, ColumnReading], ExcludedLeads]:
    """Return what ``read_leads`` does; no table where the config has no source of leads."""
    sources = project.sources
    if sources.leads is None:
        return None, [], {}, ExcludedLeads()
    leads, count, readings, excluded = read_leads(
        project, sources.leads, quarantine, objections, limits
    )
    if not leads.num_rows and (sources.events or sources.attributes):
        raise _make_leadless_error(sources.leads, count)
    return leads, [count], readings, excluded


def _make_leadless_error(source: LeadRows, count: SourceCount) -> DataError:
    return DataError(
        "no usable lead, so no event or attribute value can be assigned",
        where=source.label,
        found=f"{count.rows_in} rows in, 0 used, {count.suppressed} suppressed",
    )


def _settle_merges(
    project: Project, merges: Merges, counts: list[SourceCount], leads: pa.Table | None
) -> tuple[LeadMerges, list[SourceCount]]:
    """Return the merges as merges of leads, and their counts with the warning about others."""
    if leads is None:
        return LeadMerges(), counts
    lines = describe_unknown_survivors(project, merges, leads)
    return merges.to_leads(leads), _add_warnings(counts, lines)


def _add_warnings(counts: list[SourceCount], lines: list[str]) -> list[SourceCount]:
    """Return the counts with further warnings of the last source."""
    if not lines:
        return counts
    return [*counts[:-1], replace(counts[-1], warnings=(*counts[-1].warnings, *lines))]


@contextmanager
def _hide_environment(project: Project) -> Iterator[None]:
    """Remove the environment's values from what the block raises: paths and queries hold them."""
    try:
        yield
    except Exception as error:
        redact_exception(error, project.hide_values)
        raise


@contextmanager
def _name_swapped_file(project: Project) -> Iterator[None]:
    """Add to the error of a missing column which source the file fits, if it fits another one."""
    try:
        yield
    except DataError as error:
        other = _find_swapped(project, error.where) if error.what == NO_COLUMN else ""
        if not other:
            raise
        fix = f"this looks like the file of {other}: were two files swapped?"
        raise DataError(error.what, where=error.where, found=error.found, fix=fix) from None


def _find_swapped(project: Project, where: str) -> str:
    """Return the key of the source that a file with a missing column fits; "" if it fits none.

    ``where`` names the file and the key of the column, as errors do.
    """
    sources = project.sources
    named: dict[str, Source] = {"sources.leads": sources.leads} if sources.leads else {}
    named |= {f"sources.events[{i}]": source for i, source in enumerate(sources.events)}
    named |= {f"sources.attributes[{i}]": source for i, source in enumerate(sources.attributes)}
    mine = next((key for key in named if f": {key}." in where), None)
    if mine is None:
        return ""
    reader = SourceReader.open(named[mine])
    names = set(next(reader.iter_blocks(Selection(frozenset()), {})).names)
    fits = (
        key
        for key, source in named.items()
        if key != mine and _list_mapped_columns(source) <= names
    )
    return next(fits, "")


def _list_mapped_columns(source: Source) -> set[str]:
    keys = (
        "entity_id",
        "visitor_id",
        "created_at",
        "event_time",
        "event_type",
        "valid_from",
        "known_at",
        "value",
    )
    names = {getattr(source, key, None) for key in keys}
    return {name for name in names if isinstance(name, str)}


def list_source_columns(project: Project) -> set[str]:
    """Return the names of all columns of all sources, by the first file of each.

    Raises the errors of reading a source.
    """
    sources = project.sources
    leads = [sources.leads] if sources.leads else []
    rows = (*leads, *sources.events, *sources.attributes, *sources.costs)
    rows = (*rows, *sources.experiments)
    readers = (SourceReader.open(source) for source in rows)
    with _hide_environment(project):
        # Empty selection: only the names are of interest.
        return {
            name
            for reader in readers
            for name in next(reader.iter_blocks(Selection(frozenset()), {})).names
        }
