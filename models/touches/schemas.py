"""Columns of the tables of touches."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

TOUCH_HAZARD = pa.schema(
    [
        make_field("cut", pa.string(), "`all` touches, or those of a `channel` or a `gap`"),
        make_field("value", pa.string(), "the channel, or the time since the touch before; or all"),
        make_field(
            "touch_no",
            pa.int64(),
            "number of the touch since the lead became unresponsive; 0: all numbers together; the "
            "last one counts later ones too",
        ),
        make_field(
            "at_risk",
            pa.int64(),
            "mature touches of leads that were still unresponsive and reachable",
        ),
        make_field("replies", pa.int64(), "those that a reply belongs to"),
        make_field(
            "hazard", pa.float64(), "chance of a reply: replies / at_risk; null if too few", True
        ),
        make_field("hazard_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("hazard_high", pa.float64(), "upper end", True),
        make_field("opt_outs", pa.int64(), "touches at risk that an opt-out belongs to"),
        make_field("opt_out_rate", pa.float64(), "opt_outs / at_risk; null if too few", True),
        make_field(
            "naive",
            pa.float64(),
            "the same share among leads that replied in the end: a trap, no estimate",
            True,
        ),
    ]
)
NEXT_TOUCH = pa.schema(
    [
        make_field("entity_id", pa.string(), "the lead"),
        make_field("account_id", pa.string(), "its account", True),
        make_field(
            "state",
            pa.string(),
            "`due`, `waiting` for the gap, `replied`, `stopped` by the stop rule, or `opted_out`",
        ),
        make_field("due", INSTANT, "earliest time of the next touch; null: no touch", True),
        make_field("channel", pa.string(), "channel of the next touch; null: no touch", True),
        make_field("touch_no", pa.int64(), "its number since the lead became unresponsive", True),
        make_field(
            "p_reply_14d",
            pa.float64(),
            "chance of a reply within 14 days of it and before a further touch",
            True,
        ),
        make_field("p_reply_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("p_reply_high", pa.float64(), "upper end", True),
        make_field("p_opt_out", pa.float64(), "chance that the lead opts out instead", True),
        make_field(
            "net_value",
            pa.float64(),
            "p_reply_14d × value of a reply − cost − p_opt_out × harm of an opt-out",
            True,
        ),
        make_field("last_touch", INSTANT, "when the lead was last touched", True),
        make_field(
            "do_not_contact_until",
            INSTANT,
            "no touch before it; 2999-12-31 after an opt-out, which holds for ever",
            True,
        ),
        make_field("why", pa.string(), "what decides, in words"),
        make_field(
            "evidence",
            pa.string(),
            "`tested` by randomised touches, or `descriptive`; empty without a touch",
        ),
    ]
)
TOUCH_BASIS = pa.schema(
    [
        make_field("leads", pa.int64(), "leads that may be touched, or have opted out"),
        make_field("due", pa.int64(), "of them with a touch that is due"),
        make_field("waiting", pa.int64(), "whose next touch has to wait"),
        make_field("replied", pa.int64(), "who have replied"),
        make_field("stopped", pa.int64(), "whose next touch would bring less than it costs"),
        make_field("opted_out", pa.int64(), "who must not be touched again"),
        make_field("touches", pa.int64(), "touches known before the as-of"),
        make_field("not_at_risk", pa.int64(), "of leads who had replied, opted out or ended"),
        make_field("immature", pa.int64(), "touches at risk that were not followed for 14 days"),
        make_field("at_risk", pa.int64(), "mature touches at risk"),
        make_field("replies", pa.int64(), "those that a reply belongs to"),
        make_field("opt_outs", pa.int64(), "those that an opt-out belongs to"),
        make_field(
            "mean_touches", pa.float64(), "mean touch number of a reply, among replies alone", True
        ),
        make_field("touch_types", pa.string(), "event types that are touches"),
        make_field("reply_types", pa.string(), "event types that are replies"),
        make_field("opt_out_types", pa.string(), "event types that are opt-outs"),
        make_field("until", pa.string(), "event types that end the touches of a lead"),
        make_field("horizon_days", pa.float64(), "time after a touch in which a reply counts"),
        make_field("quiet_days", pa.float64(), "time after a reply until a lead is unresponsive"),
        make_field("min_gap_days", pa.float64(), "shortest time between touches"),
        make_field("min_at_risk", pa.int64(), "touches that a figure needs"),
        make_field("reply_value", pa.float64(), "value of a reply; null: no stop rule", True),
        make_field("opt_out_harm", pa.float64(), "harm of an opt-out"),
        make_field("limits", pa.string(), "what is missing, and what to add; lines of text"),
    ]
)
