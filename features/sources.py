"""A company's rows as tables, leads, events and values, in one time zone, good rows parted from bad."""

from __future__ import annotations

from pathlib import Path

from configs.errors import DataError
from configs.schema import Project
from features.contracts import EventLeadRows, Dataset, SourceCount
from features.intake.events import read_events
from features.intake.fingerprint import fingerprint
from features.intake.formats.files import Wanted
from features.intake.leads import carried_columns, read_leads
from features.intake.objections import Objections
from features.intake.reading import Origin
from features.intake.value_history import read_values

__all__ = ["carried_columns", "list_source_columns", "read_sources"]


def read_sources(project: Project, quarantine: Path | None = None, scratch: Path | None = None) -> Dataset:
    """Read all sources of a project as ``leads``, ``events`` and ``values``.

    Bad rows go to ``quarantine/<source>.csv`` (not written where ``quarantine`` is None), where ``<source>``
    is ``leads``, or ``events_1`` … and ``attributes_1`` … in the config's order; duplicates among them, of which
    the first is used. Without a leads source the entities come from the events. Neither the order of the rows nor
    how they are split into files changes the leads, the values or the fingerprint, nor which events there are. A log
    larger than memory lies in the folder ``scratch``, where there is one, while it is used. Who must not be scored is
    left out, and counted, unless models may learn from them; personal columns go no further than here.

    Raises DataError for a source that cannot be read, lacks a column or holds too many bad rows; ConfigError
    for a database or format that is not known, and for an attribute that cannot be one or comes from two sources.
    """
    sources, counts, objections = project.sources, list[SourceCount](), Objections(project)
    leads = None
    if sources.leads is not None:
        leads, count = read_leads(project, sources.leads, quarantine, objections)
        counts.append(count)
        if not leads.num_rows and (sources.events or sources.attributes):
            found = f"{count.rows_in} rows in, 0 used, {count.suppressed} suppressed"
            raise DataError(
                "there is no lead, so no event can be anyone's",
                where=sources.leads.label,
                found=found,
            )
    log = read_events(project, leads, objections, quarantine, scratch)
    belonging = None if leads is None else EventLeadRows(leads, log.events, log.lead)
    leads = log.entities if leads is None else leads
    values, value_counts = read_values(project, leads, objections, quarantine)
    found = fingerprint(leads, log.events, log.sum, values)
    all_counts = (*counts, *log.counts, *value_counts)
    return Dataset(
        leads,
        log.events,
        all_counts,
        found,
        project.timed,
        project.ordered,
        values,
        scratch,
        objections.found(),
        belonging,
    )


def list_source_columns(project: Project) -> set[str]:
    """Return the names of all columns of all sources, by the first file of each; raises what reading one raises."""
    sources = project.sources
    found = [sources.leads] if sources.leads else []
    origins = (Origin.of(source) for source in (*found, *sources.events, *sources.attributes))
    return {
        name for origin in origins for name in next(origin.parts(Wanted(frozenset()), {})).names
    }
