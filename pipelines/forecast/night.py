"""The forecast of a night."""

from __future__ import annotations

from features.paths.states import list_funnel_states
from models.forecast.result import ForecastResult
from pipelines.forecast.forecast import build_forecast
from pipelines.funnel.amounts import ValuedHistory, value_history
from pipelines.funnel.funnel import build_history
from pipelines.funnel.night import has_funnel
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part

NightForecast = NightPart[ForecastResult]


def compute_night_forecast(snapshot: Snapshot, valued: ValuedHistory | None) -> NightForecast:
    """Return the forecast of a night's data, for the periods and by the column of ``goals``.

    ``valued`` is the history of the funnel; None if there is no funnel.
    """
    project = snapshot.project
    if not project.publish.forecast:
        return NightForecast()
    if not has_funnel(project):
        return NightForecast(reason="no target has an outcome event")
    return compute_night_part(
        "forecast",
        lambda: _build_result(snapshot, valued),
        lambda result: result.list_night_tables(),
    )


def _build_result(snapshot: Snapshot, valued: ValuedHistory | None) -> ForecastResult:
    project = snapshot.project
    if valued is None:
        valued = value_history(snapshot, build_history(snapshot, list_funnel_states(project)))
    return build_forecast(snapshot, valued, project.goals.period, project.goals.by)
