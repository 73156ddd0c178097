"""What `forecast` prints."""

from __future__ import annotations

from models.forecast.schemas import CHANGES, DEALS, FORECAST, FORECAST_TRACK
from pipelines.json_output.shared import JsonObject, create_row_model, make_instant, make_key

ForecastRowJson = create_row_model(
    "ForecastRowJson", "What a period will bring, by unit and segment.", FORECAST
)
DealRowJson = create_row_model("DealRowJson", "A deal that is open at the as-of.", DEALS)
ChangeRowJson = create_row_model(
    "ChangeRowJson", "A step from the expected total of a week before to that of now.", CHANGES
)
TrackRowJson = create_row_model(
    "TrackRowJson", "A past forecast as far ahead, beside what came.", FORECAST_TRACK
)
ForecastRows = list[ForecastRowJson]  # type: ignore[valid-type]
DealRows = list[DealRowJson]  # type: ignore[valid-type]
ChangeRows = list[ChangeRowJson]  # type: ignore[valid-type]
TrackRows = list[TrackRowJson]  # type: ignore[valid-type]


class ForecastOutput(JsonObject):
    """What the current period and the next one will bring."""

    forecast: ForecastRows = make_key(
        "each period, unit and segment; the first period is the one that the as-of lies in, and "
        "the first segment `all`"
    )
    deals: DealRows = make_key("open deals, those that add most to the first period first")
    changes: ChangeRows = make_key(
        "steps of the first period's total since a week before; empty if nothing was known then"
    )
    track: TrackRows = make_key(
        "past forecasts, as far ahead as the end of the first period, the earliest first; their "
        "times may overlap"
    )
    error_share: float | None = make_key(
        "typical error of the wins of past forecasts, as a share of what came: two of three were "
        "at most that far off; null without any"
    )
    past_forecasts: int = make_key("number of these past forecasts")
    knows_rate_only: bool = make_key(
        "whether stage and age of the deals say nothing beyond the overall rate"
    )


class ErrorsJson(JsonObject):
    """Errors of past forecasts."""

    forecasts: int = make_key("number of as-ofs with a forecast")
    mean_absolute_error_share: float | None = make_key(
        "mean over as-ofs of the absolute error as a share of what came; null without any"
    )
    bias_share: float | None = make_key(
        "the same of the error with its sign: positive if too much was expected"
    )
    crps: float | None = make_key(
        "mean continuous ranked probability score in the unit of the forecast; of a single number "
        "the mean absolute error"
    )


class StageWeightedErrorsJson(ErrorsJson):
    """Errors of the sum over open deals of their stage's share of wins, as a forecast."""

    open: ErrorsJson = make_key("errors beside what the open deals brought")


class PastForecastJson(JsonObject):
    """A forecast as of the past, beside what came."""

    as_of: str = make_instant("the past as-of")
    predicted: float = make_key("expected total")
    actual: float = make_key("what it was")
    open_predicted: float = make_key("expected part of the deals that were open")
    open_actual: float = make_key("what they brought")
    low: float = make_key("lower end of the 90 % interval of the total")
    high: float = make_key("upper end of it")
    crps: float = make_key("continuous ranked probability score; less is better")
    stage_weighted: float = make_key("sum over open deals of their stage's share of wins")
    last_year: float | None = make_key("total of the same days a year before; null without data")
    rate_only: float = make_key("total at the mean daily rate before the as-of")


class ForecastBacktestOutput(ErrorsJson):
    """Forecasts as of the past beside what came, and how far they were off."""

    target: str = make_key("the target whose outcome is the win")
    unit: str = make_key("`wins` or `amount`")
    horizon_days: float = make_key("days that each forecast looks ahead")
    asked: int = make_key(
        "number of as-ofs that were asked for; fewer are tested where the data is too short"
    )
    as_ofs: list[PastForecastJson] = make_key("each past as-of, the earliest first")
    coverage_90: float | None = make_key("share of the 90 % intervals that held what came")
    open: ErrorsJson = make_key("errors of the part of the open deals")
    stage_weighted: StageWeightedErrorsJson = make_key("errors of the stage-weighted sum")
    last_year: ErrorsJson = make_key("errors of the same days a year before")
    rate_only: ErrorsJson = make_key("errors of the mean daily rate")
