"""What `touches` prints."""

from __future__ import annotations

from models.touches.schemas import NEXT_TOUCH, TOUCH_BASIS, TOUCH_HAZARD
from pipelines.json_output.shared import JsonObject, create_row_model, make_key

NextTouchJson = create_row_model("NextTouchJson", "The next touch of a lead.", NEXT_TOUCH)
TouchHazardJson = create_row_model(
    "TouchHazardJson", "The chance of a reply to a touch.", TOUCH_HAZARD
)
TouchBasisJson = create_row_model("TouchBasisJson", "What touches rest on.", TOUCH_BASIS)


class TouchesOutput(JsonObject):
    """Touches: the chance of a reply, and whom to touch next."""

    next_touch: list[NextTouchJson] = make_key(  # type: ignore[valid-type]
        "leads that may be touched, or have opted out; the first to touch first"
    )
    hazard: list[TouchHazardJson] = make_key(  # type: ignore[valid-type]
        "chance of a reply by touch number, channel and gap"
    )
    basis: TouchBasisJson = make_key("touches, leads and settings")  # type: ignore[valid-type]
