"""Columns of the forecast's tables.

A quantity is either a number of wins (unit ``wins``) or their amounts (unit ``amount``). What is
expected on average adds up over parts, segments and months; quantiles do not.
"""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field
from models.forecast.safe_goal import SAFE_CHANCE

WINS, AMOUNT = "wins", "amount"
# Quantiles that are given of each part.
LEVELS = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


def _list_part_fields(name: str, meaning: str) -> list[pa.Field]:
    return [
        make_field(f"{name}_mean", pa.float64(), f"{meaning}, on average"),
        *(
            make_field(f"{name}_{level}", pa.float64(), f"{share:.0%} quantile of it")
            for level, share in LEVELS.items()
        ),
    ]


# One row per (period, its start, unit, segment); the first segment is `all`.
FORECAST = pa.schema(
    [
        make_field("as_of", INSTANT, "the as-of: only rows that were known before it count"),
        make_field("period", pa.string(), "`month` or `quarter`"),
        make_field("period_start", INSTANT, "begin of the period, midnight in the company's zone"),
        make_field("period_end", INSTANT, "its end, which is the begin of the next"),
        make_field("segment", pa.string(), "the segment, or `all`"),
        make_field("unit", pa.string(), "`wins`, or `amount` for what they are worth"),
        make_field("goal", pa.float64(), "the goal of the config; null without one", True),
        make_field("won", pa.float64(), "won in the period so far"),
        *_list_part_fields("from_open", "what deals that are open will add by the period's end"),
        *_list_part_fields("from_new", "what deals that are not created yet will add"),
        *_list_part_fields("total", "the period's total"),
        make_field("p_goal", pa.float64(), "chance that the total reaches the goal", True),
        make_field(
            "gap", pa.float64(), "goal less total_mean: what is missing, negative if none is", True
        ),
        make_field(
            "needed_wins",
            pa.float64(),
            "wins of mean amount that would close the gap; 0 without a gap; null where no win has "
            "an amount",
            nullable=True,
        ),
        make_field(
            "needed_new_deals",
            pa.float64(),
            "deals to create at the as-of, beside those expected, to close the gap; 0 without a "
            "gap; null where a new deal hardly closes by the period's end",
            nullable=True,
        ),
        make_field(
            "safe_gap",
            pa.float64(),
            f"what the total lacks for a chance of {SAFE_CHANCE:.0%}; 0 if the chance is that high",
            nullable=True,
        ),
        make_field(
            "safe_wins",
            pa.float64(),
            f"further wins, beside those expected, for a chance of {SAFE_CHANCE:.0%}; null where "
            "no win has an amount",
            nullable=True,
        ),
        make_field(
            "safe_new_deals",
            pa.float64(),
            "deals to create at the as-of, beside those expected, for a chance of "
            f"{SAFE_CHANCE:.0%}; null where a new deal hardly closes by the period's end",
            nullable=True,
        ),
        make_field(
            "expected_new_deals",
            pa.float64(),
            "deals that are expected to be created in what is left of the period; null for a "
            "single segment",
            nullable=True,
        ),
    ]
)

# One row per deal that is open at the as-of, those that add most first.
DEALS = pa.schema(
    [
        make_field("entity_id", pa.string(), "the lead"),
        make_field("segment", pa.string(), "its segment, `all` without segments"),
        make_field("stage", pa.string(), "the stage that it is in"),
        make_field("owner", pa.string(), "who works it; null without `capacity.owner`", True),
        make_field("age_days", pa.float64(), "days in the stage"),
        make_field("probability", pa.float64(), "chance of a win by the period's end"),
        make_field("amount", pa.float64(), "what a win is worth; null if no amount is set", True),
        make_field(
            "contribution", pa.float64(), "probability times amount; without amounts, probability"
        ),
    ]
)

# The way from the expected total a week before to that of the as-of; the steps add up.
CHANGES = pa.schema(
    [
        make_field("unit", pa.string(), "`wins`, or `amount`"),
        make_field(
            "step",
            pa.string(),
            "`before`, `won`, `lost`, `advanced`, `slipped`, `revalued`, `new`, `to_come`, "
            "`assumptions`, `after`",
        ),
        make_field("value", pa.float64(), "expected total, or what the step adds to it"),
        make_field("deals", pa.int64(), "number of deals of the step", True),
    ]
)

# One row per (unit, past as-of): forecasts from the events before it, beside what came since.
FORECAST_TRACK = pa.schema(
    [
        make_field("unit", pa.string(), "`wins`, or `amount`"),
        make_field("forecast_as_of", INSTANT, "the past as-of"),
        make_field(
            "forecast_end", INSTANT, "the end of its time ahead, as long as the current one"
        ),
        make_field(
            "expected",
            pa.float64(),
            "what it expected, corrected by those before it that had ended by then",
        ),
        make_field(
            "came", pa.float64(), "what came; a win without an amount with the expected one"
        ),
        make_field(
            "error_share",
            pa.float64(),
            "expected over came, less one: positive if too much was expected; null if none came",
            nullable=True,
        ),
        make_field(
            "sample_share",
            pa.float64(),
            "share of the company's deals that both numbers are of; 1 unless it has very many",
        ),
    ]
)

# One row: what the tables of a night rest on.
FORECAST_BASIS = pa.schema(
    [
        make_field("target", pa.string(), "the target whose outcome is the win"),
        make_field("period", pa.string(), "`month` or `quarter`"),
        make_field("segment_by", pa.string(), "the column of the segments; null without any", True),
        make_field(
            "error_share",
            pa.float64(),
            "typical error of the wins of past forecasts as far ahead, as a share of what came; "
            "null without any",
            nullable=True,
        ),
        make_field("past_forecasts", pa.int64(), "number of these past forecasts"),
        make_field(
            "knows_rate_only",
            pa.int64(),
            "1 if stage and age of the deals say nothing beyond the overall rate, else 0",
        ),
    ]
)
