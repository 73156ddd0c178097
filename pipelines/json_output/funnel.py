"""What `funnel` prints."""

from __future__ import annotations

from models.funnel.schemas import (
    AGING,
    CURVES,
    CYCLE,
    ENTRIES,
    FUNNEL,
    LEAKS,
    PATHS,
    SILENCE,
    STUCK,
)
from models.visitors.schemas import WEB_FUNNEL
from pipelines.json_output.shared import JsonObject, create_row_model, make_key

FunnelRowJson = create_row_model("FunnelRowJson", "Visits to a stage, by segment.", FUNNEL)
PathRowJson = create_row_model("PathRowJson", "A transition between two states.", PATHS)
CycleRowJson = create_row_model("CycleRowJson", "How long a win takes, by segment.", CYCLE)
StuckLeadJson = create_row_model(
    "StuckLeadJson", "A lead that stays in its stage longer than most that went on.", STUCK
)
LeakRowJson = create_row_model(
    "LeakRowJson", "A stage that once moved on more of its visits.", LEAKS
)
CurvePointJson = create_row_model(
    "CurvePointJson", "Which share of the visits to a stage has ended by an age.", CURVES
)
AgeClassJson = create_row_model("AgeClassJson", "Open visits to a stage by their age.", AGING)
EntryRowJson = create_row_model("EntryRowJson", "Leads by the stage in which they begin.", ENTRIES)
SilenceRowJson = create_row_model(
    "SilenceRowJson", "How likely an open lead is to return after some silent days.", SILENCE
)
WebFunnelRowJson = create_row_model(
    "WebFunnelRowJson", "Web visitors by landing page, channel or call to action.", WEB_FUNNEL
)
WebFunnelRows = list[WebFunnelRowJson]  # type: ignore[valid-type]
FunnelRows = list[FunnelRowJson]  # type: ignore[valid-type]
PathRows = list[PathRowJson]  # type: ignore[valid-type]
CycleRows = list[CycleRowJson]  # type: ignore[valid-type]
StuckLeads = list[StuckLeadJson]  # type: ignore[valid-type]

LeakRows = list[LeakRowJson]  # type: ignore[valid-type]
CurvePoints = list[CurvePointJson]  # type: ignore[valid-type]
AgeClasses = list[AgeClassJson]  # type: ignore[valid-type]
EntryRows = list[EntryRowJson]  # type: ignore[valid-type]
SilenceRows = list[SilenceRowJson]  # type: ignore[valid-type]


class OrderJson(JsonObject):
    """Whether the next state within 30 days depends on the stage before, on later visits."""

    first: float = make_key("log loss by the stage alone, in nats per visit")
    second: float = make_key("log loss by the stage and the one before")
    difference: float = make_key("`first` less `second`")
    low: float = make_key("lower end of its 90 % interval")
    high: float = make_key("upper end of its 90 % interval")
    needed: bool = make_key("whether the stage before is needed")
    visits: int = make_key("number of visits that were predicted")


class FunnelOutput(JsonObject):
    """Where leads are, where they get stuck and drop off, and how long it takes."""

    funnel: FunnelRows = make_key("each segment's stages; the first segment is `all`")
    paths: PathRows = make_key("each transition that happened, of all leads")
    cycle: CycleRows = make_key("each segment; the first is `all`")
    stuck: StuckLeads = make_key("stuck leads, those of the largest expected value first")
    leaks: LeakRows = make_key("stages, the one that would add most wins first")
    curves: CurvePoints = make_key("at most 60 ages of each stage, of all leads")
    aging: AgeClasses = make_key("each stage's open visits, from young to old")
    entries: EntryRows = make_key("each stage in which leads begin, of all leads")
    silence: SilenceRows = make_key("numbers of silent days, ascending, of all leads")
    web_funnel: WebFunnelRows = make_key("web visitors; empty without any")
    order: OrderJson | None = make_key("the test of the order; null with too few visits")
