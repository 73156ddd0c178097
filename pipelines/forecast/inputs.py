"""What a forecast is computed from: history, attributes, amounts, segments and calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.goals.goals import ALL
from configs.goals.holidays import list_holidays
from configs.goals.periods import CalendarPeriod, find_next_period, find_period
from configs.schema import Project
from features.contracts import Dataset
from features.outcome_events import select_standing_outcomes
from features.tools.instants import column_to_microseconds, from_microseconds
from models.encoding import encode_categories, rank_by_frequency
from models.forecast.amounts import DealAmounts, LeadValues, learn_amounts, take_known_amounts
from models.forecast.deal_model import DealAttributes
from models.forecast.working_time import DayGrid, build_day_grid
from models.funnel.history import FunnelHistory, Segmentation
from pipelines.funnel.segments import segment_leads, take_all_leads
from pipelines.training_data import Snapshot

# Categories of an attribute that are codes of their own, those with most leads.
MAX_CATEGORIES = 30
# Types of events whose newest value may show what a win is worth.
MAX_VALUE_TYPES = 5


@dataclass(frozen=True)
class ForecastInputs:
    """What a forecast is computed from.

    Attributes:
        history: Paths of the leads.
        attributes: Attributes of the leads.
        amounts: What wins are worth; None without amounts.
        win_amount: What each spell's win was worth, float64 (spells,), NaN where none.
        segments: Segments of the leads; of one segment without a column.
        grid: Days from the first visit to past the last period.
    """

    history: FunnelHistory
    attributes: DealAttributes
    amounts: DealAmounts | None
    win_amount: np.ndarray
    segments: Segmentation
    grid: DayGrid


def collect_inputs(
    snapshot: Snapshot, history: FunnelHistory, by: str | None, last: datetime
) -> ForecastInputs:
    """Return the inputs of a snapshot; ``last`` is the latest instant to forecast to."""
    attributes = collect_attributes(snapshot.project, snapshot.dataset)
    amounts, win_amount = _find_amounts(snapshot, history, attributes)
    leads = snapshot.dataset.leads.num_rows
    return ForecastInputs(
        history=history,
        attributes=attributes,
        amounts=amounts,
        win_amount=win_amount,
        segments=take_all_leads(leads) if by is None else segment_leads(snapshot, by),
        grid=build_grid(snapshot.project, history, last),
    )


def list_periods(snapshot: Snapshot, name: str) -> list[CalendarPeriod]:
    """Return the period that the as-of lies in, the next one, and months up to the quarter's end.

    At the first instant of a period, its whole time is still to come.
    """
    zone = snapshot.project.zone
    last = find_period(snapshot.as_of, zone, "quarter").end
    periods = [find_period(snapshot.as_of, zone, name)]
    while len(periods) < 2 or periods[-1].end < last:
        periods.append(find_next_period(periods[-1], zone))
    return periods


def add_quarter(snapshot: Snapshot, periods: list[CalendarPeriod]) -> list[CalendarPeriod]:
    """Return periods and, if they are months, the quarter that the as-of lies in."""
    quarter = find_period(snapshot.as_of, snapshot.project.zone, "quarter")
    return periods if periods[0].name == quarter.name else [*periods, quarter]


def build_grid(project: Project, history: FunnelHistory, last: datetime) -> DayGrid:
    """Return the days from the first visit to some after ``last``, with the config's holidays."""
    begin = int(history.paths.visits.start.min(initial=history.as_of))
    first = from_microseconds(begin).astimezone(project.zone).date() - timedelta(days=1)
    # Past forecasts look as far ahead as this one from a later instant than its as-of: none does.
    end: date = last.astimezone(project.zone).date() + timedelta(days=8)
    country = project.goals.holidays
    holidays = list_holidays(country, first, end) if country else []
    return build_day_grid(project.zone, first, end, holidays)


def collect_attributes(project: Project, dataset: Dataset) -> DealAttributes:
    """Return the attributes of the leads source as numbers and codes; personal ones are left out.

    Attributes with a history are left out too: here a lead has one value for all times.
    """
    columns, categorical = [], []
    for name in dataset.attributes:
        if name in project.privacy.personal or name in project.features.exclude:
            continue
        column = dataset.leads[name]
        if pa.types.is_floating(column.type):
            columns.append(pc.fill_null(column, np.nan).to_numpy())
        elif pa.types.is_string(column.type):
            categorical.append(len(columns))
            columns.append(_encode_column(column))
    rows = dataset.leads.num_rows
    joined = np.column_stack(columns) if columns else np.empty((rows, 0))
    return DealAttributes(joined.astype(float), tuple(categorical))


