"""Touches of accounts by channels, and when each account opened an opportunity and converted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.channels.channels import Channels
from configs.errors import ConfigError, DataError
from configs.schema import Project
from configs.suggestions import did_you_mean
from features.contracts import Dataset
from features.paths.states import list_funnel_states
from features.tools.instants import NEVER_US, column_to_microseconds
from pipelines.event_names import count_event_types, require_occurrence
from pipelines.fit.units import EntryUnits, find_units
from pipelines.training_data import Snapshot


@dataclass(frozen=True)
class TouchTypes:
    """Event types by their role.

    Attributes:
        touches: Those that are touches of their channel.
        conversions: Those that make a customer.
        opportunity: The one that opens the opportunity, if any.
    """

    touches: tuple[str, ...]
    conversions: tuple[str, ...]
    opportunity: str | None


@dataclass(frozen=True)
class AccountTouches:
    """All touches that were known before the as-of, ordered by account, time and channel.

    Attributes:
        units: The accounts, or leads without one.
        types: Event types by role.
        channels: Names of the channels, ascending.
        unit: Account of each touch, int64 (touches,).
        time: Time of each touch, int64 microseconds.
        channel: Place in ``channels`` of each touch, int64.
        opened: First opportunity of each account, int64 (units,); NEVER_US without one.
        converted: First conversion of each account, int64 (units,); NEVER_US without one.
        sale_unit: Account of each conversion event, int64 (sales,).
        sale_time: Its time, int64.
        sale_amount: Its amount, float64, NaN for none.
    """

    units: EntryUnits
    types: TouchTypes
    channels: tuple[str, ...]
    unit: np.ndarray
    time: np.ndarray
    channel: np.ndarray
    opened: np.ndarray
    converted: np.ndarray
    sale_unit: np.ndarray
    sale_time: np.ndarray
    sale_amount: np.ndarray


def collect_touches(snapshot: Snapshot, config: Channels) -> AccountTouches:
    """Return the touches of a snapshot.

    Raises ConfigError for an attribute or event type that the data lacks, DataError where the data
    has no times, or no touch.
    """
    dataset = snapshot.dataset
    if not dataset.timed:
        raise DataError(
            "channels need times",
            where="sources",
            found="the data has no times",
            fix="give sources.leads.created_at and an events source with event_time",
        )
    types = list_touch_types(snapshot, config)
    units = find_units(dataset)
    rows, names = _find_touch_events(dataset, types.touches)
    unit, time = units.of_lead[dataset.event_leads[rows]], _take_times(dataset, rows)
    if config.attribute is not None:
        lead, values = _take_attribute(snapshot.project, dataset, config.attribute)
        created = column_to_microseconds(dataset.leads["created_at"])[lead]
        unit = np.concatenate([unit, units.of_lead[lead]])
        time, names = np.concatenate([time, created]), pa.concat_arrays([names, values])
    if not len(unit):
        raise DataError(
            "no channel has touched an account",
            where=f"{snapshot.project.path}: channels.touches",
            found=f"0 of {dataset.events.num_rows:,} events are touches of leads that are known",
            fix="name event types that have a channel, or channels.attribute",
        )
    channels = tuple(sorted(pc.unique(names).to_pylist()))
    channel = pc.index_in(names, value_set=pa.array(channels)).to_numpy().astype(np.int64)
    order = np.lexsort((channel, time, unit))
    sale = _sort_sales(dataset, units, _select_events(dataset, types.conversions))
    sale_unit, sale_time = units.of_lead[dataset.event_leads[sale]], _take_times(dataset, sale)
    opening = _select_events(dataset, (types.opportunity,) if types.opportunity else ())
    opened_unit = units.of_lead[dataset.event_leads[opening]]
    return AccountTouches(
        units,
        types,
        channels,
        unit[order],
        time[order],
        channel[order],
        _find_first(len(units), opened_unit, _take_times(dataset, opening)),
        _find_first(len(units), sale_unit, sale_time),
        sale_unit,
        sale_time,
        take_amounts(dataset, sale),
    )


def list_touch_types(snapshot: Snapshot, config: Channels) -> TouchTypes:
    """Return the event types by role; raise ConfigError for those that never occur."""
    project, dataset = snapshot.project, snapshot.dataset
    counts = count_event_types(dataset)
    conversions = config.conversions or list_funnel_states(project).wins
    named = {"touches": config.touches, "conversions": conversions}
    named["opportunity"] = (config.opportunity,) if config.opportunity else ()
    for key, types in named.items():
        require_occurrence(project, counts, f"channels.{key}", types, snapshot.as_of)
    touches = config.touches
    if not touches and config.attribute is None:
        features = project.features
        ours = {*conversions, config.opportunity, *features.stages, *features.outbound}
        touches = tuple(name for name in counts if name not in ours)
    return TouchTypes(tuple(sorted(touches)), tuple(conversions), config.opportunity)


def _find_touch_events(dataset: Dataset, types: tuple[str, ...]) -> tuple[np.ndarray, pa.Array]:
    """Return the rows of events with a channel that are touches, and their channels."""
    rows = _select_events(dataset, types)
    names = dataset.events["channel"].take(pa.array(rows)).cast(pa.string()).combine_chunks()
    known = names.is_valid().to_numpy(zero_copy_only=False)
    return rows[known], names.drop_null()


def _take_attribute(project: Project, dataset: Dataset, name: str) -> tuple[np.ndarray, pa.Array]:
    """Return the leads with a value of an attribute, and the values as texts."""
    if name not in dataset.attributes:
        raise ConfigError(
            "no such attribute of the leads",
            where=f"{project.path}: channels.attribute",
            found=f"{name!r}; the attributes are {', '.join(dataset.attributes) or 'none'}",
            fix=did_you_mean(name, dataset.attributes) or "add it to sources.leads.attributes",
        )
    column = dataset.leads[name]
    if column.type != pa.string():
        raise ConfigError(
            "this attribute is no category",
            where=f"{project.path}: channels.attribute",
            found=f"{name!r} holds numbers or dates",
            fix="name an attribute with the names of channels",
        )
    lead = np.flatnonzero(column.is_valid().to_numpy())
    values = column.drop_null()
    return lead, values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def take_amounts(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the amounts of events, float64, NaN for none."""
    amounts: np.ndarray = pc.fill_null(
        dataset.events["value"].take(pa.array(rows)), np.nan
    ).to_numpy()
    return amounts


def _sort_sales(dataset: Dataset, units: EntryUnits, rows: np.ndarray) -> np.ndarray:
    """Return rows in an order that that of the data does not decide: sums stay the same."""
    unit, time = units.of_lead[dataset.event_leads[rows]], _take_times(dataset, rows)
    return rows[np.lexsort((take_amounts(dataset, rows), time, unit))]


def _select_events(dataset: Dataset, types: tuple[str, ...]) -> np.ndarray:
    is_type = pc.is_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    return np.flatnonzero(is_type.to_numpy() & (dataset.event_leads >= 0))


def _take_times(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    return column_to_microseconds(dataset.events["event_time"].take(pa.array(rows)))


def _find_first(units: int, unit: np.ndarray, time: np.ndarray) -> np.ndarray:
    first = np.full(units, NEVER_US)
    np.minimum.at(first, unit, time)
    return first
