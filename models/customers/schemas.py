"""Columns of the customer tables."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

CUSTOMERS = pa.schema(
    [
        make_field("entity_id", pa.string(), "the customer's lead; of several the first to come"),
        make_field("account_id", pa.string(), "the account, if the customer is one", True),
        make_field("owner", pa.string(), "who works it; null without `capacity.owner`", True),
        make_field(
            "state",
            pa.string(),
            "`onboarding`, `active`, `at_risk`, `lapsed`, `returned` or `advocate`",
        ),
        make_field("purchases", pa.int64(), "days with a purchase"),
        make_field("margin", pa.float64(), "margin of all purchases"),
        make_field("first_purchase", INSTANT, "begin of the day of the first purchase"),
        make_field("last_purchase", INSTANT, "begin of the day of the last purchase"),
        make_field("silent_days", pa.int64(), "whole days since the last purchase"),
        make_field(
            "usual_gap_days",
            pa.float64(),
            "mean days between purchases; null after the first",
            True,
        ),
        make_field(
            "p_alive",
            pa.float64(),
            "chance that the customer has not left; with a contract 0 or 1, or while its renewal "
            "is overdue the chance that it is paid",
            True,
        ),
        make_field(
            "p_buy_90d",
            pa.float64(),
            "chance of a purchase in the next 90 days; with a contract, that the next renewal is "
            "paid in them",
            True,
        ),
        make_field(
            "p_churn",
            pa.float64(),
            "chance of no purchase in the days after which one has lapsed; with a contract, that "
            "the next renewal is not paid",
            True,
        ),
        make_field(
            "expected_next_date",
            INSTANT,
            "when the chance of a purchase since the as-of reaches one half, null if it does not "
            "within a year; with a contract, when the next renewal is due, null if it is over",
            True,
        ),
        make_field(
            "expected_orders_12m", pa.float64(), "expected purchases, or renewals, in a year", True
        ),
        make_field("expected_margin_12m", pa.float64(), "expected margin within a year", True),
        make_field("expected_margin_12m_low", pa.float64(), "5 % quantile of that margin", True),
        make_field("expected_margin_12m_high", pa.float64(), "95 % quantile of it", True),
        make_field(
            "clv", pa.float64(), "expected margin within `customers.horizon`, discounted", True
        ),
        make_field("clv_low", pa.float64(), "5 % quantile of it", True),
        make_field("clv_high", pa.float64(), "95 % quantile of it", True),
        make_field(
            "save_value",
            pa.float64(),
            "margin at stake: the expected margin of a year times `p_churn`",
            True,
        ),
        make_field("reasons", pa.string(), "what the state and the value rest on"),
        make_field(
            "next_review", INSTANT, "when to look again; null for a customer who has lapsed", True
        ),
    ]
)

CUSTOMER_STATES = pa.schema(
    [
        make_field("state", pa.string(), "the state"),
        make_field("customers", pa.int64(), "customers in it"),
        make_field("share", pa.float64(), "their share of all customers"),
        make_field("entered_90d", pa.int64(), "those who were in another state 90 days before"),
        make_field("left_90d", pa.int64(), "customers who were in it 90 days before, not now"),
        make_field("expected_margin_12m", pa.float64(), "their expected margin of a year", True),
        make_field("clv", pa.float64(), "their discounted value", True),
        make_field("save_value", pa.float64(), "their margin that is at stake", True),
    ]
)

CUSTOMER_FLOWS = pa.schema(
    [
        make_field("from", pa.string(), "state 90 days before; `stranger` for none yet"),
        make_field("to", pa.string(), "state at the as-of"),
        make_field("customers", pa.int64(), "customers who went from one to the other"),
    ]
)

RETENTION = pa.schema(
    [
        make_field("cohort", pa.string(), "quarter of the first purchase, such as `2025-Q1`"),
        make_field("month", pa.int64(), "months of 30 days after the first purchase, from 1"),
        make_field("customers", pa.int64(), "customers whose month is over"),
        make_field(
            "buyers",
            pa.int64(),
            "those who bought in it; with contracts, also those whose contract ran at its end",
        ),
        make_field("share", pa.float64(), "their share"),
        make_field("share_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("share_high", pa.float64(), "upper end of it"),
        make_field(
            "margin_per_customer",
            pa.float64(),
            "margin per customer from the first purchase to the end of the month",
        ),
    ]
)

REVENUE_BRIDGE = pa.schema(
    [
        make_field("period", pa.string(), "calendar quarter, such as `2025-Q1`"),
        make_field(
            "step",
            pa.string(),
            "`start`, `new`, `won_back`, `expansion`, `contraction`, `lost` or `end`; the end is "
            "the start and the next three, without contraction and lost",
        ),
        make_field(
            "amount",
            pa.float64(),
            "margin of the step; with contracts, of what runs at the end of the quarter, per "
            "quarter",
        ),
        make_field("customers", pa.int64(), "customers of the step"),
        make_field(
            "kind",
            pa.string(),
            "`actual` for a quarter that is over, `forecast` for the one that runs and the next",
        ),
        make_field("low", pa.float64(), "lower end of the 90 % interval of a forecast", True),
        make_field("high", pa.float64(), "upper end of it", True),
    ]
)

ACQUISITION = pa.schema(
    [
        make_field("cohort", pa.string(), "quarter of the entry, such as `2025-Q1`"),
        make_field("entered", pa.int64(), "accounts, or leads without one, that entered in it"),
        make_field("customers", pa.int64(), "those of them that have become customers since"),
        make_field(
            "mature",
            pa.bool_(),
            "whether nine tenths of its customers have had the time to come; until then there is "
            "no cost by customer",
        ),
        make_field("cost", pa.float64(), "costs of the quarter; null outside the costs", True),
        make_field("cac", pa.float64(), "cost of acquisition by customer", True),
        make_field("cac_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("cac_high", pa.float64(), "upper end of it", True),
        make_field("margin", pa.float64(), "margin by customer so far", True),
        make_field("ltv", pa.float64(), "that margin and the expected, discounted value", True),
        make_field("ltv_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("ltv_high", pa.float64(), "upper end of it", True),
        make_field("ltv_to_cac", pa.float64(), "value by cost", True),
        make_field("ltv_to_cac_low", pa.float64(), "lowest value by highest cost", True),
        make_field("ltv_to_cac_high", pa.float64(), "highest value by lowest cost", True),
        make_field(
            "payback_months",
            pa.int64(),
            "months of 30 days after the first purchase in which the margin by customer reached "
            "the cost; null if it has not",
            True,
        ),
        make_field(
            "followed_months",
            pa.int64(),
            "months for which at least 10 of its customers were followed; null without",
            True,
        ),
    ]
)

CUSTOMER_CORRECTIONS = pa.schema(
    [
        make_field(
            "what",
            pa.string(),
            "`orders`, the number of purchases, and `margin`, by trees; `chance`, to buy, by a "
            "calibration",
        ),
        make_field("used", pa.bool_(), "whether the correction is used"),
        make_field(
            "keeps_total",
            pa.bool_(),
            "whether trees only move it between customers: the model's total was nearer",
        ),
        make_field("days", pa.int64(), "days that both were asked to expect, the last ones"),
        make_field("customers", pa.int64(), "customers compared"),
        make_field("deviance_model", pa.float64(), "mean deviance of the model of purchases"),
        make_field("deviance_corrected", pa.float64(), "mean deviance with the correction"),
        make_field(
            "gain_low",
            pa.float64(),
            "lower end of the 90 % interval of what it is lowered by; used if above 0",
        ),
        make_field("gain_high", pa.float64(), "upper end of it"),
    ]
)

WIN_BACKS = pa.schema(
    [
        *(CUSTOMERS.field(name) for name in ("entity_id", "account_id", "owner", "purchases")),
        make_field("lapsed_at", INSTANT, "begin of the day on which the customer lapsed"),
        make_field("lapsed_days", pa.int64(), "whole days since then"),
        make_field(
            "p_return_90d",
            pa.float64(),
            "chance of a purchase in the next 90 days; null where too few lapses are as old",
            True,
        ),
        make_field("p_return_90d_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("p_return_90d_high", pa.float64(), "upper end of it; null by the model", True),
        make_field(
            "margin_if_back",
            pa.float64(),
            "expected margin of the year that begins with a return",
            True,
        ),
        make_field("expected_margin", pa.float64(), "that margin times the chance", True),
        make_field("reasons", pa.string(), "what the chance rests on"),
    ]
)

WIN_BACK_TRACK = pa.schema(
    [
        make_field(
            "method",
            pa.string(),
            "`clock`: by the days since the lapse; `model`: by the model of purchases",
        ),
        make_field("chosen", pa.bool_(), "whether its chances are used"),
        make_field("customers", pa.int64(), "customers who had lapsed 90 days before the as-of"),
        make_field("returned", pa.int64(), "those who came back since"),
        make_field("expected", pa.float64(), "expected number of them"),
        make_field("log_loss", pa.float64(), "mean log loss of the chances"),
    ]
)

CUSTOMER_TRACK = pa.schema(
    [
        make_field("forecast_as_of", INSTANT, "the past as-of"),
        make_field("days", pa.int64(), "days ahead"),
        make_field("model", pa.string(), "model, or baseline"),
        make_field("chosen", pa.bool_(), "whether the model is the one that is used"),
        make_field("customers", pa.int64(), "customers before the past as-of"),
        make_field("expected", pa.float64(), "expected purchases of all of them"),
        make_field("actual", pa.float64(), "purchases that came"),
        make_field("absolute_error", pa.float64(), "mean absolute error per customer"),
        make_field("deviance", pa.float64(), "mean Poisson deviance per customer"),
        make_field(
            "roc_auc",
            pa.float64(),
            "chance that of a customer who bought and one who did not, the first was expected to "
            "buy more",
            True,
        ),
    ]
)

CUSTOMER_BASIS = pa.schema(
    [
        make_field("unit", pa.string(), "`account`, or `lead` where no lead has one"),
        make_field("customers", pa.int64(), "customers"),
        make_field("purchases", pa.int64(), "days of a customer with a purchase"),
        make_field("unpriced", pa.int64(), "those that brought nothing"),
        make_field("model", pa.string(), "model that is used; null if none may be", True),
        make_field("parameters", pa.string(), "its parameters, as JSON", True),
        make_field("margin_share", pa.float64(), "share of the revenue that is margin"),
        make_field("discount_rate", pa.float64(), "discount rate per year"),
        make_field("horizon_days", pa.float64(), "days whose margins count as the value"),
        make_field(
            "lapse_days", pa.float64(), "days without a purchase after which one has lapsed"
        ),
        make_field(
            "contract_days",
            pa.int64(),
            "days that a payment pays for; null without contracts",
            True,
        ),
        make_field(
            "grace_days",
            pa.int64(),
            "days after the due day until which a renewal may be paid; null without contracts",
            True,
        ),
        make_field("orders_12m", pa.float64(), "expected purchases of all within a year", True),
        make_field("orders_12m_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("orders_12m_high", pa.float64(), "upper end of it", True),
        make_field("margin_12m", pa.float64(), "expected margin of all within a year", True),
        make_field("margin_12m_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("margin_12m_high", pa.float64(), "upper end of it", True),
        make_field("clv", pa.float64(), "discounted value of all", True),
        make_field("clv_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("clv_high", pa.float64(), "upper end of it", True),
        make_field(
            "bridge_quarters",
            pa.int64(),
            "past quarters whose revenue bridge was forecast as of their begin",
        ),
        make_field(
            "bridge_bias",
            pa.float64(),
            "how far their margin was off, as a share of what came",
            True,
        ),
        make_field(
            "bridge_held",
            pa.int64(),
            "how many of them lie in the 90 % interval that the others give",
            True,
        ),
        make_field("bridge_limits", pa.string(), "why the bridge is not forecast; empty if it is"),
        make_field("limits", pa.string(), "why there is no model, one line each; else empty"),
    ]
)