def _encode_column(column: pa.ChunkedArray) -> np.ndarray:
    """Return the rank of each category by its number of leads; the rarer ones share one code."""
    names = rank_by_frequency(column)[:MAX_CATEGORIES]
    codes = encode_categories(column, names)
    is_rare = np.isnan(codes) & column.is_valid().to_numpy()
    return np.where(is_rare, float(len(names)), codes)


def _find_amounts(
    snapshot: Snapshot, history: FunnelHistory, attributes: DealAttributes
) -> tuple[DealAmounts | None, np.ndarray]:
    """Return what wins of the leads are worth, and what each spell's win was worth."""
    spells = history.paths.spells
    win_amount = np.full(len(spells.lead), np.nan)
    won = np.flatnonzero(spells.exit == history.states.won)
    target = snapshot.project.target_config(history.states.target)
    if history.value is None:
        return None, win_amount
    if not target.learns_amount:
        amounts = take_known_amounts(attributes, history.value, spells.lead[won])
        if amounts is not None:
            win_amount[won] = amounts.of_lead[spells.lead[won]]
        return amounts, win_amount
    win_amount[won] = _match_outcome_values(snapshot, history, won)
    values = _collect_event_values(snapshot, history)
    amounts = learn_amounts(history, attributes, values, won, win_amount[won])
    if amounts is not None:
        # A win without a value of its own counts with what is expected of it.
        missing = won[np.isnan(win_amount[won])]
        win_amount[missing] = amounts.expect_amounts(
            spells.lead[missing], spells.end[missing]
        ).amount
    return amounts, win_amount


def _match_outcome_values(
    snapshot: Snapshot, history: FunnelHistory, won: np.ndarray
) -> np.ndarray:
    """Return the value of the outcome event that ended each won spell, NaN where it has none."""
    target = snapshot.project.target_config(history.states.target)
    outcomes = select_standing_outcomes(snapshot.dataset, target)
    lead = snapshot.dataset.find_leads(outcomes["entity_id"])
    time = column_to_microseconds(outcomes["event_time"])
    value = pc.fill_null(outcomes["value"], np.nan).to_numpy()
    order = np.lexsort((value, time, lead))
    key = np.rec.fromarrays([lead[order], time[order]])
    spells = history.paths.spells
    asked = np.rec.fromarrays([spells.lead[won], spells.end[won]], dtype=key.dtype)
    place = np.clip(np.searchsorted(key, asked), 0, max(len(key) - 1, 0))
    if not len(key):
        return np.full(len(won), np.nan)
    return np.where(key[place] == asked, value[order][place], np.nan)


def _collect_event_values(snapshot: Snapshot, history: FunnelHistory) -> tuple[LeadValues, ...]:
    """Return the values of events by type, such as the amounts of proposals; outcomes have none."""
    dataset, target = snapshot.dataset, snapshot.project.target_config(history.states.target)
    events = dataset.events.filter(dataset.events["value"].is_valid())
    events = events.filter(
        pc.invert(pc.is_in(events["event_type"], value_set=pa.array(target.outcome_types)))
    )
    return tuple(
        _sort_values(dataset, events.filter(pc.equal(events["event_type"], name)))
        for name in rank_by_frequency(events["event_type"])[:MAX_VALUE_TYPES]
    )


def _sort_values(dataset: Dataset, events: pa.Table) -> LeadValues:
    lead = dataset.find_leads(events["entity_id"])
    time = column_to_microseconds(events["event_time"])
    value = events["value"].to_numpy()
    rows = np.flatnonzero(lead >= 0)
    rows = rows[np.lexsort((value[rows], time[rows], lead[rows]))]
    return LeadValues(lead[rows], time[rows], value[rows])


def list_segment_names(segments: Segmentation) -> tuple[str, ...]:
    """Return the rows of a forecast: all leads, and each segment that has a lead."""
    if segments.by == ALL:
        return (ALL,)
    has_lead = np.bincount(segments.codes, minlength=len(segments.names)) > 0
    names = [name for name, has in zip(segments.names, has_lead, strict=True) if has]
    return (ALL, *names)
