"""What `uplift` prints."""

from __future__ import annotations

from models.uplift.schemas import UPLIFT, UPLIFT_BASIS, UPLIFT_POLICY
from pipelines.json_output.shared import GateTestJson, JsonObject, create_row_model, make_key

UpliftJson = create_row_model("UpliftJson", "A lead by uplift.", UPLIFT)
UpliftPolicyJson = create_row_model(
    "UpliftPolicyJson", "Outreach to the best leads, by uplift and by score.", UPLIFT_POLICY
)
UpliftBasisJson = create_row_model(
    "UpliftBasisJson", "Randomised leads, and the quality of both rankings.", UPLIFT_BASIS
)


class UpliftGateJson(JsonObject):
    """The gate of uplift."""

    passed: bool = make_key("whether every test passed; if not, leads and policy are empty")
    tests: list[GateTestJson] = make_key("all tests; those of rankings need enough leads")


class UpliftOutput(JsonObject):
    """Effect of outreach, and whom it should go to first; figures are null without a ranking."""

    gate: UpliftGateJson = make_key("the gate")
    effect: float | None = make_key("what outreach adds to the share with the outcome")
    effect_low: float | None = make_key("lower end of its 90 % interval")
    effect_high: float | None = make_key("upper end of it")
    qini: float | None = make_key("Qini per treated lead of the ranking by uplift")
    qini_low: float | None = make_key("lower end of its 90 % interval")
    qini_high: float | None = make_key("upper end of it")
    uplift_at_30: float | None = make_key("mean effect in the top 30 % by uplift")
    uplift_at_30_low: float | None = make_key("lower end of its 90 % interval")
    uplift_at_30_high: float | None = make_key("upper end of it")
    policy: list[UpliftPolicyJson] = make_key(  # type: ignore[valid-type]
        "the capacity's share first, then further shares"
    )
    leads: list[UpliftJson] = make_key(  # type: ignore[valid-type]
        "open leads, the highest uplift first"
    )
    basis: UpliftBasisJson = make_key("what it rests on")  # type: ignore[valid-type]
