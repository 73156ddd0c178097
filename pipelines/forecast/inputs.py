"""What a forecast is computed from: history, attributes, amounts, segments and calendar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.goals.goals import ALL
from configs.goals.holidays import list_holidays
from configs.goals.periods import CalendarPeriod, find_next_period, find_period
from configs.schema import Project
from features.contracts import Dataset
from features.tools.instants import column_to_microseconds, from_microseconds
from features.tools.parallel import parallel_map
from models.encoding import encode_categories, rank_by_frequency
from models.forecast.activity import LeadActivity, sort_by_lead
from models.forecast.amounts import DealAmounts
from models.forecast.days.working_time import DayGrid, build_day_grid
from models.forecast.deal_model import DealAttributes
from models.funnel.history import FunnelHistory, Segmentation
from pipelines.funnel.amounts import ValuedHistory
from pipelines.funnel.segments import segment_leads, take_all_leads
from pipelines.training_data import Snapshot

# Types of events of which a deal's are looked at alone, those with most events.
MAX_ACTIVITY_TYPES = 8


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
    snapshot: Snapshot, valued: ValuedHistory, by: str | None, last: datetime
) -> ForecastInputs:
    """Return the inputs of a snapshot; ``last`` is the latest instant to forecast to."""
    leads = snapshot.dataset.leads.num_rows
    activity = collect_activity(snapshot.dataset, snapshot.project.features.exclude)
    return ForecastInputs(
        history=valued.history,
        attributes=replace(valued.attributes, activity=activity),
        amounts=valued.amounts,
        win_amount=valued.win_amount,
        segments=take_all_leads(leads) if by is None else segment_leads(snapshot, by),
        grid=build_grid(snapshot.project, valued.history, last),
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


def collect_activity(dataset: Dataset, excluded: tuple[str, ...] = ()) -> LeadActivity:
    """Return when events around leads became known, and those of the most frequent types alone.

    Events of ``excluded`` types are left out.
    """
    events, leads = dataset.events, dataset.leads.num_rows
    # At an earlier instant, too, only what could be read then was known.
    is_out = pc.is_in(events["event_type"], value_set=pa.array(excluded, pa.string()))
    # -1 is no lead.
    lead = np.where(is_out.to_numpy(), -1, dataset.event_leads)
    time = column_to_microseconds(events["available_at"])
    every, rows = sort_by_lead(lead, time, leads)
    ranked = rank_by_frequency(events["event_type"])
    names = [name for name in ranked if name not in excluded][:MAX_ACTIVITY_TYPES]
    codes = encode_categories(events["event_type"], names)[rows]
    types = parallel_map(lambda number: every.select_events(codes == number), range(len(names)))
    return LeadActivity(every, tuple(types))


def list_segment_names(segments: Segmentation) -> tuple[str, ...]:
    """Return the rows of a forecast: all leads, and each segment that has a lead."""
    if segments.by == ALL:
        return (ALL,)
    has_lead = np.bincount(segments.codes, minlength=len(segments.names)) > 0
    names = [name for name, has in zip(segments.names, has_lead, strict=True) if has]
    return (ALL, *names)
