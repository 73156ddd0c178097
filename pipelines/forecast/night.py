"""The forecast of a night: computed beside the scores, which never wait for its success."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import DataError
from features.paths.states import list_funnel_states
from models.forecast.result import ForecastResult
from pipelines.forecast.forecast import build_forecast
from pipelines.funnel.amounts import ValuedHistory, value_history
from pipelines.funnel.funnel import build_history
from pipelines.funnel.night import has_funnel
from pipelines.training_data import Snapshot
from serve.failure import describe_failed_part
from serve.night_tables import prepare_night_table, select_group


@dataclass(frozen=True)
class NightForecast:
    """The forecast of a night, if it could be computed.

    Attributes:
        result: The forecast; None if there is none.
        reason: Why there is none although the config wants it; None if there is one, or none is
            wanted.
        problem: The same, where something failed.
    """

    result: ForecastResult | None = None
    reason: str | None = None
    problem: str | None = None


def compute_night_forecast(snapshot: Snapshot, valued: ValuedHistory | None) -> NightForecast:
    """Return the forecast of a night's data, for the periods and by the column of ``goals``.

    ``valued`` is the history of the funnel; None if there is no funnel. Never raises for a failure:
    the scores are worth more than the forecast.
    """
    project = snapshot.project
    if not project.publish.forecast:
        return NightForecast()
    if not has_funnel(project):
        return NightForecast(reason="no target has an outcome event")
    try:
        try:
            result = _build_result(snapshot, valued)
        # Too few deals are no failure: each night of a young company would warn of it.
        except DataError as error:
            return NightForecast(reason=describe_failed_part(error))
        tables = result.list_night_tables()
        # Rows that the database would refuse must not be found while the scores are written.
        for table in select_group("forecast"):
            prepare_night_table(table, tables[table.name])
        return NightForecast(result)
    except (KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in a library written in Rust is no Exception.
    except BaseException as error:  # noqa: BLE001
        return NightForecast(problem=describe_failed_part(error))


def _build_result(snapshot: Snapshot, valued: ValuedHistory | None) -> ForecastResult:
    project = snapshot.project
    if valued is None:
        valued = value_history(snapshot, build_history(snapshot, list_funnel_states(project)))
    return build_forecast(snapshot, valued, project.goals.period, project.goals.by)
