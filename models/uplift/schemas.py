"""Columns of the uplift tables."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

UPLIFT = pa.schema(
    [
        make_field("entity_id", pa.string(), "the lead"),
        make_field("account_id", pa.string(), "its account", nullable=True),
        make_field("rank", pa.int64(), "place by uplift, the highest first, from 1"),
        make_field(
            "uplift",
            pa.float64(),
            "what outreach adds to the probability of the outcome within the horizon",
        ),
        make_field("uplift_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("uplift_high", pa.float64(), "upper end of it"),
        make_field(
            "p_without", pa.float64(), "probability of the outcome without outreach", nullable=True
        ),
        make_field(
            "persuade_class",
            pa.string(),
            "persuadable (the interval is above 0), do_not_disturb (below 0), else sure_thing or "
            "lost_cause by p_without above or below the mean",
        ),
        make_field(
            "randomised_n", pa.int64(), "randomised leads in the same fifth of predicted uplift"
        ),
        make_field(
            "evidence",
            pa.string(),
            "tested: the mean effect of that fifth is above or below 0 beyond noise; else weak",
        ),
    ]
)
UPLIFT_POLICY = pa.schema(
    [
        make_field("share", pa.float64(), "share of the leads that get outreach"),
        make_field("leads", pa.int64(), "their number"),
        make_field("by_uplift", pa.float64(), "outcomes added by outreach to the top by uplift"),
        make_field("by_uplift_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("by_uplift_high", pa.float64(), "upper end of it"),
        make_field("by_score", pa.float64(), "outcomes added by outreach to the top by score"),
        make_field("by_score_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("by_score_high", pa.float64(), "upper end of it"),
        make_field("gain", pa.float64(), "outcomes added by uplift instead of by score"),
        make_field("gain_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("gain_high", pa.float64(), "upper end of it"),
    ]
)
UPLIFT_BASIS = pa.schema(
    [
        make_field("target", pa.string(), "the target whose outcome counts"),
        make_field("outcome", pa.string(), "the outcome"),
        make_field("horizon_days", pa.float64(), "time in which it counts", nullable=True),
        make_field("source", pa.string(), "experiments, or lists: leads drawn for weekly lists"),
        make_field("channels", pa.string(), "channels of the outreach, joined by commas"),
        make_field("treated", pa.int64(), "mature leads with outreach"),
        make_field("control", pa.int64(), "mature leads without"),
        make_field("immature", pa.int64(), "leads whose horizon is not over, which do not count"),
        make_field("not_eligible", pa.int64(), "leads outside the population when drawn"),
        make_field("rate_without", pa.float64(), "share with the outcome without outreach", True),
        make_field("effect", pa.float64(), "what outreach adds to it, on average", True),
        make_field("effect_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("effect_high", pa.float64(), "upper end of it", True),
        make_field("qini", pa.float64(), "Qini per treated lead of the ranking by uplift", True),
        make_field("qini_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("qini_high", pa.float64(), "upper end of it", True),
        make_field("qini_response", pa.float64(), "the same of the ranking by score", True),
        make_field("uplift_at_30", pa.float64(), "mean effect in the top 30 % by uplift", True),
        make_field("uplift_at_30_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("uplift_at_30_high", pa.float64(), "upper end of it", True),
        make_field("response_at_30", pa.float64(), "mean effect in the top 30 % by score", True),
        make_field("first_assigned", INSTANT, "first assignment", nullable=True),
        make_field("last_assigned", INSTANT, "last one", nullable=True),
    ]
)
