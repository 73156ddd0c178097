"""Columns of the channel tables."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field
from models.channels.credits import METHODS

METHOD_MEANINGS = {
    "first": "all to the first touch",
    "last": "all to the last touch",
    "linear": "the same to all touches",
    "time_decay": "half as much for a touch one half-life earlier",
    "position": "shares of the first and of the last touch, the rest to those between",
    "markov": "in proportion to removal effects in a first-order Markov chain",
    "shapley": "Shapley value of the observed sets of channels",
}


def _list_credit_fields() -> list[pa.Field]:
    fields = list[pa.Field]()
    for name in METHODS:
        column = f"{name}_credit"
        meaning = f"conversions credited, {METHOD_MEANINGS[name]}"
        fields += [
            make_field(column, pa.float64(), meaning, True),
            make_field(f"{column}_low", pa.float64(), "5 % quantile of it", True),
            make_field(f"{column}_high", pa.float64(), "95 % quantile of it", True),
        ]
    return fields


CHANNELS = pa.schema(
    [
        make_field("period", pa.string(), "period of the first touch; `all`: all mature periods"),
        make_field(
            "scope",
            pa.string(),
            "`channel`; `refused`: all channels without figures together; `total`: all channels",
        ),
        make_field("channel", pa.string(), "the channel; `all` for other scopes"),
        make_field("mature", pa.bool_(), "all accounts of the period were followed for the window"),
        make_field("mature_at", INSTANT, "when the period is, or was, mature"),
        make_field("touches", pa.int64(), "touches before the opportunity"),
        make_field("accounts", pa.int64(), "accounts that the channel touched before it"),
        make_field(
            "touches_after_opportunity",
            pa.int64(),
            "touches after the opportunity opened, which get no credit",
        ),
        make_field("cost", pa.float64(), "what was spent in the period; null if not known", True),
        make_field("leads", pa.int64(), "leads of the accounts that the channel touched first"),
        make_field(
            "customers",
            pa.int64(),
            "accounts that the channel touched first and that became customers within the window; "
            "null until the period is mature",
            True,
        ),
        make_field("cac", pa.float64(), "cost of a customer: cost / customers", True),
        make_field("cac_low", pa.float64(), "5 % quantile of it", True),
        make_field("cac_high", pa.float64(), "95 % quantile of it; null: no upper bound", True),
        *_list_credit_fields(),
        make_field("margin", pa.float64(), "margin of these customers so far", True),
        make_field(
            "expected_value",
            pa.float64(),
            "margin so far and the expected margin to come of these customers",
            True,
        ),
        make_field("roi", pa.float64(), "(expected value − cost) / cost", True),
        make_field(
            "payback_months",
            pa.int64(),
            "months from the first touch until the margin reaches the cost; null if not yet",
            True,
        ),
        make_field(
            "incremental", pa.string(), "effect of the channel: `not tested` without an experiment"
        ),
        make_field("note", pa.string(), "why figures are missing; empty if none is"),
    ]
)
CHANNEL_WEEKS = pa.schema(
    [
        make_field("week", INSTANT, "Monday on which the week begins, in the project's time zone"),
        make_field("channel", pa.string(), "the channel; `none`: customers without a touch"),
        make_field("cost", pa.float64(), "what was spent; null if not known", True),
        make_field("touches", pa.int64(), "touches of all accounts, also after the opportunity"),
        make_field("leads", pa.int64(), "leads of accounts that the channel touched first"),
        make_field(
            "customers",
            pa.int64(),
            "accounts that became customers in the week and that the channel had touched first",
        ),
        make_field("revenue", pa.float64(), "amounts of these conversions", True),
    ]
)
CHANNEL_STEPS = pa.schema(
    [
        make_field("from", pa.string(), "`(start)` or a channel"),
        make_field("to", pa.string(), "a channel, `(conversion)` or `(null)`"),
        make_field("steps", pa.int64(), "steps of all journeys; a journey may have several"),
        make_field("share", pa.float64(), "share of the steps from there"),
    ]
)
CHANNEL_BASIS = pa.schema(
    [
        make_field("unit", pa.string(), "`account`, or `lead` without accounts"),
        make_field("accounts", pa.int64(), "accounts with a touch"),
        make_field("immature", pa.int64(), "of them in periods that are not mature"),
        make_field("journeys", pa.int64(), "mature accounts with a touch that may get credit"),
        make_field("conversions", pa.int64(), "journeys that ended in a conversion"),
        make_field(
            "without_touch",
            pa.int64(),
            "customers without a touch before the opportunity, or within the lookback",
        ),
        make_field("probability", pa.float64(), "chance of a conversion in the chain", True),
        make_field("conversion_types", pa.string(), "event types that make a customer"),
        make_field("touch_types", pa.string(), "event types, and the attribute, that are touches"),
        make_field("opportunity", pa.string(), "event type that opens the opportunity", True),
        make_field("window_days", pa.float64(), "time from the first touch to a conversion"),
        make_field("lookback_days", pa.float64(), "time before the end in which touches count"),
        make_field("half_life_days", pa.float64(), "half-life of time decay"),
        make_field("min_accounts", pa.int64(), "accounts that a channel needs for figures"),
        make_field("first_refused", pa.string(), "a channel without figures, if any", True),
        make_field("limits", pa.string(), "what is missing, and what to add; lines of text"),
    ]
)
