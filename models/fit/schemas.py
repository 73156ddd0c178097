"""Columns of the fit tables."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import make_field

FIT_PROFILE = pa.schema(
    [
        make_field("attribute", pa.string(), "the attribute, as known at the entry"),
        make_field("value", pa.string(), "its value, or a band of a number"),
        make_field("accounts", pa.int64(), "mature accounts, or leads without one, that have it"),
        make_field("share", pa.float64(), "their share of all mature accounts"),
        make_field("customers", pa.int64(), "those that were won within the horizon"),
        make_field("win_rate", pa.float64(), "their share of the accounts with the value"),
        make_field(
            "lift",
            pa.float64(),
            "what an account with the value brings within the horizon, as a multiple of the mean "
            "of all: amounts, or wins without them; shrunk towards 1",
        ),
        make_field("lift_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("lift_high", pa.float64(), "upper end of its 90 % interval"),
        make_field(
            "value_per_customer",
            pa.float64(),
            "mean amount that such a customer brought within the horizon; null without amounts",
            nullable=True,
        ),
        make_field(
            "stability", pa.float64(), "share of the bootstrap resamples whose profile has the row"
        ),
    ]
)

FIT_CLASSES = pa.schema(
    [
        make_field("fit_class", pa.string(), "A, B or C"),
        make_field(
            "factor_from",
            pa.float64(),
            "least expected multiple of the mean; null for the last class",
            nullable=True,
        ),
        make_field("accounts", pa.int64(), "mature accounts of the class"),
        make_field("share", pa.float64(), "their share of all mature accounts"),
        make_field("customers", pa.int64(), "those that were won within the horizon"),
        make_field("win_rate", pa.float64(), "their share of the class", True),
        make_field("win_rate_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("win_rate_high", pa.float64(), "upper end of its 90 % interval", True),
        make_field(
            "value_per_account",
            pa.float64(),
            "mean amount that an account of the class brought; null without amounts",
            nullable=True,
        ),
        make_field("open_accounts", pa.int64(), "open accounts of the class at the as-of"),
        make_field("white_space", pa.int64(), "those of them that are silent, if the class is A"),
    ]
)

FIT_ACCOUNTS = pa.schema(
    [
        make_field("entity_id", pa.string(), "the open lead of the account that was active last"),
        make_field("account_id", pa.string(), "the account; null for a lead without one", True),
        make_field("owner", pa.string(), "who works the lead; null without `capacity.owner`", True),
        make_field("fit_class", pa.string(), "A, B or C"),
        make_field(
            "factor",
            pa.float64(),
            "what the account is expected to bring within the horizon after its entry, as a "
            "multiple of the mean",
        ),
        make_field(
            "expected_value", pa.float64(), "the same as an amount; null without amounts", True
        ),
        make_field("matched", pa.string(), "rows of the profile that raise it; may be empty"),
        make_field(
            "missing",
            pa.string(),
            "attributes with such a row of which the account has another value or none; may be "
            "empty",
        ),
        make_field("against", pa.string(), "rows of the profile that lower it; may be empty"),
        make_field("open_leads", pa.int64(), "open leads of the account"),
        make_field(
            "silent_days",
            pa.int64(),
            "days since the last event of the account that is no touch of ours; null without times",
            nullable=True,
        ),
        make_field(
            "state",
            pa.string(),
            "`silent` or `active`; `unknown` without times or a threshold. Silent accounts of "
            "class A are the white space",
        ),
    ]
)

FIT_GRID = pa.schema(
    [
        make_field("fit_class", pa.string(), "A, B or C"),
        make_field("engagement", pa.int64(), "1 busy, 2 active, 3 without an activity in 30 days"),
        make_field("cell", pa.string(), "both, A1 to C3"),
        make_field("activities_from", pa.int64(), "least number of activities in the last 30 days"),
        make_field(
            "accounts",
            pa.int64(),
            "open accounts that had both at an earlier cutoff; each counts once per cutoff",
        ),
        make_field("customers", pa.int64(), "those that were won within the horizon after it"),
        make_field("win_rate", pa.float64(), "their share; null without an account", True),
        make_field("win_rate_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("win_rate_high", pa.float64(), "upper end of its 90 % interval", True),
        make_field(
            "value_per_account",
            pa.float64(),
            "mean amount that they brought within the horizon; null without amounts",
            nullable=True,
        ),
        make_field("open_accounts", pa.int64(), "open accounts of the cell at the as-of"),
    ]
)

FIT_BASIS = pa.schema(
    [
        make_field("target", pa.string(), "the target whose outcome makes a customer"),
        make_field("unit", pa.string(), "`account`, or `lead` where no lead has one"),
        make_field(
            "horizon_days",
            pa.float64(),
            "days after the entry in which a customer is won; null where outcomes have no times",
            nullable=True,
        ),
        make_field("accounts", pa.int64(), "mature accounts that the profile is learned on"),
        make_field("customers", pa.int64(), "those that were won within the horizon"),
        make_field(
            "value_per_account",
            pa.float64(),
            "mean amount that they brought within it; null without amounts",
            nullable=True,
        ),
        make_field(
            "young", pa.int64(), "accounts that have not been followed for the whole horizon"
        ),
        make_field(
            "customers_before_entry",
            pa.int64(),
            "accounts left out since they were customers before they entered",
        ),
        make_field("compared", pa.int64(), "values that were compared"),
        make_field(
            "threshold_days",
            pa.int64(),
            "days without an activity from which on an account is silent; null if from none",
            nullable=True,
        ),
        make_field(
            "undated",
            pa.string(),
            "attributes used with the value of today, since they have no history; may be empty",
        ),
        make_field(
            "refused",
            pa.string(),
            "attributes that were written after the entry, with the evidence, one a line; may be "
            "empty",
        ),
        make_field(
            "limits",
            pa.string(),
            "reasons why there may be less in the profile, one a line; may be empty",
        ),
    ]
)
