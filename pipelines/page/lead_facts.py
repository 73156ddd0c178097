"""Events and missing attributes of single leads, as known before an as-of, for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import LeadscoreError
from configs.schema import Project
from features.contracts import EVENTS, INSTANT, Dataset, filter_available_before
from features.definitions.attributes import as_of_join
from features.intake.leads.columns import list_carried_columns
from features.sources import read_sources
from features.tools.id_index import IdIndex
from features.tools.instants import to_microseconds
from serve.page.content.page_data import TIMELINE, LeadFacts

# Events of a lead that the page shows; it says how many there are in all.
MAX_TIMELINE = 20


def read_lead_facts(
    project: Project,
    entity_ids: Sequence[str],
    as_of: datetime,
    clock: datetime,
    log: Callable[[str], None],
) -> LeadFacts | None:
    """Read the sources and return the facts on some leads; None where they cannot be read.

    Takes no workspace lock and does not change the quarantine, so a night may be running. An error
    is logged and not raised: the page shows all else.
    """
    log("reading the sources; --published leaves out the events of single leads")
    try:
        dataset = read_sources(project, None, project.workspace_path / "scratch", clock)
    except LeadscoreError as error:
        log(f"warning: the page shows no events of single leads: {error.headline}")
        return None
    return collect_lead_facts(project, dataset, entity_ids, as_of)


def collect_lead_facts(
    project: Project, dataset: Dataset, entity_ids: Sequence[str], as_of: datetime
) -> LeadFacts:
    """Return the facts on some leads, from rows with ``available_at < as_of`` alone.

    Leads that the data does not hold, or that must not be scored, have no facts.
    """
    ids = _select_known(dataset, entity_ids, as_of)
    events = _select_events(dataset, ids, as_of)
    code = pc.index_in(events["entity_id"], value_set=ids).to_numpy()
    counts = np.bincount(code, minlength=len(ids)).tolist()
    return LeadFacts(
        _take_latest(events, code) if dataset.timed else TIMELINE.empty_table(),
        dict(zip(ids.to_pylist(), counts, strict=True)),
        _find_unknown(project, dataset, ids, as_of),
    )


def _select_known(dataset: Dataset, entity_ids: Sequence[str], as_of: datetime) -> pa.Array:
    """Return the distinct ids of leads that were known before the as-of and may be shown."""
    ids = pc.unique(pa.array(entity_ids, pa.string()))
    ids = ids.filter(pc.invert(pc.is_in(ids, value_set=dataset.suppressed.entity_ids)))
    place = dataset.find_leads(pa.chunked_array([ids]))
    available = dataset.leads["available_at"].take(pa.array(place, mask=place < 0))
    return ids.filter(pc.fill_null(_is_known(dataset, available, as_of), False))


def _select_events(dataset: Dataset, ids: pa.Array, as_of: datetime) -> pa.Table:
    """Return the EVENTS of some leads that were available before the as-of."""
    pieces = [
        batch.take(pa.array(rows)).filter(pc.field("available_at") < pa.scalar(as_of, INSTANT))
        if dataset.timed
        else batch.take(pa.array(rows))
        for batch, rows in _find_rows(dataset, ids)
    ]
    return pa.Table.from_batches(pieces, EVENTS)


def _find_rows(dataset: Dataset, ids: pa.Array) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Yield each batch of events, with the rows of some leads in it.

    Batch by batch, since the events may lie in a file.
    """
    chosen, lead_row = IdIndex.from_column(ids), dataset.lead_row_of_events
    # One more for row -1, which is no lead.
    is_chosen = np.zeros(dataset.leads.num_rows + 1, bool)
    is_chosen[dataset.find_leads(pa.chunked_array([ids]))] = True
    start = 0
    for batch in dataset.events.select(EVENTS.names).to_batches():
        if lead_row is None:
            matches = chosen.find(batch["entity_id"]) >= 0
        else:
            matches = is_chosen.take(lead_row.slice(start, batch.num_rows).to_numpy())
        start += batch.num_rows
        if matches.any():
            yield batch, np.flatnonzero(matches)


def _take_latest(events: pa.Table, code: np.ndarray) -> pa.Table:
    """Return the TIMELINE of some events; ``code`` numbers their leads."""
    # All columns, so that the order of the log changes nothing.
    newest_first = ["event_time", "available_at", "event_type", "channel", "value"]
    keyed = events.append_column("code", pa.array(code))
    keys = [("code", "ascending"), *((name, "descending") for name in newest_first)]
    order = pc.sort_indices(keyed, keys)
    sorted_code = code[order.to_numpy()]
    place = np.arange(len(code)) - np.searchsorted(sorted_code, sorted_code)
    latest = events.take(order.filter(pa.array(place < MAX_TIMELINE))).select(TIMELINE.names)
    # An amount that is not finite is none that a person could read, and JSON has none.
    value = pc.if_else(pc.is_finite(latest["value"]), latest["value"], None)
    return latest.set_column(len(TIMELINE) - 1, TIMELINE.field("value"), value)


def _find_unknown(
    project: Project, dataset: Dataset, ids: pa.Array, as_of: datetime
) -> Mapping[str, Sequence[str]]:
    """Return the names of the attributes without a value, by entity; those that features use."""
    hidden = list_carried_columns(project) | project.privacy.hidden_columns
    missing = dict[str, np.ndarray]()
    rows = dataset.leads.take(pa.array(dataset.find_leads(pa.chunked_array([ids]))))
    for name in dataset.attributes:
        missing[name] = pc.is_null(rows[name], nan_is_null=True).to_numpy()
    # An attribute that nobody had yet was unknown to the model too.
    known = filter_available_before(dataset.values, as_of, dataset.scratch)
    # Of these leads alone, since a join sorts the whole history of an attribute.
    values = known.filter(pc.is_in(known["entity_id"], value_set=ids))
    index, place = IdIndex.from_column(ids), np.arange(len(ids))
    cutoff = np.full(len(ids), to_microseconds(as_of))
    for name in pc.unique(known["attribute"]).sort().to_pylist():
        joined = as_of_join(values, name, "category", place, cutoff, index)
        missing[name] = joined.is_null().to_numpy(zero_copy_only=False)
    return {
        entity: [name for name, flags in missing.items() if name not in hidden and flags[at]]
        for at, entity in enumerate(ids.to_pylist())
    }


def _is_known(dataset: Dataset, available: pa.ChunkedArray, as_of: datetime) -> pa.ChunkedArray:
    """Return whether rows were available before the as-of; without times all are."""
    if not dataset.timed:
        return pc.is_valid(available)
    return pc.less(available, pa.scalar(as_of, INSTANT))
